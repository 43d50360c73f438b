//! Tells whoever started us that we are registered, so that nobody has to
//! search our log for it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;

/// A file, a FIFO or `/dev/fd/N`, to which one line will be written.
pub struct Ready(Option<File>);

impl Ready {
    /// Opens it.
    ///
    /// # Errors
    /// When it cannot be written to.
    pub fn open(file: Option<&Path>) -> anyhow::Result<Self> {
        let open = |file: &Path| {
            let opened = OpenOptions::new().append(true).create(true).open(file);
            opened.with_context(|| format!("--ready {}: cannot write there", file.display()))
        };
        file.map(open).transpose().map(Self)
    }

    /// Writes the line, the first time that it is called.
    pub fn registered(&mut self, name: &str, mapped: SocketAddr) {
        if let Some(mut file) = self.0.take() {
            // A reader that has left does not need it any more.
            let _ = writeln!(file, "registered as {name}, seen at {mapped}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_line_is_written_once() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        let mut ready = Ready::open(Some(Path::new(&path))).unwrap();
        drop(writer);
        let mapped = SocketAddr::from(([203, 0, 113, 33], 40000));
        ready.registered("bob", mapped);
        ready.registered("bob", mapped);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "registered as bob, seen at 203.0.113.33:40000\n");
    }

    #[test]
    fn a_descriptor_that_is_not_open_is_an_error() {
        let error = Ready::open(Some(Path::new("/dev/fd/4000000")))
            .err()
            .unwrap();
        let wanted = "--ready /dev/fd/4000000: cannot write there";
        assert_eq!(error.to_string(), wanted);
        Ready::open(None).unwrap();
    }
}

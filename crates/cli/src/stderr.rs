//! The tools' log: whole lines on stderr.
//!
//! `eprintln!` is not used, and clippy refuses it: it panics where stderr cannot
//! be written (the reader has gone, the disk is full), and it writes a line in
//! pieces, between which the output of other threads can get.

use std::fmt::Display;
use std::io::Write;

/// Writes one line to stderr. It is not an error if nobody reads it.
pub fn line(text: impl Display) {
    write(&mut std::io::stderr(), &text);
}

/// A writer for those that write lines themselves: what is written at once
/// goes out in one piece, and it never fails.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = std::io::stderr().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All of it at once: stderr has no buffer, and pieces would go separately.
fn write(out: &mut impl Write, text: &impl Display) {
    let _ = out.write_all(format!("{text}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// What was written, call by call; if it is full, nothing can be written.
    #[derive(Default)]
    struct Sink {
        calls: Vec<Vec<u8>>,
        full: bool,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.calls.push(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_written_in_one_piece() {
        let mut sink = Sink::default();
        write(&mut sink, &format_args!("punch: {} at {}", "bob", 1));
        assert_eq!(sink.calls, [b"punch: bob at 1\n"]);
    }

    #[test]
    fn a_line_that_cannot_be_written_does_not_end_the_tool() {
        let full = true;
        let mut sink = Sink {
            full,
            ..Sink::default()
        };
        write(&mut sink, &"punch: bob");
        assert!(sink.calls.is_empty());
    }
}

//! Writing to stdout and to files, with errors that name which.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::anyhow;
use cli::head::Headed;
use serde::Serialize;
use serde_json::json;

/// Writes all of `text` at once to stdout.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| failed("stdout", error))
}

/// A report as JSON, on one line with its end.
///
/// # Errors
/// When it is not an object.
pub fn report(report: impl Serialize) -> serde_json::Result<String> {
    Ok(Headed::now("labreport", report).to_json()? + "\n")
}

/// A report that has these objects as its list `name`, one on a line.
pub fn list(name: &str, objects: &[impl AsRef<str>]) -> String {
    let empty = Headed::now("labreport", json!({name: []})).to_json();
    let empty = empty.unwrap_or_default();
    let begin = empty.trim_end_matches("]}");
    let objects: Vec<&str> = objects.iter().map(AsRef::as_ref).collect();
    format!("{begin}\n{}\n]}}\n", objects.join(",\n"))
}

/// Writes a file; `-` is stdout.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return print(text);
    }
    std::fs::write(path, text).map_err(|error| failed(&path.display().to_string(), error))
}

/// One line on stderr, which begins with the name that we were called by:
/// netns.sh sets argv[0] to its own name, which is the command that the user typed.
pub fn log(text: impl Display) {
    let called = std::env::args_os().next().unwrap_or_default();
    let called = Path::new(&called).file_name();
    let called = called.map_or("labreport".into(), |name| name.to_string_lossy());
    cli::stderr::line(format_args!("{called}: {text}"));
}

/// Whether standard output was closed early, as by `head`.
pub fn reader_left(error: &anyhow::Error) -> bool {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failed>());
    cause.is_some_and(|failed| failed.0 == ErrorKind::BrokenPipe)
}

/// What kind of error it was.
#[derive(Debug)]
struct Failed(ErrorKind, String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for Failed {}

fn failed(place: &str, error: std::io::Error) -> anyhow::Error {
    let mut reason = error.to_string();
    if let Some(code) = error.raw_os_error() {
        // The number says nothing that the words before it do not say.
        reason = reason.replace(&format!(" (os error {code})"), "");
    }
    anyhow!(Failed(
        error.kind(),
        format!("cannot write to {place}: {reason}")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_file_and_the_reason() {
        let error = write(Path::new("/dev/full"), "x").unwrap_err();
        let wanted = "cannot write to /dev/full: No space left on device";
        assert_eq!(error.to_string(), wanted);
        assert!(!reader_left(&error));
    }

    #[test]
    fn a_closed_pipe_is_told_apart() {
        let closed = failed("stdout", ErrorKind::BrokenPipe.into());
        assert!(reader_left(&closed.context("while printing")));
    }
}

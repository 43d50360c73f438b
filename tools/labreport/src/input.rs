//! Reading reports, wherever they come from.

use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::Context;
use serde_json::value::RawValue;

/// A JSON value that is passed on as it came.
pub type Raw = Box<RawValue>;

/// The text of a file; `-` is stdin.
///
/// # Errors
/// When it cannot be read.
pub fn text(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read stdin")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A report that a tool may not have written: `None` where the file is missing
/// or empty.
///
/// # Errors
/// When it cannot be read, or is not JSON.
pub fn report(path: &Path) -> anyhow::Result<Option<Raw>> {
    let text = match text(path) {
        Ok(text) => text,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let raw = one_line(&text).with_context(|| format!("{} is not JSON", path.display()))?;
    Ok(Some(raw))
}

/// JSON on one line. A line break in JSON is white space: strings have `\n`.
pub fn one_line(text: &str) -> serde_json::Result<Raw> {
    serde_json::from_str(&text.replace(['\n', '\r'], " "))
}

fn is_missing(error: &anyhow::Error) -> bool {
    let cause = error.downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_and_an_empty_report_are_none() {
        let empty = std::env::temp_dir().join(format!("labreport-{}", std::process::id()));
        assert!(report(&empty).unwrap().is_none());
        std::fs::write(&empty, "\n").unwrap();
        assert!(report(&empty).unwrap().is_none());
        std::fs::write(&empty, "{").unwrap();
        let error = report(&empty).unwrap_err().to_string();
        assert!(error.ends_with("is not JSON"), "{error}");
        std::fs::remove_file(&empty).unwrap();
    }

    #[test]
    fn a_report_is_put_on_one_line() {
        let raw = one_line("{\n\"a\": \"b\\nc\"\r\n}\n").unwrap();
        assert_eq!(raw.get(), "{ \"a\": \"b\\nc\"  }");
    }
}

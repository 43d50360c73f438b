//! A trace in a file.

use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, Result};
use journey::Trace;

/// Reads the trace in a file; `-` is standard input.
///
/// # Errors
/// When the file cannot be read, or is not a trace.
pub(crate) fn read(path: &Path) -> Result<Trace> {
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => io::stdin().read_to_string(&mut text).map(drop),
        false => std::fs::read_to_string(path).map(|read| text = read),
    };
    let name = path.display();
    read.with_context(|| format!("cannot read the trace {name}"))?;
    Trace::read(&text).with_context(|| {
        format!("{name} is not a trace. Write one with: lab/netns.sh A B --trace FILE.json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_trace_is_refused_with_its_name() {
        let error = |path: &str| format!("{:#}", read(Path::new(path)).unwrap_err());
        let said = error("/nowhere/run.json");
        assert!(
            said.starts_with("cannot read the trace /nowhere/run.json: "),
            "{said}"
        );
        let said = error("Cargo.toml");
        assert!(
            said.starts_with("Cargo.toml is not a trace. Write one with: "),
            "{said}"
        );
    }
}

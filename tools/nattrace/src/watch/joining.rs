//! From what the nodes have seen to the files of a trace.

use std::path::PathBuf;

use anyhow::Result;
use journey::Watched;

use super::output::{self, Output};

/// The options of whatever joins.
#[derive(clap::Args)]
pub(crate) struct Joining {
    /// A file for the trace, whose name says the format: .json, .html (a page for a browser), .pcapng (for
    /// Wireshark), .txt (a ladder). May be given again
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Vec<Output>,
    /// Two nodes whose packets to each other should come through: say why they do not
    #[arg(long, value_name = "A,B", value_parser = peers)]
    peers: Option<(String, String)>,
    /// What punch wrote with --report: it says why where the packets do not show it
    #[arg(long, value_name = "FILE", requires = "peers")]
    report: Option<PathBuf>,
    /// The file in which natlink records the frames that it drops
    #[arg(long, value_name = "FILE")]
    drops: Option<PathBuf>,
}

impl Joining {
    /// Joins what was seen, and writes the files, if there is one to write.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub(crate) fn finish(&self, mut watched: Watched) -> Result<()> {
        if self.trace.is_empty() {
            return Ok(());
        }
        if let Some(path) = &self.drops {
            watched.lost = output::drops(path)?;
        }
        let mut trace = journey::join(&watched);
        if let Some((a, b)) = &self.peers {
            let said = self.report.as_deref().and_then(output::said);
            trace.cause = journey::cause(&trace, a, b, said.as_ref());
        }
        for output in &self.trace {
            output.write(&trace)?;
        }
        Ok(())
    }
}

fn peers(text: &str) -> Result<(String, String), String> {
    match text.split_once(',') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), b.to_owned())),
        _ => Err("expected two nodes with a comma between them".to_owned()),
    }
}

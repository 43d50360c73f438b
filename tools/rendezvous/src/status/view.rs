//! `rendezvous status`: asks the socket, and shows what it tells.

use std::io::{IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::{OF_THE_SERVICE, TIMEOUT, table, usual};
use crate::snapshot::Snapshot;

/// How often the table is drawn again, on a terminal.
const AGAIN: Duration = Duration::from_secs(1);

/// Show what is going on in the rendezvous that runs on this host.
///
/// On a terminal the table is drawn again each second, until Ctrl-C.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  rendezvous status
      The server that runs as a service, or as this user.
  rendezvous status --status /run/rendezvous/status --json
      The same as JSON, once.

Exit codes: 0 it is shown, 2 no server answers.")]
pub struct Status {
    /// The socket of the server, its --status [default: in RUNTIME_DIRECTORY, in
    /// XDG_RUNTIME_DIR, or /run/rendezvous/status]
    #[arg(long, value_name = "PATH")]
    status: Option<PathBuf>,
    /// Print one JSON object; docs/reference/json.md explains it
    #[arg(long)]
    json: bool,
}

/// Shows it.
///
/// # Errors
/// When no server answers.
pub fn show(asked: &Status) -> anyhow::Result<()> {
    let path = asked.status.clone().unwrap_or_else(found);
    let mut out = std::io::stdout();
    if asked.json {
        return Ok(out.write_all(ask(&path)?.as_bytes())?);
    }
    let again = out.is_terminal();
    let mut before: Option<Snapshot> = None;
    loop {
        let line = ask(&path)?;
        let now: Snapshot = serde_json::from_str(&line).with_context(|| {
            format!("what {} says is not a report of rendezvous", path.display())
        })?;
        let clear = if again { "\x1b[H\x1b[J" } else { "" };
        write!(out, "{clear}{}", table::draw(&now, before.as_ref()))?;
        out.flush()?;
        if !again {
            return Ok(());
        }
        before = Some(now);
        std::thread::sleep(AGAIN);
    }
}

/// The usual place, else that of the service.
fn found() -> PathBuf {
    let usual = usual().filter(|path| path.exists());
    usual.unwrap_or_else(|| OF_THE_SERVICE.into())
}

fn ask(path: &Path) -> anyhow::Result<String> {
    let answer = || {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let mut line = String::new();
        stream.read_to_string(&mut line)?;
        Ok(line)
    };
    let answered: std::io::Result<String> = answer();
    answered.with_context(|| {
        format!(
            "no rendezvous answers at {}. Does it run, as this user? Try: rendezvous status --status PATH, with the \
             --status of the server",
            path.display()
        )
    })
}

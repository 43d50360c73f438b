//! Where notices go: above a prompt, or to stdout and stderr for a script.

use std::io::{self, Write};

use rustyline::ExternalPrinter;

use crate::notice::Notice;

/// Where.
pub enum Screen {
    /// A terminal with a line being edited.
    Prompt(Box<dyn ExternalPrinter + Send>),
    /// A filter: messages to stdout, the rest to stderr.
    Lines,
    /// A filter: everything to stdout, as JSON lines.
    Json,
}

impl Screen {
    /// Tells it.
    ///
    /// # Errors
    /// Those of stdout: a reader that has gone, say.
    pub fn tell(&mut self, notice: &Notice) -> io::Result<()> {
        match self {
            Screen::Prompt(printer) => {
                let text = match notice {
                    Notice::Message { .. } => format!("{}\n", notice.text()),
                    _ => notice.text().lines().map(|l| format!("* {l}\n")).collect(),
                };
                printer.print(text).map_err(io::Error::other)
            }
            Screen::Lines if notice.is_message() => print(&notice.text()),
            Screen::Lines => {
                for line in notice.text().lines() {
                    eprintln!("chat: {line}");
                }
                Ok(())
            }
            Screen::Json => print(&notice.json().to_string()),
        }
    }

    /// Whether somebody sits before it.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Screen::Prompt(_))
    }
}

fn print(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

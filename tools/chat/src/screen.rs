//! Where notices go: above a prompt, or to stdout and stderr for a script.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::input::{Editing, Printer};
use crate::notice::{Notice, peer_address};
use crate::qr;
use crate::text::clip;

/// Where notices go.
pub enum Screen {
    /// A terminal with a line being edited.
    Prompt(Terminal),
    /// A filter: messages to stdout, the rest to stderr.
    Lines,
    /// A filter: everything to stdout, as JSON lines.
    Json,
}

impl Screen {
    /// Shows a notice.
    ///
    /// # Errors
    /// Those of stdout, such as a closed pipe.
    pub fn tell(&mut self, notice: &Notice) -> io::Result<()> {
        match self {
            Screen::Prompt(terminal) => {
                let mut text = match notice {
                    Notice::Message { .. } => format!("{}\n", notice.text()),
                    _ => notice.text().lines().map(|l| format!("* {l}\n")).collect(),
                };
                if let Notice::Who { name, key, .. } = notice {
                    text.push_str(&terminal.qr(&peer_address(name, key)));
                }
                terminal.print(&text)
            }
            Screen::Lines if notice.is_message() => print(&notice.text()),
            Screen::Lines => {
                for line in notice.text().lines() {
                    cli::stderr::line(format_args!("chat: {line}"));
                }
                Ok(())
            }
            Screen::Json => print(&notice.json().to_string()),
        }
    }

    /// Whether a person sits there.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Screen::Prompt(_))
    }
}

/// A terminal: the prompt is its last line, and what changes, such as a
/// progress bar, stands right above it.
pub struct Terminal {
    printer: Printer,
    editing: Arc<Editing>,
    bars: Vec<String>,
    /// How many bars stand above the prompt now.
    drawn: usize,
    /// QR codes are wanted.
    draws_qr: bool,
}

impl Terminal {
    /// A terminal whose prompt is edited there.
    pub fn new(printer: Printer, editing: Arc<Editing>, draws_qr: bool) -> Terminal {
        Terminal {
            printer,
            editing,
            bars: Vec::new(),
            drawn: 0,
            draws_qr,
        }
    }

    /// A QR code of that text; nothing where it does not fit or is not wanted.
    fn qr(&self, text: &str) -> String {
        let columns = self.editing.columns.load(Ordering::Relaxed);
        let code = self.draws_qr.then(|| qr::draw(text, columns.min(80)));
        code.flatten().unwrap_or_default()
    }

    /// Draws these bars in place of the last.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn draw(&mut self, bars: Vec<String>) -> io::Result<()> {
        if bars == self.bars {
            return Ok(());
        }
        self.bars = bars;
        self.print("")
    }

    /// How many bars there are.
    pub fn bars(&self) -> usize {
        self.bars.len()
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        // A line that was entered stays, and so does what is above it.
        if self.editing.entered.swap(false, Ordering::SeqCst) {
            self.drawn = 0;
        }
        let columns = self.editing.columns.load(Ordering::Relaxed);
        // The cursor stands where the prompt begins. Up, and clear the line.
        let mut out = "\x1b[A\x1b[2K".repeat(std::mem::take(&mut self.drawn));
        out.push_str(text);
        for bar in &self.bars {
            out.push_str(clip(bar, columns.saturating_sub(1)));
            out.push('\n');
        }
        if out.is_empty() {
            return Ok(());
        }
        if !out.ends_with('\n') {
            out.push_str("\x1b[A\n"); // Or the printer would add a line.
        }
        self.drawn = self.bars.len();
        self.printer.print(out).map_err(io::Error::other)
    }
}

fn print(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use rustyline::ExternalPrinter;

    use super::*;

    /// What a terminal shows; it knows the escape sequences that are used above.
    #[derive(Clone, Default)]
    struct FakeTerminal(Arc<Mutex<Vec<String>>>);

    impl ExternalPrinter for FakeTerminal {
        fn print(&mut self, msg: String) -> rustyline::Result<()> {
            let mut lines = self.0.lock().unwrap();
            let mut row = lines.len();
            let mut rest = msg.as_str();
            while !rest.is_empty() {
                if let Some(after) = rest.strip_prefix("\x1b[A") {
                    (row, rest) = (row - 1, after);
                } else if let Some(after) = rest.strip_prefix("\x1b[2K") {
                    lines.truncate(row);
                    rest = after;
                } else {
                    let (line, after) = rest.split_once('\n').unwrap();
                    if row == lines.len() {
                        lines.push(line.to_owned());
                    }
                    (row, rest) = (row + 1, after);
                }
            }
            assert_eq!(row, lines.len(), "the prompt is below everything");
            Ok(())
        }
    }

    #[test]
    fn bars_stay_below_the_notices_and_are_removed_without_a_trace() {
        let (shown, editing) = (FakeTerminal::default(), Arc::new(Editing::default()));
        let shows = |lines: &[&str]| assert_eq!(*shown.0.lock().unwrap(), lines);
        let bars = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut terminal = Terminal::new(Box::new(shown.clone()), Arc::clone(&editing), false);
        terminal.print("a\n").unwrap();
        terminal.draw(bars(&["one 1", "two 1"])).unwrap();
        shows(&["a", "one 1", "two 1"]);
        terminal.draw(bars(&["one 2", "two 2"])).unwrap();
        terminal.print("b\n").unwrap();
        shows(&["a", "b", "one 2", "two 2"]);
        terminal.draw(bars(&["two 3"])).unwrap();
        shows(&["a", "b", "two 3"]);
        // The user presses Enter: the entered line must stay.
        shown.0.lock().unwrap().push("bob> hello".into());
        editing.entered.store(true, Ordering::SeqCst);
        terminal.draw(bars(&["two 4"])).unwrap();
        shows(&["a", "b", "two 3", "bob> hello", "two 4"]);
        terminal.draw(Vec::new()).unwrap();
        shows(&["a", "b", "two 3", "bob> hello"]);
        terminal.print("").unwrap();
        shows(&["a", "b", "two 3", "bob> hello"]);
    }
}

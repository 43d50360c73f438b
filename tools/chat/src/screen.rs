//! Where notices go: above a prompt, or to stdout and stderr for a script.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::handover::display::Display;
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
    /// Files for whoever has a code: lines and one bar, or JSON lines.
    Handover(Display),
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
                terminal.print(text)
            }
            Screen::Lines if notice.is_message() => print(&notice.text()),
            Screen::Lines => {
                for line in notice.text().lines() {
                    cli::stderr::line(format_args!("chat: {line}"));
                }
                Ok(())
            }
            Screen::Json => print(&notice.json().to_string()),
            Screen::Handover(display) => display.tell(notice),
        }
    }

    /// Whether a person sits there.
    pub fn is_interactive(&self) -> bool {
        matches!(self, Screen::Prompt(_))
    }
}

/// Prints that wait for the terminal. Further ones are dropped and counted: a
/// terminal that takes nothing (Control-S) must not stop the conversation.
const MOST_WAITING: usize = 4096;

/// How long the end waits for a terminal that takes nothing.
const FLUSH: Duration = Duration::from_millis(500);

/// A terminal: the prompt is its last line, and what changes, such as a
/// progress bar, stands right above it.
///
/// A thread draws: the printer blocks until the line editor takes the text, which
/// it does not do between two lines, when it waits for the next prompt.
pub struct Terminal {
    drawings: Option<SyncSender<Drawing>>,
    /// Disconnected when all is drawn.
    ended: Receiver<()>,
    /// The last bars.
    bars: Vec<String>,
    /// Notices for which there was no room since the last that had room.
    dropped: usize,
    editing: Arc<Editing>,
    /// QR codes are wanted.
    draws_qr: bool,
}

/// What the thread draws.
enum Drawing {
    /// Text above the bars.
    Text(String),
    /// Bars, in place of the last.
    Bars(Vec<String>),
}

impl Terminal {
    /// A terminal whose prompt is edited there.
    pub fn new(printer: Printer, editing: Arc<Editing>, draws_qr: bool) -> Terminal {
        let told = Arc::clone(&editing);
        let (drawings, received) = sync_channel(MOST_WAITING);
        let (ending, ended) = sync_channel(0);
        std::thread::spawn(move || {
            let _ending = ending;
            let mut canvas = Canvas {
                printer,
                editing: told,
                bars: Vec::new(),
                drawn: 0,
            };
            while let Ok(drawing) = received.recv() {
                if canvas.draw(drawing).is_err() {
                    return;
                }
            }
        });
        Terminal {
            drawings: Some(drawings),
            ended,
            bars: Vec::new(),
            dropped: 0,
            editing,
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
    /// When the terminal is gone.
    pub fn draw(&mut self, bars: Vec<String>) -> io::Result<()> {
        if bars != self.bars && self.send(Drawing::Bars(bars.clone()))? {
            self.bars = bars;
        }
        Ok(())
    }

    /// How many bars there are.
    pub fn bars(&self) -> usize {
        self.bars.len()
    }

    fn print(&mut self, text: String) -> io::Result<()> {
        if self.dropped > 0 {
            let lost = format!(
                "* the terminal took nothing: {} notices dropped\n",
                self.dropped
            );
            if self.send(Drawing::Text(lost))? {
                self.dropped = 0;
            }
        }
        if !self.send(Drawing::Text(text))? {
            self.dropped += 1;
        }
        Ok(())
    }

    /// False if too much waits already.
    fn send(&self, drawing: Drawing) -> io::Result<bool> {
        let drawings = self.drawings.as_ref();
        match drawings.map(|drawings| drawings.try_send(drawing)) {
            Some(Ok(())) => Ok(true),
            Some(Err(TrySendError::Full(_))) => Ok(false),
            Some(Err(TrySendError::Disconnected(_))) | None => {
                Err(io::Error::other("the terminal is gone"))
            }
        }
    }
}

impl Drop for Terminal {
    /// Waits until all is drawn.
    fn drop(&mut self) {
        self.drawings = None;
        let _ = self.ended.recv_timeout(FLUSH);
    }
}

/// What is on the terminal.
struct Canvas {
    printer: Printer,
    editing: Arc<Editing>,
    bars: Vec<String>,
    /// How many bars stand above the prompt now.
    drawn: usize,
}

impl Canvas {
    fn draw(&mut self, drawing: Drawing) -> io::Result<()> {
        match drawing {
            Drawing::Text(text) => self.print(&text),
            Drawing::Bars(bars) => {
                self.bars = bars;
                self.print("")
            }
        }
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
    use std::time::Instant;

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
        let mut terminal = Canvas {
            printer: Box::new(shown.clone()),
            editing: Arc::clone(&editing),
            bars: Vec::new(),
            drawn: 0,
        };
        terminal.print("a\n").unwrap();
        terminal
            .draw(Drawing::Bars(bars(&["one 1", "two 1"])))
            .unwrap();
        shows(&["a", "one 1", "two 1"]);
        terminal
            .draw(Drawing::Bars(bars(&["one 2", "two 2"])))
            .unwrap();
        terminal.print("b\n").unwrap();
        shows(&["a", "b", "one 2", "two 2"]);
        terminal.draw(Drawing::Bars(bars(&["two 3"]))).unwrap();
        shows(&["a", "b", "two 3"]);
        // The user presses Enter: the entered line must stay.
        shown.0.lock().unwrap().push("bob> hello".into());
        editing.entered.store(true, Ordering::SeqCst);
        terminal.draw(Drawing::Bars(bars(&["two 4"]))).unwrap();
        shows(&["a", "b", "two 3", "bob> hello", "two 4"]);
        terminal.draw(Drawing::Bars(Vec::new())).unwrap();
        shows(&["a", "b", "two 3", "bob> hello"]);
        terminal.print("").unwrap();
        shows(&["a", "b", "two 3", "bob> hello"]);
    }
    /// A line editor between two lines: it takes nothing until it is let.
    struct Busy(Receiver<()>, FakeTerminal);

    impl ExternalPrinter for Busy {
        fn print(&mut self, msg: String) -> rustyline::Result<()> {
            self.0.recv().expect("let");
            self.1.print(msg)
        }
    }

    #[test]
    fn a_notice_does_not_wait_for_the_line_editor() {
        let shown = FakeTerminal::default();
        let (let_it, waits) = sync_channel(MOST_WAITING * 2);
        let printer = Box::new(Busy(waits, shown.clone()));
        let mut terminal = Terminal::new(printer, Arc::default(), false);
        let most = MOST_WAITING + 10;
        for n in 0..most {
            terminal.print(format!("{n}\n")).unwrap();
        }
        // One is with the editor or still waits, all others wait or are dropped.
        let dropped = terminal.dropped;
        assert!((9..=10).contains(&dropped), "{dropped}");
        for _ in 0..most {
            let_it.send(()).unwrap();
        }
        let gone = loop {
            match terminal.send(Drawing::Text(String::new())).unwrap() {
                true => break terminal.print("last\n".into()),
                false => std::thread::yield_now(),
            }
        };
        gone.unwrap();
        // The terminal itself waits only briefly at the end, and this machine may be slow.
        let deadline = Instant::now() + Duration::from_secs(60);
        while shown.0.lock().unwrap().len() < most - dropped + 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let shown = shown.0.lock().unwrap();
        let told = format!("* the terminal took nothing: {dropped} notices dropped");
        assert_eq!(shown[most - dropped..], [told, "last".to_owned()]);
    }
}

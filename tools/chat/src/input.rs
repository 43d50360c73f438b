//! Lines from the user: edited at a prompt, or read from a pipe.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use crate::command::COMMANDS;
use crate::frame::MOST_TEXT;

/// What comes from the user.
#[derive(Debug, PartialEq, Eq)]
pub enum Input {
    /// A line, without its end.
    Line(String),
    /// A line that is longer than a message may be, in bytes.
    TooLong,
    /// No more.
    End,
}

/// Names to complete, as they become known.
pub type Names = Arc<Mutex<Vec<String>>>;

/// Reads stdin, a line ahead at most.
pub fn pipe() -> mpsc::Receiver<Input> {
    let (lines, received) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        while let Some(input) = read_line(&mut stdin) {
            if lines.blocking_send(input).is_err() {
                return;
            }
        }
        let _ = lines.blocking_send(Input::End);
    });
    received
}

/// One line of at most [`MOST_TEXT`] bytes; what is longer is skipped, not kept.
fn read_line(stdin: &mut impl BufRead) -> Option<Input> {
    let mut line = Vec::new();
    let most = MOST_TEXT as u64 + 1;
    let read = stdin.take(most).read_until(b'\n', &mut line).ok()?;
    if read == 0 {
        return None;
    }
    if line.last() != Some(&b'\n') && read > MOST_TEXT {
        loop {
            let buffer = stdin.fill_buf().ok()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(buffer.len(), |end| end + 1);
            stdin.consume(length);
            if end.is_some() || length == 0 {
                return Some(Input::TooLong);
            }
        }
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    Some(Input::Line(String::from_utf8_lossy(line).into_owned()))
}

/// What the screen has to know of the line being edited.
#[derive(Debug)]
pub struct Editing {
    /// A line was entered since this was last cleared: it stands above the prompt.
    pub entered: AtomicBool,
    /// The terminal's width when the last line began.
    pub columns: AtomicUsize,
}

impl Default for Editing {
    fn default() -> Self {
        Editing {
            entered: AtomicBool::new(false),
            columns: AtomicUsize::new(80),
        }
    }
}

/// A prompt, and the terminal's settings before.
pub struct Prompt {
    /// The prompt to show next; a line is edited for each.
    pub show: std::sync::mpsc::Sender<String>,
    /// For the user of the printer.
    pub editing: Arc<Editing>,
    before: Option<Termios>,
}

/// Prints above the line being edited.
pub type Printer = Box<dyn ExternalPrinter + Send>;

impl Prompt {
    /// Takes the terminal over; returns the lines that are typed, and what
    /// prints above them.
    ///
    /// # Errors
    /// When the terminal cannot be used for a prompt.
    pub fn start(names: Names) -> rustyline::Result<(Prompt, mpsc::Receiver<Input>, Printer)> {
        let before = tcgetattr(io::stdin()).ok();
        let mut editor: Editor<Help, DefaultHistory> = Editor::new()?;
        editor.set_helper(Some(Help {
            names,
            files: FilenameCompleter::new(),
        }));
        let printer: Printer = Box::new(editor.create_external_printer()?);
        let (show, prompts) = std::sync::mpsc::channel::<String>();
        let (typed, lines) = mpsc::channel(1);
        let editing = Arc::<Editing>::default();
        let told = Arc::clone(&editing);
        std::thread::spawn(move || {
            while let Ok(prompt) = prompts.recv() {
                if let Some((columns, _)) = editor.dimensions() {
                    told.columns.store(columns.into(), Ordering::Relaxed);
                }
                let line = editor.readline(&prompt);
                told.entered.store(true, Ordering::SeqCst);
                let input = match line {
                    Ok(line) => {
                        let _ = editor.add_history_entry(&line);
                        match line.len() > MOST_TEXT {
                            true => Input::TooLong,
                            false => Input::Line(line),
                        }
                    }
                    // Control-C clears the line, as in a shell.
                    Err(ReadlineError::Interrupted) => Input::Line(String::new()),
                    Err(_) => Input::End,
                };
                if typed.blocking_send(input).is_err() {
                    return;
                }
            }
        });
        let prompt = Prompt {
            show,
            editing,
            before,
        };
        Ok((prompt, lines, printer))
    }
}

impl Drop for Prompt {
    /// The editor may be in the middle of a line, with the terminal raw.
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

struct Help {
    names: Names,
    files: FilenameCompleter,
}

impl Completer for Help {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = &line[..at];
        if typed.starts_with("/send ") {
            return self.files.complete(line, at, context);
        }
        let start = typed.rfind(' ').map_or(0, |space| space + 1);
        let word = &typed[start..];
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let known: Vec<String> = match (start, typed.starts_with('/')) {
            (0, true) => COMMANDS.iter().map(|c| c.word.to_owned()).collect(),
            (_, true) => names.clone(),
            (_, false) => Vec::new(),
        };
        let pairs = known
            .into_iter()
            .filter(|name| name.starts_with(word))
            .map(|name| Pair {
                replacement: format!("{name} "),
                display: name,
            })
            .collect();
        Ok((start, pairs))
    }
}

impl Hinter for Help {
    type Hint = String;
}
impl Highlighter for Help {}
impl Validator for Help {}
impl Helper for Help {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_and_longer_ones_are_skipped() {
        let long = "x".repeat(MOST_TEXT);
        let longer = "y".repeat(MOST_TEXT * 3);
        let text = format!("a b\n\n{long}\n{longer}\nend");
        let mut stdin = io::Cursor::new(text);
        let mut read = Vec::new();
        while let Some(input) = read_line(&mut stdin) {
            read.push(input);
        }
        let line = |text: &str| Input::Line(text.into());
        let expected = [
            line("a b"),
            line(""),
            line(&long),
            Input::TooLong,
            line("end"),
        ];
        assert!(read == expected);
    }
}

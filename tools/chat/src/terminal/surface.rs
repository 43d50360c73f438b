//! The terminal without its hands: keys come in, lines and what is to be written go out.

use std::sync::PoisonError;

use super::complete::complete;
use super::display::Display;
use super::editor::{Editor, Outcome};
use super::entry::{Entry, Head};
use super::keys::Keys;
use crate::frame::MOST_TEXT;
use crate::input::{Input, Names};

/// The terminal without its hands.
#[derive(Debug)]
pub struct Surface {
    keys: Keys,
    editor: Editor,
    /// What stands on the terminal.
    pub display: Display,
    names: Names,
}

/// What came of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// What the user has entered.
    pub inputs: Vec<Input>,
    /// The process is to stop.
    pub suspends: bool,
}

impl Surface {
    /// Nothing was typed yet.
    pub fn new(display: Display, names: Names) -> Surface {
        Surface {
            keys: Keys::default(),
            editor: Editor::default(),
            display,
            names,
        }
    }

    /// Whether a key may be whole if nothing follows: then call [`Self::give_up`].
    pub fn waits(&self) -> bool {
        self.keys.waits()
    }

    /// Nothing has followed.
    pub fn give_up(&mut self) {
        self.keys.give_up();
    }

    /// The user types; `time` stands beside what is shown of it.
    pub fn type_in(&mut self, bytes: &[u8], time: &str) -> Typed {
        let mut typed = Typed::default();
        for key in self.keys.push(bytes) {
            match self.editor.press(key) {
                Outcome::Edited => {}
                Outcome::Entered(text) => {
                    let inputs = inputs(text);
                    for input in &inputs {
                        if let Input::Line(line) = input
                            && line.starts_with('/')
                            && !line.starts_with("//")
                        {
                            self.tell(time, Head::Typed, line.clone());
                        }
                    }
                    typed.inputs.extend(inputs);
                }
                Outcome::Interrupted { empty: true } => self.tell(
                    time,
                    Head::Notice,
                    "to leave, press Ctrl-D or type /quit".into(),
                ),
                Outcome::Interrupted { empty: false } => {}
                Outcome::End => typed.inputs.push(Input::End),
                Outcome::Complete => self.complete(time),
                Outcome::Full => self.tell(
                    time,
                    Head::Notice,
                    "the line is full: the rest was left out. Send long text as a file".into(),
                ),
                Outcome::Redraw => self.display.redraw(),
                Outcome::Suspend => typed.suspends = true,
            }
        }
        let line = (self.editor.text().to_owned(), self.editor.at());
        self.display.set_line(Some(line));
        typed
    }

    fn tell(&mut self, time: &str, head: Head, body: String) {
        let time = time.to_owned();
        self.display.tell(Entry { time, head, body });
    }

    fn complete(&mut self, time: &str) {
        let before = &self.editor.text()[..self.editor.at()];
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let completion = complete(before, &names);
        drop(names);
        let Some(completion) = completion else {
            return;
        };
        let certain = before[completion.start..] != completion.text;
        self.editor.replace(completion.start, &completion.text);
        if !certain && !completion.choices.is_empty() {
            self.tell(time, Head::Notice, completion.choices.join("  "));
        }
    }
}

/// The lines of what was entered. Several that begin with a command are commands, as if
/// they had been typed; other text is one message, or as many as its length takes.
fn inputs(text: String) -> Vec<Input> {
    let text = text.trim_end_matches('\n');
    let line = |line: &str| match line.len() > MOST_TEXT {
        true => Input::TooLong,
        false => Input::Line(line.to_owned()),
    };
    if text.starts_with('/') && !text.starts_with("//") {
        return text.lines().map(line).collect();
    }
    let (mut inputs, mut rest) = (Vec::new(), text);
    while rest.len() > MOST_TEXT {
        let fits = rest.as_bytes()[..=MOST_TEXT]
            .iter()
            .rposition(|b| *b == b'\n');
        let Some(end) = fits.or_else(|| rest.find('\n')) else {
            break;
        };
        inputs.push(line(&rest[..end]));
        rest = &rest[end + 1..];
    }
    inputs.push(line(rest));
    inputs
}

#[cfg(test)]
mod tests;

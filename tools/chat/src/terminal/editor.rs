//! The line being edited: text, cursor, and the lines before it.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use super::keys::{Key, Motion};

/// The longest text, in bytes.
pub const MOST_EDITED: usize = 1 << 20;

/// Lines that can be recalled, and their bytes together.
const MOST_LINES: usize = 1000;
const MOST_BYTES: usize = 4 << 20;

/// What a key leads to, beside a change of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Edited,
    /// This was entered.
    Entered(String),
    /// The text was given up; there was none if `empty`.
    Interrupted {
        /// There was nothing to give up.
        empty: bool,
    },
    /// The input ends.
    End,
    /// The word before the cursor is to be completed.
    Complete,
    /// The text has no room for all that was pasted.
    Full,
    /// The screen is to be drawn anew.
    Redraw,
    /// The process is to stop.
    Suspend,
}

/// The line being edited.
#[derive(Debug, Default)]
pub struct Editor {
    text: String,
    /// Where the cursor is, in bytes.
    at: usize,
    history: VecDeque<String>,
    /// Which line of the history is shown, and what was typed before it was.
    recalled: Option<(usize, String)>,
    erased: String,
}

impl Editor {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The cursor, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// A key was pressed.
    pub fn press(&mut self, key: Key) -> Outcome {
        if !matches!(key, Key::Earlier | Key::Later) {
            self.recalled = None;
        }
        match key {
            Key::Char(c) => return self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Paste(text) => return self.insert(&text),
            Key::Enter => return self.enter(),
            Key::Tab => return Outcome::Complete,
            Key::Move(motion) => self.at = self.target(motion),
            Key::Eof if self.text.is_empty() => return Outcome::End,
            Key::Eof => self.erase(Motion::Right),
            Key::Erase(motion) => self.erase(motion),
            Key::Earlier => self.recall(-1),
            Key::Later => self.recall(1),
            Key::Yank => return self.insert(&self.erased.clone()),
            Key::Swap => self.swap(),
            Key::Interrupt => {
                let empty = std::mem::take(&mut self.text).is_empty();
                self.at = 0;
                return Outcome::Interrupted { empty };
            }
            Key::Redraw => return Outcome::Redraw,
            Key::Suspend => return Outcome::Suspend,
        }
        Outcome::Edited
    }

    /// Puts `text` in place of what stands between `start` and the cursor.
    pub fn replace(&mut self, start: usize, text: &str) {
        self.text.replace_range(start..self.at, text);
        self.at = start + text.len();
    }

    fn insert(&mut self, text: &str) -> Outcome {
        let room = MOST_EDITED - self.text.len().min(MOST_EDITED);
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let fits = ends.take_while(|end| *end <= room).last().unwrap_or(0);
        self.text.insert_str(self.at, &text[..fits]);
        self.at += fits;
        match fits == text.len() {
            true => Outcome::Edited,
            false => Outcome::Full,
        }
    }

    fn enter(&mut self) -> Outcome {
        let text = std::mem::take(&mut self.text);
        self.at = 0;
        if !text.trim().is_empty() && self.history.back() != Some(&text) {
            self.history.push_back(text.clone());
        }
        let bytes = |history: &VecDeque<String>| history.iter().map(String::len).sum::<usize>();
        while self.history.len() > MOST_LINES || bytes(&self.history) > MOST_BYTES {
            self.history.pop_front();
        }
        Outcome::Entered(text)
    }

    fn erase(&mut self, motion: Motion) {
        let target = self.target(motion);
        let (start, end) = (target.min(self.at), target.max(self.at));
        let erased: String = self.text.drain(start..end).collect();
        if !matches!(motion, Motion::Left | Motion::Right) && !erased.is_empty() {
            self.erased = erased;
        }
        self.at = start;
    }

    fn target(&self, motion: Motion) -> usize {
        let (before, after) = self.text.split_at(self.at);
        let last = |text: &str| {
            text.grapheme_indices(true)
                .next_back()
                .map_or(0, |(at, _)| at)
        };
        match motion {
            Motion::Left => last(before),
            Motion::Right => self.at + after.graphemes(true).next().map_or(0, str::len),
            Motion::WordLeft => {
                let word = before.trim_end();
                word.rfind(char::is_whitespace).map_or(0, |space| {
                    space + word[space..].chars().next().map_or(0, char::len_utf8)
                })
            }
            Motion::WordRight => {
                let word = after.trim_start();
                let end = word.find(char::is_whitespace).unwrap_or(word.len());
                self.text.len() - word.len() + end
            }
            Motion::Start => 0,
            Motion::End => self.text.len(),
        }
    }

    fn swap(&mut self) {
        if self.at == self.text.len() {
            self.at = self.target(Motion::Left);
        }
        let (left, right) = (self.target(Motion::Left), self.target(Motion::Right));
        let swapped = format!(
            "{}{}",
            &self.text[self.at..right],
            &self.text[left..self.at]
        );
        self.text.replace_range(left..right, &swapped);
        self.at = right;
    }

    /// Shows the next line of the history in that direction that begins with what was
    /// typed.
    fn recall(&mut self, step: isize) {
        let (shown, typed) = self
            .recalled
            .take()
            .unwrap_or_else(|| (self.history.len(), self.text.clone()));
        let fits = |line: &&(usize, &String)| line.1.starts_with(&typed);
        let lines = self.history.iter().enumerate();
        let found = match step < 0 {
            true => lines.take(shown).rev().find(|line| fits(&line)),
            false => lines.skip(shown + 1).find(|line| fits(&line)),
        };
        let (shown, text) = match found {
            Some((at, line)) => (at, line.clone()),
            None if step < 0 => (shown, self.text.clone()),
            None => (self.history.len(), typed.clone()),
        };
        self.at = text.len();
        self.text = text;
        self.recalled = Some((shown, typed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::keys::Keys;

    /// What is entered and what stands there, with the cursor as `|`.
    fn typed(editor: &mut Editor, bytes: &str) -> (Vec<String>, String) {
        let keys = Keys::default().push(bytes.as_bytes());
        let entered = keys.into_iter().filter_map(|key| match editor.press(key) {
            Outcome::Entered(text) => Some(text),
            _ => None,
        });
        let entered = entered.collect();
        let (before, after) = editor.text.split_at(editor.at);
        (entered, format!("{before}|{after}"))
    }

    #[test]
    fn keys_edit_the_text() {
        for (bytes, text) in [
            ("hello", "hello|"),
            ("hello\x1b[D\x1b[D\x7f", "he|lo"),
            ("one two\x17", "one |"),
            ("one two\x01\x1bf\x0b\x05\x19\x19", "one two two|"),
            ("one two\x15x", "x|"),
            ("e\u{301}x\x1b[D\x7fy", "y|x"),
            ("👋🏽\x7f", "|"),
            ("ab\x14", "ba|"),
            ("abc\x03", "|"),
            ("ab\x1b[H\x04", "|b"),
            ("a\x1b\rb", "a\nb|"),
            ("\x1b[200~a\nb\n\x1b[201~", "a\nb\n|"),
            ("\x14\x7f\x17\x0b\x15\x1b[C\x1b[D", "|"),
        ] {
            assert_eq!(typed(&mut Editor::default(), bytes).1, text, "{bytes:?}");
        }
    }

    #[test]
    fn lines_that_were_entered_are_recalled_by_how_they_begin() {
        let mut editor = Editor::default();
        let (entered, _) = typed(&mut editor, "/to bob\rhello\rhello\r\r/to carol\r");
        assert_eq!(entered, ["/to bob", "hello", "hello", "", "/to carol"]);
        let up = "\x1b[A";
        let shown = |editor: &mut Editor, bytes: &str| typed(editor, bytes).1;
        assert_eq!(shown(&mut editor, up), "/to carol|");
        assert_eq!(shown(&mut editor, up), "hello|");
        assert_eq!(shown(&mut editor, &up.repeat(3)), "/to bob|");
        assert_eq!(shown(&mut editor, "\x1b[B\x1b[B\x1b[B"), "|");
        assert_eq!(shown(&mut editor, &format!("/t{up}{up}")), "/to bob|");
        assert_eq!(shown(&mut editor, "\x1b[B\x1b[B"), "/t|");
    }

    #[test]
    fn text_and_history_are_bounded() {
        let mut editor = Editor::default();
        let paste = || Key::Paste("é".repeat(MOST_EDITED / 2));
        assert_eq!(editor.press(Key::Char('x')), Outcome::Edited);
        assert_eq!(editor.press(paste()), Outcome::Full);
        assert!(editor.text.len() > MOST_EDITED - 4 && editor.text.len() <= MOST_EDITED);
        for n in 0..2 * MOST_LINES {
            typed(&mut editor, &format!("{n}\r"));
        }
        assert_eq!(editor.history.len(), MOST_LINES);
    }
}

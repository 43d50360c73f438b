//! From the bytes of a terminal to keys. A sequence may come in pieces.

/// What was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character to insert.
    Char(char),
    /// Text that the terminal pastes; a newline in it is no Enter.
    Paste(String),
    /// Enter.
    Enter,
    /// Tab.
    Tab,
    /// A motion of the cursor.
    Move(Motion),
    /// Erases up to where the motion leads.
    Erase(Motion),
    /// Up, or Ctrl-P.
    Earlier,
    /// Down, or Ctrl-N.
    Later,
    /// Ctrl-Y: inserts what was erased by words or lines last.
    Yank,
    /// Ctrl-T: swaps two characters.
    Swap,
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D: erases a character, or ends the input on an empty line.
    Eof,
    /// Ctrl-L.
    Redraw,
    /// Ctrl-Z.
    Suspend,
}

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// A character to the left.
    Left,
    /// A character to the right.
    Right,
    /// To the beginning of a word.
    WordLeft,
    /// To the end of a word.
    WordRight,
    /// To the beginning of the text.
    Start,
    /// To its end.
    End,
}

const PASTE_END: &[u8] = b"\x1b[201~";

/// A paste is handed on in pieces of this size, at most.
const MOST_PASTE: usize = 64 * 1024;

/// No control sequence is longer.
const MOST_SEQUENCE: usize = 32;

/// Bytes that make no whole key yet.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    pasting: bool,
}

impl Keys {
    /// Further bytes; returns the keys that are whole now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.bytes.extend_from_slice(bytes);
        let mut keys = Vec::new();
        let mut at = 0;
        while at < self.bytes.len() {
            let rest = &self.bytes[at..];
            let taken = if self.pasting {
                paste(rest, &mut self.pasting, &mut keys)
            } else if rest.starts_with(b"\x1b[200~") {
                self.pasting = true;
                Some(6)
            } else {
                key(rest, &mut keys)
            };
            match taken {
                Some(taken) => at += taken,
                None => break,
            }
        }
        self.bytes.drain(..at);
        keys
    }

    /// Whether an Escape waits for what follows: it may be the key, or a sequence.
    pub fn waits(&self) -> bool {
        !self.pasting && self.bytes.first() == Some(&0x1b)
    }

    /// Nothing followed.
    pub fn give_up(&mut self) {
        self.bytes.clear();
    }
}

/// Takes a part of a paste; `None` if more has to come.
fn paste(bytes: &[u8], pasting: &mut bool, keys: &mut Vec<Key>) -> Option<usize> {
    let end = bytes.windows(PASTE_END.len()).position(|w| w == PASTE_END);
    let (text, taken) = match end {
        Some(end) => {
            *pasting = false;
            (&bytes[..end], end + PASTE_END.len())
        }
        None if bytes.len() > MOST_PASTE => {
            // Not in the middle of a character, of a line's end or of the paste's end.
            let inside = |byte: &u8| byte & 0xc0 == 0x80 || matches!(byte, b'\r' | 0x1b);
            let most = bytes.len() - PASTE_END.len();
            let back = bytes[..=most]
                .iter()
                .rev()
                .take_while(|b| inside(b))
                .count();
            let end = most - back.min(most);
            (&bytes[..end], end)
        }
        None => return None,
    };
    if taken == 0 {
        return None;
    }
    let text = String::from_utf8_lossy(text)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    keys.push(Key::Paste(text));
    Some(taken)
}

/// Takes a key; `None` if more has to come.
fn key(bytes: &[u8], keys: &mut Vec<Key>) -> Option<usize> {
    use Motion::{End, Left, Right, Start, WordLeft};
    let key = match bytes[0] {
        0x01 => Key::Move(Start),
        0x02 => Key::Move(Left),
        0x03 => Key::Interrupt,
        0x04 => Key::Eof,
        0x05 => Key::Move(End),
        0x06 => Key::Move(Right),
        0x08 | 0x7f => Key::Erase(Left),
        b'\t' => Key::Tab,
        // What was typed before the terminal was raw ends with a line feed.
        b'\n' | b'\r' => Key::Enter,
        0x0b => Key::Erase(End),
        0x0c => Key::Redraw,
        0x0e => Key::Later,
        0x10 => Key::Earlier,
        0x14 => Key::Swap,
        0x15 => Key::Erase(Start),
        0x17 => Key::Erase(WordLeft),
        0x19 => Key::Yank,
        0x1a => Key::Suspend,
        0x1b => return escape(bytes, keys),
        byte if byte < 0x20 => return Some(1),
        _ => return character(bytes, keys),
    };
    keys.push(key);
    Some(1)
}

fn character(bytes: &[u8], keys: &mut Vec<Key>) -> Option<usize> {
    let piece = &bytes[..bytes.len().min(4)];
    let (character, length) = match std::str::from_utf8(piece) {
        Ok(text) => text.chars().next().map(|c| (c, c.len_utf8()))?,
        Err(error) => match (error.valid_up_to(), error.error_len()) {
            (0, None) => return None,
            (0, Some(length)) => (char::REPLACEMENT_CHARACTER, length),
            (valid, _) => {
                let text = std::str::from_utf8(&piece[..valid]).ok()?;
                text.chars().next().map(|c| (c, c.len_utf8()))?
            }
        },
    };
    keys.push(Key::Char(character));
    Some(length)
}

/// What begins with Escape: a control sequence, or a key with Alt.
fn escape(bytes: &[u8], keys: &mut Vec<Key>) -> Option<usize> {
    use Motion::{WordLeft, WordRight};
    let (key, length) = match bytes.get(1)? {
        b'[' => {
            let body = &bytes[2..];
            let Some(end) = body.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
                return (body.len() > MOST_SEQUENCE).then_some(2);
            };
            (sequence(&body[..end], body[end]), end + 3)
        }
        b'O' => (sequence(b"", *bytes.get(2)?), 3),
        b'b' => (Some(Key::Move(WordLeft)), 2),
        b'f' => (Some(Key::Move(WordRight)), 2),
        b'd' => (Some(Key::Erase(WordRight)), 2),
        0x08 | 0x7f => (Some(Key::Erase(WordLeft)), 2),
        b'\r' | b'\n' => (Some(Key::Char('\n')), 2),
        // The key Escape, and then another sequence.
        0x1b => (None, 1),
        _ => (None, 2),
    };
    keys.extend(key);
    Some(length)
}

/// The key of `ESC [ parameters final`.
fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    use Motion::{End, Left, Right, Start, WordLeft, WordRight};
    // With Alt or Ctrl, an arrow goes by words: `ESC [ 1 ; 5 C`.
    let words = matches!(parameters, b"1;3" | b"1;5" | b"3" | b"5");
    Some(match (last, parameters) {
        (b'A', _) => Key::Earlier,
        (b'B', _) => Key::Later,
        (b'C', _) if words => Key::Move(WordRight),
        (b'D', _) if words => Key::Move(WordLeft),
        (b'C', _) => Key::Move(Right),
        (b'D', _) => Key::Move(Left),
        (b'H', _) | (b'~', b"1" | b"7") => Key::Move(Start),
        (b'F', _) | (b'~', b"4" | b"8") => Key::Move(End),
        (b'~', b"3") => Key::Erase(Right),
        (b'~', b"3;3" | b"3;5") => Key::Erase(WordRight),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        Keys::default().push(bytes)
    }

    #[test]
    fn the_bytes_of_a_terminal_are_keys_in_whatever_pieces_they_come() {
        let bytes =
            "aé👋\x1b[D\x1bOH\x1b[1;5C\x1b[3~\x7f\t\x17\r\x1b[200~x\r\ny\x1b[A\x1b[201~z\n\x04"
                .as_bytes();
        let expected = [
            Key::Char('a'),
            Key::Char('é'),
            Key::Char('👋'),
            Key::Move(Motion::Left),
            Key::Move(Motion::Start),
            Key::Move(Motion::WordRight),
            Key::Erase(Motion::Right),
            Key::Erase(Motion::Left),
            Key::Tab,
            Key::Erase(Motion::WordLeft),
            Key::Enter,
            Key::Paste("x\ny\x1b[A".into()),
            Key::Char('z'),
            Key::Enter,
            Key::Eof,
        ];
        assert_eq!(keys(bytes), expected);
        let mut pieces = Keys::default();
        let pieces = bytes.iter().flat_map(|byte| pieces.push(&[*byte]));
        assert_eq!(Vec::from_iter(pieces), expected);
    }

    #[test]
    fn a_paste_of_any_length_arrives_whole() {
        let text = "größe 👋\r\n".repeat(40_000);
        let bytes = format!("\x1b[200~{text}\x1b[201~\r");
        for size in [1000, 4096, 70_001] {
            let mut keys = Keys::default();
            let mut pasted = String::new();
            let mut entered = 0;
            for piece in bytes.as_bytes().chunks(size) {
                for key in keys.push(piece) {
                    match key {
                        Key::Paste(text) => pasted += &text,
                        Key::Enter => entered += 1,
                        other => panic!("{other:?}"),
                    }
                }
                assert!(keys.bytes.len() <= MOST_PASTE + size);
            }
            assert!(pasted == text.replace("\r\n", "\n"));
            assert_eq!(entered, 1);
        }
    }

    #[test]
    fn what_is_no_key_is_left_out() {
        assert_eq!(keys(b"\x1b[?1;2c\x1b[38;5;1ma"), [Key::Char('a')]);
        assert_eq!(
            keys(b"\xff\xc3a"),
            "\u{fffd}\u{fffd}a"
                .chars()
                .map(Key::Char)
                .collect::<Vec<_>>()
        );
        let mut alone = Keys::default();
        assert_eq!(alone.push(b"\x1b"), []);
        assert!(alone.waits());
        alone.give_up();
        assert_eq!(alone.push(b"[A"), [Key::Char('['), Key::Char('A')]);
    }
}

//! Lines from the user: what they are, and how they are read from a pipe. At a prompt,
//! [`crate::terminal`] reads them.

use std::io::{self, BufRead, Read};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

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

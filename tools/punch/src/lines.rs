//! Lines that are not longer than a screen is wide.

use std::fmt::Write;

/// The longest line.
pub const WIDTH: usize = 100;

/// Writes the words after `start`, and what does not fit below them.
pub fn wrap(text: &mut String, start: &str, words: &str) {
    let indent = start.chars().count().min(WIDTH / 2);
    text.push_str(start);
    let mut column = start.chars().count();
    for (index, word) in words.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            let _ = write!(text, "\n{:indent$}", "");
            column = indent;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_do_not_fit_go_below_the_first_one() {
        let mut text = String::new();
        let words = "word ".repeat(30);
        wrap(&mut text, "start: ", words.trim());
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("start: word") && lines[0].len() <= WIDTH,
            "{text}"
        );
        assert!(lines[1].starts_with("       word"), "{text}");
        assert_eq!(text.matches("word").count(), 30);
    }
}

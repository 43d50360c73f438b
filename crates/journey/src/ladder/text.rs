//! Lines of text: their width, their characters and their colours.

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthChar;

/// What is not there for its own sake: times, lanes, addresses.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// What has an effect on a NAT.
pub(crate) const CHANGE: Style = AnsiColor::Cyan.on_default();
/// Where a packet ends before its destination.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// What the reader should know: gaps.
pub(crate) const WARNING: Style = AnsiColor::Yellow.on_default();
/// What is looked for: the cause.
pub(crate) const STRONG: Style = Style::new().bold();
/// What has no style.
pub(crate) const PLAIN: Style = Style::new();

/// Characters, and colours or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    pub(crate) ascii: bool,
    pub(crate) colour: bool,
}

impl Paint {
    /// The text in this style.
    pub(crate) fn styled(self, style: Style, text: &str) -> String {
        match self.colour && style != PLAIN && !text.is_empty() {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    /// The text as a terminal may have it: without control characters, and where that is asked in ASCII.
    pub(crate) fn clean(self, text: &str) -> String {
        let mut clean = String::new();
        for c in text.chars() {
            match c {
                c if c.is_control() || is_invisible(c) => clean.push('?'),
                c if c.is_ascii() || !self.ascii => clean.push(c),
                '→' => clean.push_str("->"),
                '…' => clean.push_str("..."),
                '✗' | '×' => clean.push('x'),
                '’' => clean.push('\''),
                '⋮' => clean.push(':'),
                '—' | '–' => clean.push('-'),
                _ => clean.push('?'),
            }
        }
        clean
    }
}

/// Characters that change the order of others, or take no room.
fn is_invisible(c: char) -> bool {
    c.width() == Some(0)
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The number of columns that the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().filter_map(UnicodeWidthChar::width).sum()
}

/// The text in lines of at most `room` columns, the later ones `indent` columns further to the right. A word that
/// is longer than a line is broken.
pub(crate) fn wrap(text: &str, room: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let start = |lines: &Vec<String>| match lines.is_empty() {
        true => String::new(),
        false => " ".repeat(indent),
    };
    let mut fresh = true;
    for word in text.split_whitespace() {
        if !fresh && width(&line) + 1 + width(word) > room {
            lines.push(std::mem::take(&mut line));
            line = start(&lines);
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        for c in word.chars() {
            if width(&line) + c.width().unwrap_or(0) > room {
                lines.push(std::mem::take(&mut line));
                line = start(&lines);
            }
            line.push(c);
        }
        fresh = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_no_wider_than_the_room() {
        assert_eq!(wrap("one two three", 7, 2), ["one two", "  three"]);
        assert_eq!(wrap("", 7, 2), [""]);
        assert_eq!(
            wrap("a 203.0.113.33:58254", 10, 2),
            ["a", "  203.0.11", "  3.33:582", "  54"]
        );
        assert_eq!(wrap("鮑勃鮑勃", 4, 0), ["鮑勃", "鮑勃"]);
    }

    #[test]
    fn what_a_packet_says_cannot_drive_the_terminal() {
        let paint = |ascii| Paint {
            ascii,
            colour: true,
        };
        let text = "request of \u{1b}[2Jbob\u{202e} → é";
        assert_eq!(paint(false).clean(text), "request of ?[2Jbob? → é");
        assert_eq!(paint(true).clean(text), "request of ?[2Jbob? -> ?");
    }

    #[test]
    fn nothing_is_coloured_where_colours_are_off() {
        let paint = |colour| Paint {
            ascii: false,
            colour,
        };
        assert_eq!(paint(false).styled(BAD, "x"), "x");
        assert_eq!(paint(true).styled(STRONG, "x"), "\u{1b}[1mx\u{1b}[0m");
        assert_eq!(paint(true).styled(PLAIN, "x"), "x");
    }
}

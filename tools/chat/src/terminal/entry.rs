//! What stands above the prompt: one notice or message, laid out for a width.

use std::time::Duration;

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// Something that is shown above the prompt.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, as `12:03`; empty for none.
    pub time: String,
    /// What it is.
    pub head: Head,
    /// Its text; a newline in it begins a line.
    pub body: String,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// A notice of the program.
    Notice,
    /// A message of a peer.
    From(String),
    /// A message of ours.
    To(String, Mark),
    /// A command that was typed.
    Typed,
    /// Lines that stay as they are.
    Drawing,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Nothing yet.
    Waits,
    /// The peer has it, after this time.
    Delivered(Duration),
    /// It was not delivered.
    Lost,
    /// It was not delivered yet, and is kept on disk.
    Kept,
    /// So many of those in the room have it, and the others may get it.
    Part {
        /// How many have it.
        has: usize,
        /// To how many it was said.
        of: usize,
    },
    /// All of so many have it, the last one after this time.
    All(usize, Duration),
    /// So many have it, and the others will not get it.
    Short {
        /// How many have it.
        has: usize,
        /// To how many it was said.
        of: usize,
    },
}

/// How an entry is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The width of a row.
    pub width: usize,
    /// Words that are longer than a row are broken. Otherwise the terminal does it, and
    /// one can copy them whole. This holds for ASCII alone: with spaces that are none for
    /// us, a peer could fill a row that looks like a notice.
    pub breaks_words: bool,
    /// Colours are wanted.
    pub colours: bool,
}

impl Entry {
    /// For a terminal that cannot move its cursor, and breaks rows itself.
    pub const PLAIN: Layout = Layout {
        width: usize::MAX,
        breaks_words: false,
        colours: false,
    };

    /// Whether it is a message whose fate is not known.
    pub fn waits(&self) -> bool {
        matches!(self.head, Head::To(_, mark) if mark.waits())
    }

    /// Its rows.
    pub fn rows(&self, layout: Layout) -> Vec<String> {
        if self.head == Head::Drawing {
            return self.body.lines().map(str::to_owned).collect();
        }
        let time = match self.time.as_str() {
            "" => String::new(),
            time => format!("{time} "),
        };
        let (sign, name, colon) = match &self.head {
            Head::Notice => ("* ", "", ""),
            Head::From(name) => ("", name.as_str(), ": "),
            Head::To(name, _) => ("→ ", name.as_str(), ": "),
            Head::Typed | Head::Drawing => ("> ", "", ""),
        };
        let start = format!("{time}{sign}{name}{colon}");
        let (mark, colour) = match self.head {
            Head::To(_, mark) => mark.shown(),
            _ => (String::new(), ""),
        };
        let options = Options::new(layout.width)
            .word_splitter(WordSplitter::NoHyphenation)
            .break_words(layout.breaks_words || !self.body.is_ascii());
        let body = format!("{}{mark}", self.body);
        let margin = " ".repeat(time.len() + sign.chars().count());
        // On a narrow terminal the text does not stand beside the time, but after it.
        let (text, first, margin) = match display_width(&start) <= layout.width / 2 {
            true => (body, start.as_str(), margin.as_str()),
            false => (format!("{start}{body}"), "", "  "),
        };
        // Line by line: textwrap takes the room beside the first indent for that of each.
        let lines = text.split('\n').enumerate();
        let wrapped = lines.flat_map(|(number, line)| {
            let indent = if number == 0 { first } else { margin };
            let options = options.clone();
            textwrap::wrap(
                line,
                options.initial_indent(indent).subsequent_indent(margin),
            )
        });
        let mut rows: Vec<String> = wrapped.map(|row| row.into_owned()).collect();
        if !layout.colours {
            return rows;
        }
        if let Some(row) = rows.first_mut()
            && let Some(rest) = row.strip_prefix(&start)
        {
            let name = match name {
                "" => String::new(),
                name => format!("{BOLD}{name}{RESET}"),
            };
            *row = format!("{DIM}{time}{sign}{RESET}{name}{colon}{rest}");
        }
        if let Some(row) = rows.last_mut()
            && let Some(rest) = row.strip_suffix(mark.trim_start())
            && !mark.is_empty()
        {
            *row = format!("{rest}{colour}{}{RESET}", mark.trim_start());
        }
        rows
    }
}

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

impl Mark {
    /// A mark that took longer tells how long.
    pub const SOON: Duration = Duration::from_secs(1);

    /// Whether another one may follow.
    pub fn waits(self) -> bool {
        matches!(self, Mark::Waits | Mark::Part { .. })
    }

    fn shown(self) -> (String, &'static str) {
        match self {
            Mark::Part { has: 0, .. } => (" …".into(), DIM),
            Mark::Part { has, of } => (format!(" … {has}/{of}"), DIM),
            Mark::All(of, after) if after < Mark::SOON => (format!(" ✓ {of}/{of}"), GREEN),
            Mark::All(of, after) => (format!(" ✓ {of}/{of} {:.1}s", after.as_secs_f64()), GREEN),
            Mark::Short { has, of } => (format!(" ✗ {has}/{of}"), RED),
            Mark::Waits => (" …".into(), DIM),
            Mark::Delivered(after) if after < Mark::SOON => (" ✓".into(), GREEN),
            Mark::Delivered(after) => (format!(" ✓ {:.1}s", after.as_secs_f64()), GREEN),
            Mark::Lost => (" ✗".into(), RED),
            Mark::Kept => (" (kept)".into(), DIM),
        }
    }
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::text::clean_lines;

    fn rows(head: Head, body: &str, width: usize, breaks_words: bool) -> Vec<String> {
        let entry = Entry {
            time: "12:03".into(),
            head,
            body: body.into(),
        };
        entry.rows(Layout {
            width,
            breaks_words,
            colours: false,
        })
    }

    #[test]
    fn text_is_broken_between_words_and_stands_beside_the_time() {
        let shown = rows(
            Head::Notice,
            "bob is connected: direct, 203.0.113.33:8900",
            30,
            true,
        );
        let expected = [
            "12:03 * bob is connected:",
            "        direct,",
            "        203.0.113.33:8900",
        ];
        assert_eq!(shown, expected);
        let shown = rows(Head::From("bob".into()), "one\n  two  three", 30, true);
        assert_eq!(shown, ["12:03 bob: one", "        two  three"]);
        let key = "k".repeat(40);
        assert_eq!(rows(Head::Typed, &key, 30, true).len(), 2);
        assert!(
            rows(Head::Typed, &key, 30, false)
                .iter()
                .any(|row| row.ends_with(&key))
        );
    }

    #[test]
    fn no_peer_can_write_at_the_left_margin() {
        for width in [12, 30, 80] {
            for text in ["x\n* forged", "x\r* forged", "x\u{2028}* forged"] {
                let long = format!("{text}{}", "\u{a0}forged".repeat(40));
                let shown = rows(Head::From("bob".into()), &clean_lines(&long), width, false);
                let at_margin = |row: &String| !row.starts_with(' ') || row.width() > width;
                assert!(!shown[1..].iter().any(at_margin), "{shown:?}");
            }
        }
    }

    #[test]
    fn a_message_of_ours_ends_with_its_mark() {
        let shown = |mark| rows(Head::To("bob".into(), mark), "hello", 30, true);
        assert_eq!(shown(Mark::Waits), ["12:03 → bob: hello …"]);
        let after = Duration::from_millis(3508);
        assert_eq!(shown(Mark::Delivered(after / 10)), ["12:03 → bob: hello ✓"]);
        assert_eq!(shown(Mark::Delivered(after)), ["12:03 → bob: hello ✓ 3.5s"]);
        assert_eq!(shown(Mark::Lost), ["12:03 → bob: hello ✗"]);
    }

    #[test]
    fn colours_change_nothing_else() {
        let entry = Entry {
            time: "12:03".into(),
            head: Head::To("bob".into(), Mark::Lost),
            body: "hello bob ".repeat(9),
        };
        let layout = |colours| Layout {
            width: 40,
            breaks_words: true,
            colours,
        };
        let mut coloured = entry.rows(layout(true)).join("\n");
        assert!(coloured.contains("\x1b[1mbob\x1b[0m: ") && coloured.ends_with("\x1b[31m✗\x1b[0m"));
        for code in [DIM, BOLD, RED, RESET] {
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, entry.rows(layout(false)).join("\n"));
    }
}

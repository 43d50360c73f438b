//! What stands on the terminal. The last rows change: messages that wait for their mark,
//! bars, and the prompt with the line being edited. What is above them stays.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::entry::{Entry, Head, Layout, Mark};
use crate::text::{clean, clip};

/// Entries that wait for the terminal. Further ones are dropped and counted: a terminal
/// that takes nothing (Control-S) must not stop the conversation.
const MOST_WAITING: usize = 4096;

/// Rows of messages that wait for their mark.
const MOST_OPEN_ROWS: usize = 8;

/// What stands on the terminal.
#[derive(Debug)]
pub struct Display {
    columns: usize,
    rows: usize,
    colours: bool,
    /// Entries that are not drawn for good, each with its message's number.
    open: VecDeque<(Entry, u64)>,
    /// Messages that were drawn for good before they had their mark, by their peers.
    passed: BTreeMap<String, Passed>,
    bars: Vec<String>,
    prompt: String,
    /// The line being edited, and the cursor in it; `None` shows no prompt.
    line: Option<(String, usize)>,
    /// Entries for which there was no room.
    dropped: usize,
    drawn: Drawn,
}

/// Messages to a peer that were drawn for good before they had their mark: their numbers,
/// and how many others were delivered meanwhile.
#[derive(Debug, Default)]
struct Passed {
    waiting: BTreeSet<u64>,
    delivered: usize,
}

/// The rows that change, as they were drawn last.
#[derive(Debug, Default)]
struct Drawn {
    rows: Vec<String>,
    cursor: (usize, usize),
    /// The width has changed, or something else was written.
    stale: bool,
}

impl Display {
    /// An empty one of that size.
    pub fn new(columns: usize, rows: usize, colours: bool) -> Display {
        Display {
            columns,
            rows,
            colours,
            open: VecDeque::new(),
            passed: BTreeMap::new(),
            bars: Vec::new(),
            prompt: String::new(),
            line: Some((String::new(), 0)),
            dropped: 0,
            drawn: Drawn::default(),
        }
    }

    /// The terminal's width.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The terminal has this size now.
    pub fn resize(&mut self, columns: usize, rows: usize) {
        if (columns, rows) != (self.columns, self.rows) {
            (self.columns, self.rows) = (columns, rows);
            self.drawn.stale = true;
        }
    }

    /// Everything that changes is to be drawn anew.
    pub fn redraw(&mut self) {
        self.drawn.stale = true;
    }

    /// Shows an entry above the prompt.
    pub fn tell(&mut self, entry: Entry) {
        self.said(entry, 0);
    }

    /// Shows a message of ours, which has that number.
    pub fn said(&mut self, entry: Entry, number: u64) {
        if self.open.len() >= MOST_WAITING {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 && self.open.len() < MOST_WAITING - 1 {
            let body = format!(
                "the terminal took nothing: {} notices dropped",
                self.dropped
            );
            let (time, head) = (entry.time.clone(), Head::Notice);
            self.open.push_back((Entry { time, head, body }, 0));
            self.dropped = 0;
        }
        self.open.push_back((entry, number));
    }

    /// Marks a message that was delivered, or that some in a room have. If it was drawn for
    /// good before, a notice counts all of these once none waits. False if neither is
    /// possible, or that was the only one.
    pub fn delivered(&mut self, time: &str, to: &str, number: u64, mark: Mark) -> bool {
        if self.mark_where(to, mark, |_, known| known == number) || mark.waits() {
            return true;
        }
        let Some(passed) = self.passed.get_mut(to) else {
            return false;
        };
        if !passed.waiting.remove(&number) {
            return false;
        }
        if let Mark::Short { .. } = mark {
            return false;
        }
        passed.delivered += 1;
        let delivered = passed.delivered;
        if passed.waiting.is_empty() {
            self.passed.remove(to);
            if delivered == 1 {
                return false;
            }
            self.tell(Entry {
                time: time.to_owned(),
                head: Head::Notice,
                body: format!("✓ {to} has the {delivered} messages above that had no mark"),
            });
        }
        true
    }

    /// Marks a message that was not delivered, of which only the text is known; false if
    /// it is drawn for good.
    pub fn lost(&mut self, to: &str, text: &str) -> bool {
        self.passed.remove(to);
        self.mark_where(to, Mark::Lost, |entry, _| entry.body == text)
    }

    /// Marks every message to that peer that waits: all are kept, until it is there again.
    pub fn kept(&mut self, to: &str) {
        self.passed.remove(to);
        while self.mark_where(to, Mark::Kept, |_, _| true) {}
    }

    fn mark_where(&mut self, to: &str, mark: Mark, which: impl Fn(&Entry, u64) -> bool) -> bool {
        let is_it = |(entry, number): &&mut (Entry, u64)| {
            let ours = matches!(&entry.head, Head::To(name, mark) if name == to && mark.waits());
            ours && which(entry, *number)
        };
        let found = self.open.iter_mut().find(is_it);
        if let Some((entry, _)) = found {
            entry.head = Head::To(to.to_owned(), mark);
            return true;
        }
        false
    }

    /// Shows these bars in place of the last.
    pub fn set_bars(&mut self, bars: Vec<String>) {
        self.bars = bars;
    }

    /// How many bars there are.
    pub fn bars(&self) -> usize {
        self.bars.len()
    }

    /// Shows this prompt.
    pub fn set_prompt(&mut self, prompt: String) {
        self.prompt = prompt;
    }

    /// Shows that line with the cursor there; without one, no prompt.
    pub fn set_line(&mut self, line: Option<(String, usize)>) {
        self.line = line;
    }

    /// What has to be written so that the terminal shows all this.
    pub fn render(&mut self) -> String {
        let above = self.close();
        let (rows, cursor) = self.changing();
        let mut out = String::new();
        if self.drawn.stale || !above.is_empty() {
            // Rows that were wider than the terminal is now have become several.
            let height = |row: &String| width(row).div_ceil(self.columns.max(1)).max(1);
            let drawn = self.drawn.rows.iter().take(self.drawn.cursor.0);
            let inside = self.drawn.cursor.1 / self.columns.max(1);
            up(&mut out, drawn.map(height).sum::<usize>() + inside);
            out.push_str("\r\x1b[J");
            for row in above {
                out.push_str(&row);
                out.push_str("\r\n");
            }
            self.drawn = Drawn::default();
        }
        self.draw(&mut out, rows, cursor);
        out
    }

    /// The same without the prompt, which comes back with the next [`Self::render`].
    pub fn without_prompt(&mut self) -> String {
        let line = self.line.take();
        let text = self.render();
        (self.line, self.drawn) = (line, Drawn::default());
        text
    }

    /// Takes the entries that are drawn for good: those that wait for nothing, and those
    /// that the terminal has no room to keep open.
    fn close(&mut self) -> Vec<String> {
        let layout = self.layout();
        let most = MOST_OPEN_ROWS.min(self.rows / 4);
        // Only the last few can stay open.
        let mut open = 0;
        let mut last_first = self.open.iter().rev();
        let too_many = last_first.position(|(entry, _)| {
            open += entry.rows(layout).len();
            open > most
        });
        let mut closed = self.open.len() - too_many.unwrap_or(self.open.len());
        while let Some((entry, _)) = self.open.get(closed)
            && !entry.waits()
        {
            closed += 1;
        }
        let layout = Layout {
            breaks_words: false,
            ..layout
        };
        let mut rows = Vec::new();
        for (entry, number) in self.open.drain(..closed) {
            if let Head::To(to, mark) = &entry.head
                && mark.waits()
            {
                let passed = self.passed.entry(to.clone()).or_default();
                passed.waiting.insert(number);
            }
            rows.extend(entry.rows(layout));
        }
        rows
    }

    /// The layout of what changes: its rows are counted. The last column stays free,
    /// since terminals differ in where the cursor is after it.
    fn layout(&self) -> Layout {
        Layout {
            width: self.columns.saturating_sub(1).max(1),
            breaks_words: true,
            colours: self.colours,
        }
    }

    /// The rows that change, and where the cursor is in them.
    fn changing(&self) -> (Vec<String>, (usize, usize)) {
        let layout = self.layout();
        let open = self.open.iter();
        let mut rows: Vec<String> = open.flat_map(|(entry, _)| entry.rows(layout)).collect();
        let most = (self.rows / 4).max(1);
        let bars = self.bars.iter().take(most);
        rows.extend(bars.map(|bar| clip(bar, layout.width).to_owned()));
        let (mut edited, mut cursor) = match &self.line {
            Some((text, at)) => edited(&self.prompt, text, *at, layout.width),
            None => (vec![String::new()], (0, 0)),
        };
        // A long line is seen where the cursor is.
        let most = (self.rows / 2).max(1);
        if edited.len() > most {
            let first = (cursor.0 + 1).saturating_sub(most);
            edited = edited.drain(first..).take(most).collect();
            cursor.0 -= first;
        }
        cursor.0 += rows.len();
        rows.extend(edited);
        (rows, cursor)
    }

    /// Changes the rows that are other than before.
    fn draw(&mut self, out: &mut String, rows: Vec<String>, cursor: (usize, usize)) {
        let drawn = &mut self.drawn;
        let same = drawn
            .rows
            .iter()
            .zip(&rows)
            .take_while(|(a, b)| a == b)
            .count();
        if drawn.rows.is_empty() {
            drawn.rows.push(String::new());
        }
        let mut at = drawn.cursor.0;
        for (number, row) in rows.iter().enumerate().skip(same) {
            at = go(out, at, number, drawn.rows.len());
            out.push_str("\r\x1b[K");
            out.push_str(row);
            if number == drawn.rows.len() {
                drawn.rows.push(String::new());
            }
        }
        if drawn.rows.len() > rows.len() {
            at = go(out, at, rows.len(), drawn.rows.len());
            out.push_str("\r\x1b[J");
        }
        if same < rows.len() || drawn.rows.len() != rows.len() || cursor != drawn.cursor {
            go(out, at, cursor.0, rows.len());
            out.push('\r');
            if cursor.1 > 0 {
                out.push_str(&format!("\x1b[{}C", cursor.1));
            }
        }
        (drawn.rows, drawn.cursor) = (rows, cursor);
    }
}

/// Moves the cursor from one row to another; the row after the last of `there` is made.
fn go(out: &mut String, from: usize, to: usize, there: usize) -> usize {
    let last = to.min(there.saturating_sub(1));
    up(out, from.saturating_sub(last));
    if last > from {
        out.push_str(&format!("\x1b[{}B", last - from));
    }
    if to > last {
        out.push_str("\r\n");
    }
    to
}

fn up(out: &mut String, rows: usize) {
    if rows > 0 {
        out.push_str(&format!("\x1b[{rows}A"));
    }
}

/// Columns that a row takes; escape sequences take none.
fn width(row: &str) -> usize {
    textwrap::core::display_width(row)
}

/// The rows of a prompt and the text after it, and where the cursor is.
fn edited(prompt: &str, text: &str, at: usize, most: usize) -> (Vec<String>, (usize, usize)) {
    let (mut rows, mut row, mut column) = (Vec::new(), String::new(), 0);
    let mut cursor = None;
    let prompt = clip(prompt, most.saturating_sub(1));
    let typed = text.grapheme_indices(true).map(|(at, g)| (Some(at), g));
    let shown = prompt.graphemes(true).map(|g| (None, g)).chain(typed);
    for (place, grapheme) in shown {
        let is_newline = matches!(grapheme, "\n" | "\r\n");
        let shown = if is_newline {
            "⏎".to_owned()
        } else {
            clean(grapheme)
        };
        let width = shown.width();
        if column + width > most {
            rows.push(std::mem::take(&mut row));
            column = 0;
        }
        if place.is_some_and(|place| place >= at) {
            cursor.get_or_insert((rows.len(), column));
        }
        row.push_str(&shown);
        column += width;
        if is_newline {
            rows.push(std::mem::take(&mut row));
            column = 0;
        }
    }
    let cursor = cursor.unwrap_or((rows.len(), column));
    rows.push(row);
    (rows, cursor)
}

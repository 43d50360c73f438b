//! A trace as a ladder of text: a column for each node, a line for each packet.
//!
//! ```text
//!              alice     core      bob
//!       ms        nat-alice  nat-bob   server
//!     228.3  ●────┼────┼────✗    │    │  probe request 74c16c
//!                                       192.168.1.2:60748 → 203.0.113.33:58254
//!                                       ✗ FILTER_PORT: …
//! ```
//!
//! Packets that repeat an earlier one, on the same way and with the same end, are counted under it. An ICMP error
//! is under the packet that it is about.

pub(crate) mod changes;
mod lanes;
mod page;
pub(crate) mod rows;
pub(crate) mod text;
pub(crate) mod way;

use crate::Trace;

/// How a ladder is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The number of columns of the terminal. A ladder has 60 at least, and 100 at most.
    pub width: usize,
    /// With ASCII characters only.
    pub ascii: bool,
    /// With escape codes for colours.
    pub colour: bool,
    /// A line for every packet: none is folded.
    pub all: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            width: 100,
            ascii: false,
            colour: false,
            all: false,
        }
    }
}

/// Writes the ladder of a trace: its nodes, its packets, and the cause if there is one.
///
/// ```
/// use journey::{Trace, ladder};
///
/// let text = ladder::render(&Trace::default(), &ladder::Options::default());
/// assert_eq!(text, "The trace has no packets.\n");
/// ```
pub fn render(trace: &Trace, options: &Options) -> String {
    let mut page = page::Page::new(trace, options);
    let rows = rows::rows(trace, options.all);
    if rows.is_empty() {
        page.line("The trace has no packets.");
    } else {
        page.head();
    }
    for row in &rows {
        page.row(row);
    }
    page.cause();
    page.text()
}

#[cfg(test)]
pub(crate) mod tests;

//! The lines of the log that wait to be written: how many there may be, and of whom.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sansio::{Prefix, Shares};

/// Lines that may wait. When there are as many, the owner of most of them loses its oldest.
const MOST: usize = 4096;

/// The lines of one prefix in each window are written up to this number. Further ones are
/// counted, and summarised when the window ends.
const MOST_OF_PREFIX: u32 = 100;
pub const WINDOW: Duration = Duration::from_secs(10);

/// Windows at once. When there are as many, the one that ends first ends early.
const MOST_WINDOWS: usize = 4096;

/// The bytes that are written at once, but for the last line.
const BATCH: usize = 16 * 1024;

/// Whom a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The server itself.
    Server,
    /// `RUST_LOG` asks for it.
    Trace,
    Prefix(Prefix),
}

/// The lines of a prefix that were not written in one window.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    pub prefix: Prefix,
    /// By the kind of event.
    pub counts: BTreeMap<&'static str, u64>,
}

#[derive(Debug)]
struct Window {
    lines: u32,
    more: BTreeMap<&'static str, u64>,
}

/// The lines that wait, each with its owner.
#[derive(Debug, Default)]
pub struct Lines {
    waiting: BTreeMap<u64, (Owner, String)>,
    next: u64,
    shares: Shares<Owner, u64>,
    /// Lines that had to make room.
    dropped: u64,
    windows: BTreeMap<Prefix, Window>,
    ends: BTreeSet<(Instant, Prefix)>,
    summaries: Vec<Summary>,
}

impl Lines {
    /// A line about an event of that kind, unless its prefix has had its share of this window:
    /// then `line` is not made.
    pub fn event(
        &mut self,
        now: Instant,
        prefix: Prefix,
        kind: &'static str,
        line: impl FnOnce() -> String,
    ) {
        if !self.windows.contains_key(&prefix) {
            if self.windows.len() >= MOST_WINDOWS
                && let Some((_, first)) = self.ends.pop_first()
            {
                self.end(first);
            }
            self.ends.insert((now + WINDOW, prefix));
            let (lines, more) = (0, BTreeMap::new());
            self.windows.insert(prefix, Window { lines, more });
        }
        let Some(window) = self.windows.get_mut(&prefix) else {
            return;
        };
        if window.lines >= MOST_OF_PREFIX {
            *window.more.entry(kind).or_default() += 1;
            return;
        }
        window.lines += 1;
        self.push(Owner::Prefix(prefix), line());
    }

    /// A line without its end.
    pub fn push(&mut self, owner: Owner, line: String) {
        if self.waiting.len() >= MOST {
            self.dropped += 1;
            let Some((bigger, oldest)) = self.shares.pays(owner) else {
                return;
            };
            self.waiting.remove(&oldest);
            self.shares.remove(bigger, oldest);
        }
        self.waiting.insert(self.next, (owner, line));
        self.shares.insert(owner, self.next);
        self.next += 1;
    }

    /// Ends the windows that are over: see [`Self::summary`].
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, prefix)) = self.ends.first()
            && at <= now
        {
            self.ends.pop_first();
            self.end(prefix);
        }
    }

    /// Ends all windows.
    pub fn end_all(&mut self) {
        while let Some((_, prefix)) = self.ends.pop_first() {
            self.end(prefix);
        }
    }

    fn end(&mut self, prefix: Prefix) {
        let window = self.windows.remove(&prefix);
        if let Some(Window { more, .. }) = window.filter(|window| !window.more.is_empty()) {
            let counts = more;
            self.summaries.push(Summary { prefix, counts });
        }
    }

    /// The next summary of a window that has ended.
    pub fn summary(&mut self) -> Option<Summary> {
        self.summaries.pop()
    }

    /// When the next window ends.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.ends.first().map(|(at, _)| *at)
    }

    /// How many lines were dropped since the last time.
    pub fn dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes the oldest lines out, as many as are written at once.
    pub fn take(&mut self) -> String {
        let mut batch = String::new();
        while batch.len() < BATCH
            && let Some((number, (owner, line))) = self.waiting.pop_first()
        {
            self.shares.remove(owner, number);
            batch.push_str(&line);
            batch.push('\n');
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(net: u32) -> Prefix {
        let [_, a, b, _] = net.to_be_bytes();
        Prefix::of([198, a, b, 7].into())
    }

    fn all(lines: &mut Lines) -> String {
        let takes = std::iter::from_fn(|| (!lines.is_empty()).then(|| lines.take()));
        takes.collect()
    }

    #[test]
    fn a_prefix_has_its_lines_and_a_summary_and_another_all_of_its_own() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        for n in 0..9000 {
            let now = start + Duration::from_millis(n);
            lines.event(now, prefix(256), "registered", || format!("mallory {n}"));
            lines.event(now, prefix(256), "unregistered", || format!("mallory {n}"));
        }
        let now = start + Duration::from_secs(9);
        lines.event(now, prefix(512), "registered", || "alice".into());
        let written = all(&mut lines);
        assert_eq!(written.lines().count(), 101);
        assert!(written.ends_with("alice\n"));
        assert_eq!(lines.poll_timeout(), Some(start + WINDOW));
        lines.handle_timeout(now);
        assert_eq!(lines.summary(), None);
        lines.handle_timeout(start + WINDOW);
        let counts = [("registered", 8950), ("unregistered", 8950)].into();
        let prefix = prefix(256);
        assert_eq!(lines.summary(), Some(Summary { prefix, counts }));
        assert_eq!((lines.summary(), lines.dropped()), (None, 0));
        lines.event(now + WINDOW, prefix, "registered", || "again".into());
        assert_eq!(all(&mut lines), "again\n");
    }

    #[test]
    fn where_too_many_lines_wait_the_owner_of_most_loses_its_oldest() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        for n in 0..2 * MOST {
            lines.push(Owner::Trace, format!("trace {n}"));
        }
        for net in 0..100 {
            lines.event(now, prefix(net << 8), "registered", || format!("net {net}"));
        }
        lines.push(Owner::Server, "ended".into());
        assert_eq!(lines.dropped(), MOST as u64 + 101);
        assert_eq!(lines.dropped(), 0);
        let written = all(&mut lines);
        assert_eq!(written.lines().count(), MOST);
        assert!(written.ends_with("net 99\nended\n"));
        assert!(written.starts_with("trace 101\n"));
        assert!(lines.shares.is_empty());
    }

    #[test]
    fn windows_are_bounded_and_one_that_ends_early_is_summarised() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        for _ in 0..=MOST_OF_PREFIX {
            lines.event(now, prefix(0), "registered", String::new);
        }
        for net in 1..=MOST_WINDOWS as u32 {
            lines.event(
                now + WINDOW / 2,
                prefix(net << 8),
                "registered",
                String::new,
            );
        }
        assert_eq!(lines.windows.len(), MOST_WINDOWS);
        assert_eq!(
            lines.summary().map(|summary| summary.prefix),
            Some(prefix(0))
        );
        lines.end_all();
        assert!(lines.windows.is_empty() && lines.ends.is_empty());
    }
}

//! Messages to peers that are not there: kept in the order in which they were said, within
//! bounds, until they are delivered.
//!
//! Sans-IO: the time is an argument, in seconds since 1970, and the bytes are for whoever keeps
//! them on disk.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Messages that are kept, at most.
pub const MOST: usize = 500;

/// Their size at most, in bytes.
pub const MOST_BYTES: usize = 1024 * 1024;

/// How long one is kept, in seconds.
pub const MOST_AGE: u64 = 14 * 24 * 3600;

/// A message that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// For whom.
    pub to: String,
    /// The message.
    pub text: String,
    /// When it was said.
    pub said: u64,
    /// It was handed to a conversation, which has not delivered it yet.
    #[serde(skip)]
    under_way: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Pending {
    kept: VecDeque<Kept>,
}

impl Pending {
    /// What was kept on disk.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<Pending, serde_json::Error> {
        let kept = serde_json::from_slice(bytes)?;
        Ok(Pending { kept })
    }

    /// For the disk.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.kept).unwrap_or_default()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// For whom there are some, each once.
    pub fn peers(&self) -> Vec<String> {
        let mut peers = Vec::from_iter(self.kept.iter().map(|kept| kept.to.clone()));
        peers.sort();
        peers.dedup();
        peers
    }

    /// A conversation has ended without delivering this message. Returns what is dropped to make
    /// room for it.
    pub fn keep(&mut self, now: u64, to: &str, text: String) -> Vec<Kept> {
        let back = |kept: &&mut Kept| kept.under_way && kept.to == to && kept.text == text;
        if let Some(kept) = self.kept.iter_mut().find(back) {
            kept.under_way = false;
            return Vec::new();
        }
        self.kept.push_back(Kept {
            to: to.to_owned(),
            text,
            said: now,
            under_way: false,
        });
        let mut dropped = self.expire(now);
        // What is under way may arrive all the same.
        while (self.kept.len() > MOST || self.bytes() > MOST_BYTES)
            && let Some(at) = self.kept.iter().position(|kept| !kept.under_way)
        {
            dropped.extend(self.kept.remove(at));
        }
        dropped
    }

    /// Drops what is too old, unless it is under way; returns it.
    pub fn expire(&mut self, now: u64) -> Vec<Kept> {
        let old = |kept: &Kept| !kept.under_way && kept.said.saturating_add(MOST_AGE) <= now;
        let dropped = self.kept.iter().filter(|kept| old(kept)).cloned().collect();
        self.kept.retain(|kept| !old(kept));
        dropped
    }

    /// The peer is there: the next message for it.
    pub fn next_for(&mut self, to: &str) -> Option<String> {
        let waits = |kept: &&mut Kept| !kept.under_way && kept.to == to;
        let next = self.kept.iter_mut().find(waits)?;
        next.under_way = true;
        Some(next.text.clone())
    }

    /// A message was delivered; true if it was one of these.
    pub fn delivered(&mut self, to: &str, text: &str) -> bool {
        let is = |kept: &Kept| kept.under_way && kept.to == to && kept.text == text;
        let at = self.kept.iter().position(is);
        at.and_then(|at| self.kept.remove(at)).is_some()
    }

    fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.text.len() + 64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(kept: &[Kept]) -> Vec<&str> {
        kept.iter().map(|kept| kept.text.as_str()).collect()
    }

    #[test]
    fn messages_wait_in_order_until_they_are_delivered() {
        let mut pending = Pending::default();
        for (to, text) in [("bob", "one"), ("carol", "x"), ("bob", "two")] {
            assert_eq!(pending.keep(100, to, text.into()), []);
        }
        let mut pending = Pending::decode(&pending.encode()).unwrap();
        assert_eq!(pending.peers(), ["bob", "carol"]);
        let next: Vec<String> = std::iter::from_fn(|| pending.next_for("bob")).collect();
        assert_eq!(next, ["one", "two"]);
        assert!(pending.delivered("bob", "one") && !pending.delivered("bob", "one"));
        assert!(!pending.delivered("carol", "x"), "it was not sent");
        // The path is lost again: what was said first stays first, and as old as it is.
        assert_eq!(pending.keep(900, "bob", "two".into()), []);
        assert_eq!(pending.iter().map(|kept| kept.said).max(), Some(100));
        assert_eq!(pending.next_for("bob").as_deref(), Some("two"));
    }

    #[test]
    fn what_is_too_much_or_too_old_is_dropped_and_named() {
        let mut pending = Pending::default();
        for n in 0..MOST {
            assert_eq!(pending.keep(n as u64, "bob", n.to_string()), []);
        }
        assert_eq!(texts(&pending.keep(MOST as u64, "bob", "x".into())), ["0"]);
        let late = MOST_AGE + 2;
        assert_eq!(texts(&pending.keep(late, "bob", "y".into())), ["1", "2"]);
        let mut pending = Pending::default();
        let long = "z".repeat(MOST_BYTES / 4);
        let dropped = (0..4).map(|n| pending.keep(n, "bob", long.clone()).len());
        assert_eq!(Vec::from_iter(dropped), [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_under_way_is_not_called_undelivered() {
        let mut pending = Pending::default();
        for n in 0..MOST {
            pending.keep(0, "bob", n.to_string());
        }
        assert_eq!(pending.next_for("bob").as_deref(), Some("0"));
        assert_eq!(texts(&pending.keep(1, "bob", "x".into())), ["1"]);
        while pending.next_for("bob").is_some() {}
        assert_eq!(texts(&pending.keep(2, "bob", "y".into())), ["y"]);
        assert_eq!(pending.expire(MOST_AGE), []);
        assert!(pending.delivered("bob", "0"));
    }

    #[test]
    fn damaged_bytes_give_an_error() {
        for bytes in [&b""[..], b"{}", b"[1]", b"[{\"to\": \"bob\"}]"] {
            assert!(Pending::decode(bytes).is_err());
        }
    }
}

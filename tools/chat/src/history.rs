//! What was said, both ways, within bounds. Sans-IO, as [`pending`](crate::pending).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Messages that are remembered, at most.
pub const MOST: usize = 5000;

/// Their size at most, in bytes.
pub const MOST_BYTES: usize = 1024 * 1024;

/// A message that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// With whom.
    pub peer: String,
    /// By us, and not by the peer.
    pub ours: bool,
    /// The message.
    pub text: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// All of them, oldest first.
#[derive(Debug, Default)]
pub struct History {
    said: VecDeque<Said>,
    bytes: usize,
}

impl History {
    /// What was kept on disk.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn decode(bytes: &[u8]) -> Result<History, serde_json::Error> {
        let mut history = History::default();
        let said: Vec<Said> = serde_json::from_slice(bytes)?;
        said.into_iter().for_each(|said| history.add(said));
        Ok(history)
    }

    /// For the disk.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(&self.said).unwrap_or_default()
    }

    /// One more; the oldest make room.
    pub fn add(&mut self, said: Said) {
        self.bytes += weight(&said);
        self.said.push_back(said);
        while self.said.len() > MOST || self.bytes > MOST_BYTES {
            let gone = self.said.pop_front();
            self.bytes -= gone.as_ref().map_or(0, weight);
        }
    }

    /// The last ones with that peer, or with all, oldest first.
    pub fn last(&self, count: usize, peer: Option<&str>) -> Vec<Said> {
        let with = |said: &&Said| peer.is_none_or(|peer| said.peer == peer);
        let mut last = Vec::from_iter(self.said.iter().rev().filter(with).take(count).cloned());
        last.reverse();
        last
    }
}

fn weight(said: &Said) -> usize {
    said.text.len() + said.peer.len() + 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(peer: &str, text: &str) -> Said {
        Said {
            peer: peer.into(),
            ours: false,
            text: text.into(),
            at: 7,
        }
    }

    #[test]
    fn the_last_messages_are_remembered_within_bounds() {
        let mut history = History::default();
        for n in 0..MOST + 10 {
            history.add(said(["bob", "carol"][n % 2], &n.to_string()));
        }
        let history = History::decode(&history.encode()).unwrap();
        let texts = |peer| {
            let last = history.last(2, peer).into_iter();
            last.map(|said| said.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(None), ["5008", "5009"]);
        assert_eq!(texts(Some("bob")), ["5006", "5008"]);
        assert_eq!(history.last(usize::MAX, None).len(), MOST);
        let mut history = History::default();
        for _ in 0..5 {
            history.add(said("bob", &"z".repeat(MOST_BYTES / 4)));
        }
        assert_eq!(history.last(9, None).len(), 3);
    }
}

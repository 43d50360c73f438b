//! The items that were said and are not acknowledged: numbered, in order, with a
//! bound.

use std::collections::VecDeque;
use std::time::Instant;

use crate::frame::Item;

/// Items that wait for their acknowledgement, at most.
pub const MOST_WAITING: usize = 1000;

/// Their size at most, in bytes.
pub const MOST_BYTES: usize = 4 * 1024 * 1024;

/// An item that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Counts from 0.
    pub number: u64,
    /// What it is.
    pub item: Item,
    /// When it was said.
    pub said: Instant,
    /// When it was sent on this link.
    sent: Option<Instant>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Outbox {
    next: u64,
    waiting: VecDeque<Waiting>,
}

impl Outbox {
    /// Adds an item; returns its number. Ask for room first.
    pub fn push(&mut self, now: Instant, item: Item) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.push_back(Waiting {
            number,
            item,
            said: now,
            sent: None,
        });
        number
    }

    /// Whether more may be said.
    pub fn has_room(&self) -> bool {
        let bytes: usize = self.waiting.iter().map(|w| w.item.weight()).sum();
        self.waiting.len() < MOST_WAITING && bytes < MOST_BYTES
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The number of the next to be said.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the first that waits, or the next to be said.
    pub fn first(&self) -> u64 {
        self.waiting.front().map_or(self.next, |w| w.number)
    }

    /// When the first that waits was sent, if it was.
    pub fn oldest_sent(&self) -> Option<Instant> {
        self.waiting.front()?.sent
    }

    /// The first that was not sent on this link.
    pub fn next_to_send(&mut self, now: Instant) -> Option<(u64, Item)> {
        let next = self.waiting.iter_mut().find(|w| w.sent.is_none())?;
        next.sent = Some(now);
        Some((next.number, next.item.clone()))
    }

    /// Another link: none of them was sent on it.
    pub fn send_again(&mut self) {
        for waiting in &mut self.waiting {
            waiting.sent = None;
        }
    }

    /// Takes out one of the items that have arrived: those with numbers below
    /// `received`.
    pub fn take_before(&mut self, received: u64) -> Option<Waiting> {
        let first = self.waiting.front()?;
        if first.number < received {
            return self.waiting.pop_front();
        }
        None
    }

    /// Takes out all of them.
    pub fn give_up(&mut self) -> Vec<Item> {
        self.waiting.drain(..).map(|waiting| waiting.item).collect()
    }
}

impl Item {
    /// About how much memory it takes, in bytes.
    fn weight(&self) -> usize {
        match self {
            Item::Text(text) => text.len() + 64,
            Item::Offer { name, .. } => name.len() + 320,
            Item::Room { says, .. } => says.weight(),
            _ => 320,
        }
    }
}

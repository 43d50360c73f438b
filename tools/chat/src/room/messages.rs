//! Messages of ours to all members, until it is known of each member whether it has them.

use std::collections::BTreeMap;

/// Messages whose fate is not known, at most. Of older ones nothing more is told.
const MOST: usize = 1000;

/// How far a message has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Its number in the room.
    pub number: u64,
    /// What it says.
    pub text: String,
    /// To how many members it was said.
    pub of: usize,
    /// How many of them have it.
    pub delivered: usize,
    /// How many will not get it.
    pub lost: usize,
}

impl Tally {
    /// Whether nothing more will come of it.
    pub fn is_last(&self) -> bool {
        self.delivered + self.lost >= self.of
    }
}

/// The messages.
#[derive(Debug, Default)]
pub struct Messages {
    last: u64,
    under_way: BTreeMap<u64, Tally>,
    /// Which message each item of each conversation is.
    items: BTreeMap<(String, u64), u64>,
}

impl Messages {
    /// One more, with its number in each conversation; returns its own.
    pub fn said(&mut self, text: &str, to: Vec<(String, u64)>) -> u64 {
        self.last += 1;
        if self.under_way.len() >= MOST
            && let Some((oldest, _)) = self.under_way.pop_first()
        {
            self.items.retain(|_, message| *message != oldest);
        }
        let tally = Tally {
            number: self.last,
            text: text.to_owned(),
            of: to.len(),
            delivered: 0,
            lost: 0,
        };
        self.under_way.insert(self.last, tally);
        let items = to.into_iter().map(|item| (item, self.last));
        self.items.extend(items);
        self.last
    }

    /// One member has it.
    pub fn delivered(&mut self, to: &str, item: u64) -> Option<Tally> {
        let number = self.items.remove(&(to.to_owned(), item))?;
        self.under_way.get_mut(&number)?.delivered += 1;
        self.tally(number)
    }

    /// That member will not get what it has not got.
    pub fn lost(&mut self, to: &str) -> Vec<Tally> {
        let items = self.items.keys().filter(|(name, _)| name == to).cloned();
        let mut lost = Vec::new();
        for item in Vec::from_iter(items) {
            let Some(number) = self.items.remove(&item) else {
                continue;
            };
            if let Some(message) = self.under_way.get_mut(&number) {
                message.lost += 1;
                lost.extend(self.tally(number));
            }
        }
        lost
    }

    fn tally(&mut self, number: u64) -> Option<Tally> {
        let tally = self.under_way.get(&number)?.clone();
        if tally.is_last() {
            self.under_way.remove(&number);
        }
        Some(tally)
    }
}

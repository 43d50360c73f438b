//! The side that has the files: it waits for a receiver that knows the code, offers one file after
//! another, and goes on where it stopped when the receiver comes back.

use std::collections::{BTreeMap, VecDeque};

use session::identity::PublicKey;

use super::parcel::{Entry, Parcel};
use crate::frame::{Item, MOST_NAME};
use crate::text::cut;

/// Files on offer at once. A receiver keeps track of 32.
const MOST_OFFERED: usize = 16;

/// What the receiver has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It does not know yet what there is.
    Unannounced,
    /// It was told, and has not answered.
    Announced,
    /// It wants the files.
    Taking,
}

/// The sending side.
#[derive(Debug)]
pub struct Sender {
    name: String,
    files: u64,
    bytes: u64,
    stage: Stage,
    waiting: VecDeque<Entry>,
    offered: BTreeMap<String, Entry>,
    /// Files that the receiver has, and their size together.
    pub delivered: (u64, u64),
    failed: u64,
    /// Who has proven that it knows the code: from then on nobody else may.
    receiver: Option<(String, PublicKey)>,
}

impl Sender {
    /// With these files.
    pub fn new(parcel: Parcel) -> Sender {
        let bytes = parcel.bytes();
        Sender {
            files: parcel.entries.len() as u64,
            bytes,
            name: parcel.name,
            stage: Stage::Unannounced,
            waiting: parcel.entries.into(),
            offered: BTreeMap::new(),
            delivered: (0, 0),
            failed: 0,
            receiver: None,
        }
    }

    /// Of the one file or folder, or how many there are.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many files there are, and their size together.
    pub fn total(&self) -> (u64, u64) {
        (self.files, self.bytes)
    }

    /// The receiver's one-time name, once it has proven that it knows the code.
    pub fn receiver(&self) -> Option<&str> {
        self.receiver.as_ref().map(|(name, _)| name.as_str())
    }

    /// Whether the owner of this key may prove that it knows the code.
    pub fn admits(&self, key: &PublicKey) -> bool {
        let receiver = self.receiver.as_ref();
        receiver.is_none_or(|(_, known)| known == key)
    }

    /// The owner of this key has proven it.
    pub fn proven(&mut self, name: &str, key: PublicKey) {
        self.receiver = Some((name.to_owned(), key));
    }

    /// What the receiver has to be told first.
    pub fn announce(&mut self) -> Option<Item> {
        if self.stage != Stage::Unannounced || self.receiver.is_none() {
            return None;
        }
        self.stage = Stage::Announced;
        let name = cut(&self.name, MOST_NAME).to_owned();
        Some(Item::Parcel {
            files: self.files,
            bytes: self.bytes,
            name,
        })
    }

    /// The receiver wants the files; false if it was not asked.
    pub fn take(&mut self) -> bool {
        let asked = self.stage == Stage::Announced;
        if asked {
            self.stage = Stage::Taking;
        }
        asked
    }

    /// The next file to offer.
    pub fn next_offer(&mut self) -> Option<Entry> {
        if self.stage != Stage::Taking || self.offered.len() >= MOST_OFFERED {
            return None;
        }
        let entry = self.waiting.pop_front()?;
        self.offered.insert(entry.name.clone(), entry.clone());
        Some(entry)
    }

    /// The receiver has this file, or will not have it.
    pub fn ended(&mut self, name: &str, delivered: bool) {
        let Some(entry) = self.offered.remove(name) else {
            return;
        };
        match delivered {
            true => {
                self.delivered.0 += 1;
                self.delivered.1 += entry.size;
            }
            false => self.failed += 1,
        }
    }

    /// The receiver has forgotten what it was told: what it has not got is offered again.
    pub fn restart(&mut self) {
        self.stage = Stage::Unannounced;
        let offered = std::mem::take(&mut self.offered);
        for entry in offered.into_values().rev() {
            self.waiting.push_front(entry);
        }
    }

    /// Once every file has ended: how many will not arrive.
    pub fn outcome(&self) -> Option<u64> {
        (self.delivered.0 + self.failed == self.files).then_some(self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(files: usize) -> Sender {
        let entry = |n| Entry {
            path: format!("/x/{n:02}").into(),
            name: format!("{n:02}"),
            size: 10,
        };
        let mut parcel = Parcel::default();
        parcel.entries = (0..files).map(entry).collect();
        Sender::new(parcel)
    }

    fn offers(sender: &mut Sender) -> Vec<String> {
        std::iter::from_fn(|| sender.next_offer())
            .map(|entry| entry.name)
            .collect()
    }

    #[test]
    fn nothing_is_told_before_the_proof_and_no_file_before_it_is_wanted() {
        let mut sender = sender(1);
        assert_eq!((sender.announce(), sender.take()), (None, false));
        assert!(sender.next_offer().is_none());
        sender.proven("receiver", [1; 32]);
        assert!(matches!(
            sender.announce(),
            Some(Item::Parcel {
                files: 1,
                bytes: 10,
                ..
            })
        ));
        assert!(sender.announce().is_none() && sender.next_offer().is_none());
        assert!(sender.take() && !sender.take());
        assert_eq!(offers(&mut sender), ["00"]);
        assert!(sender.admits(&[1; 32]) && !sender.admits(&[2; 32]));
    }

    #[test]
    fn a_few_files_at_a_time_are_on_offer_until_all_have_ended() {
        let mut sender = sender(40);
        sender.proven("receiver", [1; 32]);
        sender.announce();
        sender.take();
        let mut seen = Vec::new();
        while sender.outcome().is_none() {
            let offers = offers(&mut sender);
            assert!(sender.offered.len() <= MOST_OFFERED);
            let first = sender.offered.keys().next().unwrap().clone();
            sender.ended(&first, first != "07");
            seen.extend(offers);
        }
        assert_eq!((seen.len(), sender.outcome()), (40, Some(1)));
        assert_eq!(sender.delivered, (39, 390));
    }

    #[test]
    fn a_receiver_that_comes_back_is_offered_what_it_has_not_got() {
        let mut sender = sender(3);
        sender.proven("receiver", [1; 32]);
        sender.announce();
        sender.take();
        assert_eq!(offers(&mut sender), ["00", "01", "02"]);
        sender.ended("01", true);
        sender.restart();
        assert!(sender.next_offer().is_none(), "it has to be told again");
        assert!(sender.announce().is_some() && sender.take());
        assert_eq!(offers(&mut sender), ["00", "02"]);
    }
}

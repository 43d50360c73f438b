//! Which files go to and come from one peer, and what was agreed on.
//!
//! Sans-IO: what a peer says goes in, what is to be done comes out.

use std::collections::BTreeMap;

use crate::frame::{FileHash, Item, Party};

/// Files in one direction at once, asked for or on their way, at most.
pub const MOST: usize = 32;

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to us.
    Incoming,
    /// From us to the peer.
    Outgoing,
}

/// A file that is on offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As its sender calls it. Not to be trusted.
    pub name: String,
    /// In bytes.
    pub size: u64,
}

/// From where on a file is wanted: what comes before is there already, if it is
/// still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// In bytes.
    pub offset: u64,
    /// BLAKE3 of what comes before.
    pub prefix: FileHash,
}

/// What to do about something that the peer has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the user; answer with [`Ledger::accept`] or [`Ledger::decline`].
    Ask(u64),
    /// Send the bytes of our file, as asked.
    Send {
        /// Our number.
        file: u64,
        /// From where.
        from: Start,
    },
    /// Tell the peer this.
    Say(Item),
    /// Our file has arrived.
    Completed {
        /// Which.
        file: File,
        /// Our number.
        number: u64,
    },
    /// A file will not come, or will not be taken, and why.
    Ended {
        /// Which.
        file: File,
        /// Its sender's number.
        number: u64,
        /// Whose it was.
        direction: Direction,
        /// Why, in the peer's words.
        why: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Asked,
    Accepted,
}

/// The files of one peer.
#[derive(Debug, Default)]
pub struct Ledger {
    next: u64,
    outgoing: BTreeMap<u64, File>,
    incoming: BTreeMap<u64, (File, Stage)>,
}

impl Ledger {
    /// Offers a file; `None` if too many are on their way.
    pub fn offer(&mut self, file: File) -> Option<(u64, Item)> {
        if self.outgoing.len() >= MOST {
            return None;
        }
        self.next += 1;
        let item = offer(self.next, &file);
        self.outgoing.insert(self.next, file);
        Some((self.next, item))
    }

    /// What the peer says of files.
    pub fn handle_item(&mut self, item: Item) -> Option<Action> {
        match item {
            Item::Offer { file, size, name } => {
                if self.incoming.len() >= MOST || self.incoming.contains_key(&file) {
                    let why = "too many files at once".into();
                    let by = Party::Receiver;
                    return Some(Action::Say(Item::Decline { file, by, why }));
                }
                let offered = File { name, size };
                self.incoming.insert(file, (offered, Stage::Asked));
                Some(Action::Ask(file))
            }
            Item::Accept {
                file,
                offset,
                prefix,
            } => {
                let known = self.outgoing.get(&file)?;
                let from = Start { offset, prefix };
                (offset <= known.size).then_some(Action::Send { file, from })
            }
            Item::Decline {
                file: number,
                by,
                why,
            } => {
                let (direction, ended) = match by {
                    Party::Sender => {
                        let ended = self.incoming.remove(&number).map(|(file, _)| file);
                        (Direction::Incoming, ended)
                    }
                    Party::Receiver => (Direction::Outgoing, self.outgoing.remove(&number)),
                };
                let file = ended?;
                Some(Action::Ended {
                    file,
                    number,
                    direction,
                    why,
                })
            }
            Item::Complete { file: number } => {
                let file = self.outgoing.remove(&number)?;
                Some(Action::Completed { file, number })
            }
            Item::Text(_)
            | Item::Parcel { .. }
            | Item::Take
            | Item::Refuse { .. }
            | Item::Room { .. }
            | Item::Unknown => None,
        }
    }

    /// The user wants it. From now on it is resumed, whatever happens; false
    /// if it was withdrawn.
    pub fn accept(&mut self, file: u64) -> bool {
        let entry = self.incoming.get_mut(&file);
        entry.map(|(_, stage)| *stage = Stage::Accepted).is_some()
    }

    /// Asks for the rest of a file that was accepted.
    pub fn ask(&self, file: u64, from: Start) -> Option<Item> {
        self.accepted(file)?;
        let Start { offset, prefix } = from;
        Some(Item::Accept {
            file,
            offset,
            prefix,
        })
    }

    /// The user does not want it, or it cannot be taken.
    pub fn decline(&mut self, file: u64, why: &str) -> Option<(File, Item)> {
        let (declined, _) = self.incoming.remove(&file)?;
        let (by, why) = (Party::Receiver, why.to_owned());
        Some((declined, Item::Decline { file, by, why }))
    }

    /// Our own file cannot be sent.
    pub fn withdraw(&mut self, file: u64, why: &str) -> Option<(File, Item)> {
        let withdrawn = self.outgoing.remove(&file)?;
        let (by, why) = (Party::Sender, why.to_owned());
        Some((withdrawn, Item::Decline { file, by, why }))
    }

    /// It is here, whole and right.
    pub fn complete(&mut self, file: u64) -> Option<(File, Item)> {
        let (complete, _) = self.incoming.remove(&file)?;
        Some((complete, Item::Complete { file }))
    }

    /// A file of the peer that was accepted.
    pub fn accepted(&self, file: u64) -> Option<&File> {
        let (file, stage) = self.incoming.get(&file)?;
        (*stage == Stage::Accepted).then_some(file)
    }

    /// A file of the peer, whether accepted or not.
    pub fn incoming(&self, file: u64) -> Option<&File> {
        self.incoming.get(&file).map(|(file, _)| file)
    }

    /// A file of ours.
    pub fn outgoing(&self, file: u64) -> Option<&File> {
        self.outgoing.get(&file)
    }

    /// Those of the peer that were accepted: ask for the rest on a new link.
    pub fn interrupted(&self) -> Vec<u64> {
        let accepted = |(_, stage): &(File, Stage)| *stage == Stage::Accepted;
        self.incoming
            .iter()
            .filter(|(_, entry)| accepted(entry))
            .map(|(number, _)| *number)
            .collect()
    }

    /// The peer has forgotten everything: what it offered is void, and what we
    /// offer has to be offered again.
    pub fn restarted(&mut self) -> Vec<Item> {
        self.incoming.clear();
        let files = self.outgoing.iter();
        files.map(|(number, file)| offer(*number, file)).collect()
    }

    /// The peer is gone: our files that it has not got.
    pub fn gave_up(&mut self) -> Vec<File> {
        self.incoming.clear();
        std::mem::take(&mut self.outgoing).into_values().collect()
    }

    /// Whether files of ours are on offer or on their way.
    pub fn is_sending(&self) -> bool {
        !self.outgoing.is_empty()
    }
}

fn offer(number: u64, file: &File) -> Item {
    Item::Offer {
        file: number,
        size: file.size,
        name: file.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> File {
        File {
            name: name.into(),
            size: 10,
        }
    }

    fn direction(action: Option<Action>) -> Option<Direction> {
        match action {
            Some(Action::Ended { direction, .. }) => Some(direction),
            _ => None,
        }
    }

    #[test]
    fn an_accepted_file_is_sent_from_the_byte_that_was_asked_for() {
        let (mut ours, mut theirs) = (Ledger::default(), Ledger::default());
        let (number, offer) = ours.offer(file("a")).unwrap();
        assert_eq!(theirs.handle_item(offer), Some(Action::Ask(number)));
        assert_eq!(theirs.accepted(number), None);
        let from = Start {
            offset: 4,
            prefix: [1; 32],
        };
        assert_eq!(theirs.ask(number, from), None);
        assert!(theirs.accept(number));
        let ask = theirs.ask(number, from).unwrap();
        let send = Action::Send { file: number, from };
        assert_eq!(ours.handle_item(ask), Some(send));
        assert_eq!(theirs.interrupted(), [number]);
        let (_, complete) = theirs.complete(number).unwrap();
        let completed = Action::Completed {
            file: file("a"),
            number,
        };
        assert_eq!(ours.handle_item(complete), Some(completed));
        assert!(!ours.is_sending());
    }

    #[test]
    fn sender_and_receiver_can_each_end_a_transfer() {
        let (mut ours, mut theirs) = (Ledger::default(), Ledger::default());
        let (number, offer) = ours.offer(file("a")).unwrap();
        theirs.handle_item(offer);
        let (_, no) = theirs.decline(number, "no").unwrap();
        let ended = ours.handle_item(no);
        assert_eq!(direction(ended), Some(Direction::Outgoing));

        let (number, offer) = ours.offer(file("b")).unwrap();
        theirs.handle_item(offer);
        let (_, gone) = ours.withdraw(number, "it has changed").unwrap();
        let ended = theirs.handle_item(gone);
        assert_eq!(direction(ended), Some(Direction::Incoming));
    }

    #[test]
    fn requests_for_unknown_files_or_beyond_the_end_are_ignored() {
        let mut ledger = Ledger::default();
        let accept = |offset| Item::Accept {
            file: 1,
            offset,
            prefix: [1; 32],
        };
        assert_eq!(ledger.handle_item(accept(0)), None);
        assert_eq!(ledger.handle_item(Item::Complete { file: 1 }), None);
        ledger.offer(file("a")).unwrap();
        assert_eq!(ledger.handle_item(accept(11)), None, "beyond its end");
        assert!(ledger.is_sending());
    }

    #[test]
    fn the_number_of_files_has_a_bound_in_both_directions() {
        let mut ledger = Ledger::default();
        let offers = (0..).take_while(|_| ledger.offer(file("a")).is_some());
        assert_eq!(offers.count(), MOST);
        for number in 0..MOST as u64 {
            let act = ledger.handle_item(offer(number, &file("b")));
            assert_eq!(act, Some(Action::Ask(number)));
        }
        let act = ledger.handle_item(offer(99, &file("b")));
        assert!(matches!(act, Some(Action::Say(Item::Decline { .. }))));
    }

    #[test]
    fn a_restarted_peer_is_offered_our_files_again() {
        let mut ledger = Ledger::default();
        let (_, item) = ledger.offer(file("a")).unwrap();
        ledger.handle_item(offer(7, &file("b")));
        assert_eq!(ledger.restarted(), [item]);
        assert_eq!(ledger.incoming(7), None);
    }
}

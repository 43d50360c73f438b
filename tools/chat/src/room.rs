//! A room: up to sixteen people, each with a conversation with each other one. Members tell each
//! other who is in it; each says its own lines to all.
//!
//! Sans-IO: report what members say with [`Room::handle`], the ends of conversations with
//! [`Room::gave_up`] and [`Room::restarted`], and what was delivered with [`Room::delivered`]; call
//! [`Room::retry`] from time to time; do what [`Room::poll_output`] says. Whether the key of a
//! member that another one tells is right, and whether the user wants to meet it, is not decided
//! here.

mod messages;

use std::collections::{BTreeMap, VecDeque};

use session::identity::PublicKey;

use crate::frame::{InRoom, MOST_TOLD, Member};
use messages::Messages;
pub use messages::Tally;

/// People in a room at most, with us.
pub const MOST: usize = MOST_TOLD + 1;

/// How often a member that was told is looked for.
const MOST_TRIES: u32 = 10;

/// A room that we are in.
#[derive(Debug)]
pub struct Room {
    name: String,
    us: Member,
    others: BTreeMap<String, Other>,
    messages: Messages,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
struct Other {
    key: PublicKey,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    /// It has told us itself that it is in the room.
    Present,
    /// Another member has told us.
    Told { by: String, tries: u32 },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Say this to that peer.
    Say(String, InRoom),
    /// Look for that member, of whom this one has told us.
    Meet {
        /// Who it is.
        member: Member,
        /// Who says so.
        by: String,
        /// We have looked for it before.
        again: bool,
    },
    /// It is in the room.
    Joined(String),
    /// It is no longer.
    Gone(String, Why),
    /// A message of ours has not reached that member.
    Lost(String, Tally),
    /// This member has no place for us: leave.
    Full(String),
}

/// Why a member is no longer in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has said so, or ended its chat.
    Left,
    /// There is no path to it any more.
    Lost,
    /// It is another process than before.
    Restarted,
}

impl Room {
    /// With us alone.
    pub fn new(name: String, us: Member) -> Room {
        Room {
            name,
            us,
            others: BTreeMap::new(),
            messages: Messages::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who is in it beside us.
    pub fn present(&self) -> impl Iterator<Item = &String> {
        let present = |(_, other): &(&String, &Other)| other.seen == Seen::Present;
        self.others.iter().filter(present).map(|(name, _)| name)
    }

    /// Whether that peer is in it.
    pub fn has(&self, name: &str) -> bool {
        let other = self.others.get(name);
        other.is_some_and(|other| other.seen == Seen::Present)
    }

    /// Whether that peer is in it, or was told to be.
    pub fn knows(&self, name: &str) -> bool {
        self.others.contains_key(name)
    }

    /// Who was told to be in it and has not told us itself; and by whom.
    pub fn told(&self) -> impl Iterator<Item = (&String, &String)> {
        self.others
            .iter()
            .filter_map(|(name, other)| match &other.seen {
                Seen::Told { by, .. } => Some((name, by)),
                Seen::Present => None,
            })
    }

    /// Tells that peer that we are here, and who else is.
    pub fn announce(&mut self, to: &str) {
        let there = self.others.iter().filter(|(name, other)| {
            let is_to = name.as_str() == to;
            other.seen == Seen::Present && !is_to
        });
        let members = there.map(|(name, other)| Member {
            name: name.clone(),
            key: other.key,
        });
        let join = InRoom::Join(members.take(MOST_TOLD).collect());
        self.outputs.push_back(Output::Say(to.to_owned(), join));
    }

    /// A peer says something of who is in the room.
    pub fn handle(&mut self, from: &Member, says: InRoom) {
        match says {
            InRoom::Join(members) => {
                if self.joined(from) {
                    for member in members {
                        self.tell(member, &from.name);
                    }
                }
            }
            InRoom::Leave => self.gone(&from.name, Why::Left),
            // Somebody who is not in the room cannot send us away.
            InRoom::Full if self.knows(&from.name) || self.others.is_empty() => {
                self.outputs.push_back(Output::Full(from.name.clone()));
            }
            InRoom::Full | InRoom::Text(_) => {}
        }
    }

    /// Whether there is a place for that peer, which is in the room from now on.
    fn joined(&mut self, from: &Member) -> bool {
        if self.has(&from.name) {
            return true;
        }
        if self.present().count() >= MOST_TOLD {
            let full = Output::Say(from.name.clone(), InRoom::Full);
            self.outputs.push_back(full);
            return false;
        }
        let news = !self.knows(&from.name);
        let others = Vec::from_iter(self.present().cloned());
        if news {
            self.make_place();
        }
        let (key, seen) = (from.key, Seen::Present);
        self.others.insert(from.name.clone(), Other { key, seen });
        self.outputs.push_back(Output::Joined(from.name.clone()));
        self.announce(&from.name);
        if news {
            for other in others {
                let join = InRoom::Join(vec![from.clone()]);
                self.outputs.push_back(Output::Say(other, join));
            }
        }
        true
    }

    /// One that was only told goes where another needs its place.
    fn make_place(&mut self) {
        if self.others.len() < MOST_TOLD {
            return;
        }
        let told = self.told().map(|(name, _)| name.clone()).next();
        if let Some(told) = told {
            self.others.remove(&told);
        }
    }

    fn tell(&mut self, member: Member, by: &str) {
        let is_us = member.name == self.us.name || member.key == self.us.key;
        if is_us || self.knows(&member.name) || self.others.len() >= MOST_TOLD {
            return;
        }
        let seen = Seen::Told {
            by: by.to_owned(),
            tries: 1,
        };
        let key = member.key;
        self.others.insert(member.name.clone(), Other { key, seen });
        let (by, again) = (by.to_owned(), false);
        self.outputs.push_back(Output::Meet { member, by, again });
    }

    /// Looks again for those that were told. After some tries it is forgotten that they were.
    pub fn retry(&mut self) {
        let mut forgotten = Vec::new();
        for (name, other) in &mut self.others {
            let Seen::Told { by, tries } = &mut other.seen else {
                continue;
            };
            if *tries >= MOST_TRIES {
                forgotten.push(name.clone());
                continue;
            }
            *tries += 1;
            let member = Member {
                name: name.clone(),
                key: other.key,
            };
            let (by, again) = (by.clone(), true);
            self.outputs.push_back(Output::Meet { member, by, again });
        }
        for name in forgotten {
            self.others.remove(&name);
        }
    }

    /// That member waits for the user: we have not looked for it.
    pub fn waits(&mut self, name: &str) {
        let other = self.others.get_mut(name);
        if let Some(Seen::Told { tries, .. }) = other.map(|other| &mut other.seen) {
            *tries = 1;
        }
    }

    /// The user, or the keys, say that this is nobody to meet.
    pub fn forget(&mut self, name: &str) {
        if !self.has(name) {
            self.others.remove(name);
        }
    }

    fn gone(&mut self, name: &str, why: Why) {
        let was_here = self.has(name);
        let other = self.others.remove(name);
        if !was_here {
            return;
        }
        self.outputs.push_back(Output::Gone(name.to_owned(), why));
        if let (Some(Other { key, .. }), Why::Lost | Why::Restarted) = (other, why) {
            // It may come back, and has to be told: we look for it as for one that was told.
            let (by, tries) = (name.to_owned(), 0);
            let seen = Seen::Told { by, tries };
            self.others.insert(name.to_owned(), Other { key, seen });
        }
    }

    /// The conversation with that peer has ended, and what was not delivered to it is lost.
    /// `left` is whether its user has ended it.
    pub fn gave_up(&mut self, name: &str, left: bool) {
        for lost in self.messages.lost(name) {
            self.outputs.push_back(Output::Lost(name.to_owned(), lost));
        }
        // One that we only look for is looked for again.
        if self.has(name) {
            self.gone(name, if left { Why::Left } else { Why::Lost });
        }
    }

    /// The peer is another process, which is not in the room.
    pub fn restarted(&mut self, name: &str) {
        if self.has(name) {
            self.gone(name, Why::Restarted);
        }
    }

    /// We leave.
    pub fn leave(&mut self) {
        let present = Vec::from_iter(self.present().cloned());
        for name in present {
            self.outputs.push_back(Output::Say(name, InRoom::Leave));
        }
    }

    /// A message of ours was said to these members, in each conversation with this number;
    /// returns its own.
    pub fn said(&mut self, text: &str, to: Vec<(String, u64)>) -> u64 {
        self.messages.said(text, to)
    }

    /// The item of this number was delivered to that peer; `None` if it is no message of ours in
    /// the room.
    pub fn delivered(&mut self, to: &str, number: u64) -> Option<Tally> {
        self.messages.delivered(to, number)
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }
}

#[cfg(test)]
mod tests;

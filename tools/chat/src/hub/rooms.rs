//! The room that we are in. Its members are peers as all others: each has its key, its path and
//! its conversation. Who is in it, and who has what was said, is in [`Room`].

mod members;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cli::address::PeerAddress;
use session::identity::PublicKey;
use session::name::valid_name;

use super::Hub;
use crate::frame::{InRoom, MOST_TOLD, Member};
use crate::notice::Notice;
use crate::room::{MOST, Room};

/// How often members that are not reached are looked for.
const MEET: Duration = Duration::from_secs(30);

/// Our rooms.
#[derive(Debug)]
pub struct Rooms {
    /// The user is asked before we meet somebody who is not known.
    asks: bool,
    current: Option<Current>,
    /// The room that a peer has told us of, and that we are not in.
    invitations: BTreeMap<String, String>,
    /// Whom the user does not want to meet.
    rejected: BTreeSet<PublicKey>,
}

#[derive(Debug)]
struct Current {
    room: Room,
    /// Everybody who is connected is told of it.
    open: bool,
    /// Who else is told of it.
    invited: BTreeSet<String>,
    meet_at: Instant,
}

impl Rooms {
    /// With none yet.
    pub fn new(asks: bool) -> Rooms {
        Rooms {
            asks,
            current: None,
            invitations: BTreeMap::new(),
            rejected: BTreeSet::new(),
        }
    }

    /// When [`Hub::tend_room`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let current = self.current.as_ref()?;
        current.room.told().next()?;
        Some(current.meet_at)
    }

    /// Whether we are in the room of that name.
    pub fn is_in(&self, name: &str) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.room.name() == name)
    }

    /// The room of that name, if we are in it.
    fn room(&mut self, name: &str) -> Option<&mut Room> {
        let room = &mut self.current.as_mut()?.room;
        (room.name() == name).then_some(room)
    }
}

impl Hub {
    /// `/room NAME [PEER…]`: enters the room, and tells everybody who is connected, or these
    /// peers.
    pub(super) fn enter_room(&mut self, now: Instant, name: String, peers: Vec<String>) {
        if !valid_name(&name) {
            return self
                .user
                .problem(format!("{name:?} cannot be the name of a room"));
        }
        if peers.len() > MOST_TOLD {
            return self
                .user
                .problem(format!("a room has room for {MOST} people, with you"));
        }
        let own = self.rooms.current.as_ref().map(|own| own.room.name());
        match own {
            Some(own) if own != name => {
                let problem = format!("you are in the room {own}; type /leave first");
                return self.user.problem(problem);
            }
            Some(_) => {}
            None => {
                let us = Member {
                    name: self.name.clone(),
                    key: self.network.identity.public(),
                };
                let inviting = self.rooms.invitations.iter().filter(|(_, r)| **r == name);
                self.rooms.current = Some(Current {
                    room: Room::new(name.clone(), us),
                    open: peers.is_empty(),
                    invited: inviting.map(|(peer, _)| peer.clone()).collect(),
                    meet_at: now + MEET,
                });
                self.rooms.invitations.retain(|_, room| *room != name);
                self.user.tell(Notice::RoomEntered { room: name.clone() });
            }
        }
        for peer in peers {
            self.open(now, &peer);
            if let (Ok(peer), Some(own)) = (peer.parse::<PeerAddress>(), &mut self.rooms.current) {
                own.invited.insert(peer.name);
            }
        }
        self.user.choose_room(&name);
        let greeted = self.peers.iter().filter_map(|(peer, state)| {
            let rooms = state.conversation.knows_rooms()?;
            Some((peer.clone(), rooms))
        });
        for (peer, rooms) in Vec::from_iter(greeted) {
            self.room_greeted(now, &peer, rooms);
        }
    }

    /// `/leave`
    pub(super) fn leave_room(&mut self, now: Instant) {
        let Some(own) = &mut self.rooms.current else {
            return self.user.problem(NO_ROOM);
        };
        own.room.leave();
        self.carry_room(now);
        self.end_room();
    }

    fn end_room(&mut self) {
        if let Some(own) = self.rooms.current.take() {
            self.user.leave_room();
            let room = own.room.name().to_owned();
            self.user.tell(Notice::RoomEnded { room });
        }
    }

    /// `/room`: the members, and their paths.
    pub(super) fn list_room(&mut self) {
        let Some(own) = &self.rooms.current else {
            return self.user.problem(NO_ROOM);
        };
        let peers = self.peers.iter().filter(|(name, _)| own.room.has(name));
        let members = peers.filter_map(|(name, peer)| self.path_line(name, peer));
        let told = own.room.told();
        let notice = Notice::Room {
            room: own.room.name().to_owned(),
            members: members.collect(),
            told: told.map(|(name, by)| (name.clone(), by.clone())).collect(),
        };
        self.user.tell(notice);
    }

    /// The peer has said hello on its link, and whether it knows rooms.
    pub(super) fn room_greeted(&mut self, now: Instant, peer: &str, rooms: bool) {
        let Some(own) = &mut self.rooms.current else {
            return;
        };
        if !own.open && !own.invited.contains(peer) && !own.room.knows(peer) {
            return;
        }
        if rooms {
            own.room.announce(peer);
            return self.carry_room(now);
        }
        own.room.forget(peer);
        // A script that has not named the peer has not failed.
        if self.user.is_interactive() || own.invited.contains(peer) {
            self.user.problem(format!(
                "the chat of {peer} is of an earlier version, which knows no rooms: {peer} is not \
                 in the room {}",
                own.room.name()
            ));
        }
    }

    /// A peer says something in a room, or of it.
    pub(super) fn room_item(&mut self, now: Instant, from: &str, name: String, says: InRoom) {
        let key = self.peers.get_mut(from).and_then(|peer| peer.contact.key);
        let Some(key) = key else { return };
        let (from, leaving) = (from.to_owned(), self.leaving.has_begun());
        let member = Member {
            name: from.clone(),
            key,
        };
        let room = self.rooms.room(&name);
        match (room, says) {
            // Who is not in the room with us says it to us alone.
            (Some(room), InRoom::Text(text)) if room.has(&from) => {
                self.remember(now, &format!("#{name} {from}"), false, &text);
                let room = name;
                self.user.tell(Notice::RoomMessage { room, from, text });
            }
            (_, InRoom::Text(text)) => {
                self.remember(now, &from, false, &text);
                self.user.tell(Notice::Message { from, text });
            }
            (Some(room), says) => {
                room.handle(&member, says);
                self.carry_room(now);
            }
            (None, InRoom::Join(others)) if !leaving => {
                let known = self.rooms.invitations.insert(from.clone(), name.clone());
                if known.as_ref() != Some(&name) {
                    self.user.tell(Notice::RoomInvited {
                        room: name,
                        peer: from,
                        members: others.len() + 1,
                    });
                }
            }
            (None, InRoom::Leave) => {
                self.rooms.invitations.retain(|peer, _| *peer != from);
            }
            (None, InRoom::Join(_) | InRoom::Full) => {}
        }
    }
}

const NO_ROOM: &str = "you are in no room; type /room NAME";

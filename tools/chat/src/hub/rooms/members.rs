//! Who is met: what the room wants to be done, and what became of members.

use std::time::{Duration, Instant};

use nat::plan::Role;
use session::identity::PublicKey;

use super::MEET;
use crate::frame::{Item, Member};
use crate::hub::Hub;
use crate::notice::Notice;
use crate::room::{MOST, Output};

/// How long the one of two members waits for the other's call, whose name comes first: if both
/// called at once, they would make two paths.
const YIELD: Duration = Duration::from_secs(2);

impl Hub {
    /// The peer is another process, which is in no room.
    pub(in crate::hub) fn room_restarted(&mut self, now: Instant, peer: &str) {
        self.rooms.invitations.remove(peer);
        if let Some(own) = &mut self.rooms.current {
            own.room.restarted(peer);
            self.carry_room(now);
        }
    }

    /// The conversation with that peer has ended.
    pub(in crate::hub) fn room_gave_up(&mut self, now: Instant, peer: &str, left: bool) {
        self.rooms.invitations.remove(peer);
        if let Some(own) = &mut self.rooms.current {
            own.room.gave_up(peer, left);
            self.carry_room(now);
        }
    }

    /// The user does not want to meet that member.
    pub(in crate::hub) fn room_rejected(&mut self, name: &str, key: PublicKey) {
        self.rooms.rejected.insert(key);
        if let Some(own) = &mut self.rooms.current {
            own.room.forget(name);
        }
    }

    /// Looks for members that are not reached.
    pub(in crate::hub) fn tend_room(&mut self, now: Instant) {
        if let Some(own) = &mut self.rooms.current
            && own.meet_at <= now
        {
            own.meet_at = now + MEET;
            own.room.retry();
            self.carry_room(now);
        }
    }

    /// Does what the room wants to be done.
    pub(super) fn carry_room(&mut self, now: Instant) {
        while let Some(own) = &mut self.rooms.current
            && let Some(output) = own.room.poll_output()
        {
            let room = own.room.name().to_owned();
            match output {
                Output::Say(to, says) => {
                    if let Some(peer) = self.peers.get_mut(&to)
                        && peer
                            .conversation
                            .say(now, Item::Room { room, says })
                            .is_err()
                    {
                        tracing::debug!(peer = to, "no room to tell of the room");
                    }
                }
                Output::Meet { member, by, again } => self.meet(now, member, &by, again),
                Output::Joined(peer) => {
                    let members = own.room.present().count() + 1;
                    self.user.tell(Notice::RoomJoined {
                        room,
                        peer,
                        members,
                    });
                }
                // All of them go when we do.
                Output::Gone(..) if self.leaving.has_begun() => {}
                Output::Gone(peer, why) => {
                    self.user.tell(Notice::RoomLeft { room, peer, why });
                }
                Output::Lost(peer, tally) => self.user.tell(Notice::RoomDelivered {
                    room,
                    peer,
                    tally,
                    after: None,
                }),
                Output::Full(by) => {
                    self.user.problem(format!(
                        "the room {room} is full: {MOST} people are in it, says {by}"
                    ));
                    self.leave_room(now);
                }
            }
        }
    }

    /// A member of whom another one has told us. Its key is checked as that of any peer, and a
    /// stranger waits for the user as any caller.
    fn meet(&mut self, now: Instant, member: Member, by: &str, again: bool) {
        let Member { name, key } = member;
        if self.rooms.rejected.contains(&key) {
            return;
        }
        let known = self.keyring.key_of(&name);
        if known.is_some_and(|known| known != key) {
            if let Some(own) = &mut self.rooms.current {
                own.room.forget(&name);
            }
            return self.user.problem(format!(
                "{by} knows {name}, who is in the room, by another key than you: not connected. \
                 Ask {name} over another channel which one is right"
            ));
        }
        let peer = self.peers.get_mut(&name);
        if let Some(rooms) = peer.and_then(|peer| peer.conversation.knows_rooms()) {
            return self.room_greeted(now, &name, rooms);
        }
        if known.is_none() {
            if self.rooms.asks {
                if let Some(own) = &mut self.rooms.current {
                    own.room.waits(&name);
                }
                return self.asked(now, &name, key, None);
            }
            self.network.endpoint.trust(&name, key);
        }
        if let Some(own) = &mut self.rooms.current
            && !again
            && self.name > name
        {
            own.meet_at = own.meet_at.min(now + YIELD);
            return;
        }
        let Some(peer) = self.entry(&name) else {
            return;
        };
        if peer.conversation.is_idle() {
            // That it is still not there is no news.
            peer.parted = again;
            peer.stranger = false;
            peer.contact.role = Role::Caller;
            peer.conversation.open(now);
        }
    }
}

//! Lines to all in the room.

use std::time::{Duration, Instant};

use crate::frame::{InRoom, Item};
use crate::hub::Hub;
use crate::notice::Notice;

impl Hub {
    /// Says the line that waits to all members, once there is one, and room for it.
    pub(in crate::hub) fn say_in_room(&mut self, now: Instant) {
        let Some(own) = &mut self.rooms.current else {
            return;
        };
        let room = format!("#{}", own.room.name());
        let mut members = Vec::from_iter(own.room.present().cloned());
        members.retain(|name| self.peers.contains(name));
        if members.is_empty() {
            if self.user.is_interactive()
                && let Some(text) = self.user.take_line()
            {
                self.user.said(&room, None, &text);
                self.user
                    .problem("not sent: nobody else is in the room yet");
            }
            return;
        }
        let has_room = |name: &String| {
            let peer = self.peers.get_mut(name);
            peer.is_some_and(|peer| peer.conversation.has_room())
        };
        if !members.iter().all(has_room) {
            return;
        }
        let Some(text) = self.user.take_line() else {
            return;
        };
        let mut said = Vec::new();
        for name in members {
            let item = Item::Room {
                room: own.room.name().to_owned(),
                says: InRoom::Text(text.clone()),
            };
            if let Some(peer) = self.peers.get_mut(&name)
                && let Ok(number) = peer.conversation.say(now, item)
            {
                said.push((name, number));
            }
        }
        let of = said.len();
        let number = own.room.said(&text, said);
        self.user.said_in_room(&room, number, of, &text);
        self.remember(now, &room, true, &text);
    }

    /// A message in a room was delivered to that peer.
    pub(in crate::hub) fn room_delivered(
        &mut self,
        peer: &str,
        name: String,
        number: u64,
        after: Duration,
    ) {
        let room = self.rooms.room(&name);
        if let Some(tally) = room.and_then(|room| room.delivered(peer, number)) {
            self.user.tell(Notice::RoomDelivered {
                room: name,
                peer: peer.to_owned(),
                tally,
                after: Some(after),
            });
        }
    }
}

//! What conversations and the tasks of files report, and the line that waits to
//! be said.

use std::time::Instant;

use super::Hub;
use super::typed::NOBODY;
use crate::conversation::Event;
use crate::files::transfers::Job;
use crate::frame::{InRoom, Item};
use crate::link::Close;
use crate::notice::Notice;

impl Hub {
    /// Says the line that waits, if there is somebody, and room. If not, a
    /// script's line goes on waiting, and a person is told; a person's line waits for
    /// room while there is a link.
    pub(super) fn say_line(&mut self, now: Instant) {
        if !self.user.holds_line() {
            return;
        }
        if self.user.is_in_room() {
            return self.say_in_room(now);
        }
        if let Some(to) = self.user.chosen().map(str::to_owned)
            && self.waits_behind(&to)
            && let Some(text) = self.user.take_line()
        {
            self.user.said_later(&to, &text);
            self.remember(now, &to, true, &text);
            let _ = self.keep(now, &to, text);
            self.tell_kept(&to);
            if let Some(peer) = self.peers.get_mut(&to) {
                peer.conversation.open(now);
            }
            return;
        }
        let to = self.user.chosen().map(str::to_owned);
        let peer = to.as_deref().and_then(|to| self.peers.get_mut(to));
        let problem = match peer {
            Some(peer) if peer.conversation.has_room() => {
                if let (Some(to), Some(text)) = (to, self.user.take_line()) {
                    peer.stranger = false;
                    let number = peer.conversation.say(now, Item::Text(text.clone()));
                    self.user.said(&to, number.ok(), &text);
                    self.remember(now, &to, true, &text);
                }
                return;
            }
            Some(peer) if peer.conversation.is_up() => return,
            Some(_) => "not sent: too much waits to be delivered already",
            None => NOBODY,
        };
        if self.user.is_interactive()
            && let Some(text) = self.user.take_line()
        {
            let to = to.as_deref().unwrap_or("nobody");
            self.user.said(to, None, &text);
            self.user.problem(problem);
        }
    }

    /// A conversation reports something.
    pub(super) fn handle_conversation(&mut self, now: Instant, name: &str, event: Event) {
        let to = name.to_owned();
        match event {
            Event::Received(item) if self.handover_item(now, name, &item) => {}
            Event::Received(Item::Text(text)) => {
                self.remember(now, name, false, &text);
                self.user.tell(Notice::Message { from: to, text });
            }
            Event::Received(Item::Room { room, says }) => self.room_item(now, name, room, says),
            Event::Received(item) => {
                if let Some(peer) = self.peers.get_mut(name) {
                    peer.files.handle_item(&mut self.transfers, item);
                }
            }
            Event::Delivered {
                number,
                item: Item::Text(text),
                after,
            } => {
                self.kept_delivered(now, name, &text);
                self.user.tell(Notice::Delivered {
                    to,
                    number,
                    text,
                    after,
                });
            }
            Event::Delivered {
                number,
                item: Item::Room { room, .. },
                after,
            } => self.room_delivered(name, room, number, after),
            Event::Delivered { .. } => {}
            Event::Greeted { rooms } => self.room_greeted(now, name, rooms),
            Event::Restarted if self.handover_restarted(name) => {}
            Event::Restarted => {
                if let Some(peer) = self.peers.get_mut(name) {
                    peer.files.restarted(&mut self.transfers);
                }
                self.user.tell(Notice::Restarted { peer: to });
                self.room_restarted(now, name);
            }
            Event::Call => {
                if let Some(peer) = self.peers.get_mut(name) {
                    peer.doubted = true;
                }
                self.network.endpoint.refresh(now);
                self.network.endpoint.call(now, name);
            }
            Event::GaveUp(_) if self.handover.is_some() => self.handover_gave_up(now, name),
            Event::GaveUp(items) => self.gave_up(now, name, items),
        }
    }

    fn gave_up(&mut self, now: Instant, name: &str, items: Vec<Item>) {
        if self.forget_stranger(name) {
            return;
        }
        self.network.endpoint.hang_up(name);
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        let why = peer.obstacle.clear();
        if let Some(line) = peer.line.take() {
            line.link.close(Close::Bye);
        }
        if let Some(key) = peer.contact.key {
            self.network.allowed.remove(&key);
        }
        let left = std::mem::take(&mut peer.parted);
        if !left {
            if !peer.met {
                self.user.fail();
            }
            let name = name.to_owned();
            self.user.tell(Notice::GaveUp { peer: name, why });
        }
        let lost_files = peer.files.gave_up(&mut self.transfers);
        let mut keeps = false;
        for item in items {
            let text = match item {
                Item::Text(text) => text,
                // Of a room that we are in, the room tells.
                Item::Room {
                    room,
                    says: InRoom::Text(text),
                } if !self.rooms.is_in(&room) => {
                    let to = format!("{name} in #{room}");
                    self.user.tell(Notice::Undelivered { to, text });
                    continue;
                }
                _ => continue,
            };
            match self.keep(now, name, text) {
                Ok(()) => keeps = true,
                Err(text) => {
                    let to = name.to_owned();
                    self.user.tell(Notice::Undelivered { to, text });
                }
            }
        }
        if keeps {
            self.tell_kept(name);
        }
        self.room_gave_up(now, name, left);
        if lost_files > 0 {
            self.user.fail();
        }
        self.close_streams(now);
    }

    /// A task of the transfers has ended.
    pub(super) fn handle_job(&mut self, Job { peer, done }: Job) {
        if let Some(peer) = self.peers.get_mut(&peer) {
            peer.files.handle_done(&mut self.transfers, done);
        }
    }
}

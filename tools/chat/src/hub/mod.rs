//! Where everything meets. Each part owns its state and has a small interface;
//! the hub carries what happens in one of them to the others:
//!
//! - [`network`]: the way to peers. Endpoint, QUIC and links on one socket.
//! - [`by_tcp`]: connections, where UDP finds no direct way.
//! - [`peers`]: the table of peers. For each its contact, its conversation, its
//!   files, and the [`line`] that it is connected by, with the comparison of
//!   digits.
//! - [`keyring`]: which key belongs to which name.
//! - [`callers`]: strangers that wait for the user.
//! - [`transfers`](crate::files::transfers): what the files of all peers share.
//! - [`user`]: what is typed, to whom it goes, what is shown.
//! - [`handover`]: files for whoever has a code, without names and without a chat.
//! - [`rooms`]: the room that we are in.
//! - [`kept`]: messages that wait, and what was said, on disk.
//! - [`leave`]: the end.
//!
//! What comes from the network is in [`meet`], what conversations report in
//! [`talk`], what the user types in [`typed`]; [`run`] is the loop.

mod admit;
pub mod by_tcp;
mod callers;
pub mod handover;
mod improve;
pub mod kept;
pub mod keyring;
mod leave;
mod line;
mod meet;
pub mod network;
pub mod peers;
pub mod rooms;
mod run;
mod talk;
mod typed;
pub mod user;

pub use run::{Inbox, run};

use std::time::Instant;

use anyhow::{Context, bail};

use crate::files::transfers::{Output, Transfers};
use crate::handover::Handover;
use callers::Callers;
use kept::Kept;
use keyring::Keyring;
use leave::Leaving;
use network::Network;
use peers::{Peer, Peers};
use rooms::Rooms;
use user::User;

/// Everything.
pub struct Hub {
    /// Our own name.
    name: String,
    network: Network,
    peers: Peers,
    keyring: Keyring,
    callers: Callers,
    transfers: Transfers,
    user: User,
    leaving: Leaving,
    /// What is done in place of a chat.
    handover: Option<Handover>,
    kept: Option<Kept>,
    rooms: Rooms,
}

/// How a chat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was delivered.
    AllDelivered,
    /// Something was not, or a peer was not reached.
    NotAllDelivered,
}

impl Hub {
    /// With no conversation yet. The caller makes the parts.
    pub fn new(
        name: String,
        network: Network,
        peers: Peers,
        keyring: Keyring,
        transfers: Transfers,
        user: User,
    ) -> Hub {
        for known in keyring.names() {
            user.learn_name(known);
        }
        Hub {
            name,
            network,
            peers,
            keyring,
            callers: Callers::default(),
            transfers,
            user,
            leaving: Leaving::No,
            handover: None,
            kept: None,
            rooms: Rooms::new(false),
        }
    }

    /// On a terminal the user is asked before we meet a member of a room who is not known.
    #[must_use]
    pub fn with_rooms(mut self, rooms: Rooms) -> Hub {
        self.rooms = rooms;
        self
    }

    /// Lets everything that has happened have its consequences.
    fn settle(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        self.carry_out(now);
        self.hand_over(now);
        self.tend_kept(now);
        self.tend_room(now);
        self.say_line(now);
        loop {
            if let Some(event) = self.network.poll_event() {
                self.handle_endpoint(now, event)?;
            } else if let Some((name, event)) = self.peers.poll_event() {
                self.handle_conversation(now, &name, event);
                self.carry_out(now);
            } else {
                break;
            }
        }
        // Shown before it is acknowledged: nothing is lost with a closed pipe.
        self.user
            .flush(&self.transfers.progress)
            .context("cannot print")?;
        for (_, peer) in self.peers.iter_mut() {
            peer.write(now);
        }
        Ok(())
    }

    /// Does what the transfers want to be done.
    fn carry_out(&mut self, now: Instant) {
        while let Some(output) = self.transfers.poll_output() {
            match output {
                Output::Tell(notice) => {
                    if let Some(notice) = self.handover_told(notice) {
                        self.user.tell(notice);
                    }
                }
                Output::Say(to, item) => {
                    if let Some(peer) = self.peers.get_mut(&to) {
                        let _ = peer.conversation.say(now, item);
                    }
                }
                Output::Offer(to, number, item) => {
                    let Some(peer) = self.peers.get_mut(&to) else {
                        continue;
                    };
                    if peer.conversation.say(now, item).is_err() {
                        peer.files.withdraw(number);
                        self.user
                            .problem("not sent: too much waits to be delivered already");
                    }
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let peers = self.peers.iter().map(|(_, peer)| peer.poll_timeout());
        peers
            .chain([
                self.network.poll_timeout(),
                self.transfers.progress.poll_timeout(),
                self.leaving.poll_timeout(),
                self.rooms.poll_timeout(),
                self.kept
                    .as_ref()
                    .and_then(|kept| kept.poll_timeout(self.network.is_registered())),
                self.handover.as_ref().and_then(|handover| handover.until),
                self.network.socket.streams.poll_timeout(),
            ])
            .flatten()
            .min()
    }

    fn handle_timeout(&mut self, now: Instant) -> anyhow::Result<()> {
        self.network.handle_timeout(now);
        let streams = self.network.socket.streams.poll_timeout();
        if streams.is_some_and(|at| at <= now) {
            self.close_streams(now);
        }
        self.improve(now);
        let mut silent = false;
        for (name, peer) in self.peers.iter_mut() {
            if peer.handle_timeout(now) {
                tracing::debug!(peer = name, "link is silent");
                silent = true;
            }
        }
        if silent {
            self.network.endpoint.refresh(now);
        }
        self.user.set_relay_rate(self.network.endpoint.relay_rate());
        self.user
            .show(&mut self.transfers.progress, now)
            .context("cannot print")?;
        self.show_handover().context("cannot print")?;
        if self.network.is_overdue(now) && !self.user.is_interactive() {
            bail!(
                "no answer from the rendezvous at {} by UDP. Is the address right, is the \
                 rendezvous running, and does UDP get through?",
                self.network.server
            );
        }
        Ok(())
    }

    /// The peer of that name, made anew if there is room.
    fn entry(&mut self, name: &str) -> Option<&mut Peer> {
        if !self.peers.contains(name) {
            if self.peers.is_full() {
                let expendable = self.peers.expendable()?;
                self.forget(&expendable);
            }
            self.peers.insert(name)?;
            self.user.learn_name(name);
        }
        self.peers.get_mut(name)
    }

    /// Forgets a peer that nothing is done for, without a word.
    fn forget(&mut self, name: &str) {
        self.transfers.forget(name);
        self.user.forget_path(name);
        let peer = self.peers.remove(name);
        if let Some(key) = peer.and_then(|peer| peer.contact.key) {
            self.network.allowed.remove(&key);
        }
        if !self.keyring.knows(name) {
            self.user.forget_name(name);
        }
    }

    /// Forgets a stranger that has not connected, and needs not; false if that peer is
    /// none.
    fn forget_stranger(&mut self, name: &str) -> bool {
        let stranger = self.peers.get_mut(name).is_some_and(|peer| peer.stranger);
        if stranger {
            self.forget(name);
        }
        stranger
    }
}

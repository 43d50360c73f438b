//! Introductions, paths and links.

use std::time::Instant;

use anyhow::{Context, bail};
use nat::plan::Role;
use peer_proto::endpoint::{Event, RELAY};
use peer_proto::punch::Path;
use peer_proto::verdict::Cause;
use quinn::Incoming;
use sansio::{IcmpError, Input, Protocol};
use session::identity::PublicKey;
use stun::IcmpReason;
use stun::code;

use super::peer::Peer;
use super::{Hub, MOST_PEERS};
use crate::conversation::{Conversation, LinkId};
use crate::frame::Frame;
use crate::link::{self, Close, Down, Link};
use crate::notice::{Notice, Way};
use crate::socket::Aside;
use crate::tls;
use crate::verify::Verify;

impl Hub {
    /// A STUN datagram, a packet for the relay, or an ICMP error.
    pub(super) fn aside(&mut self, aside: Aside) -> anyhow::Result<()> {
        match aside {
            Aside::Stun(from, datagram) => {
                let input = Input::datagram(0, from, &datagram);
                self.brain.handle_input(Instant::now(), input);
            }
            Aside::Relay(peer, datagram) => {
                self.brain.relay_send(Instant::now(), peer, &datagram);
            }
            Aside::Icmp { to, offender, icmp } => {
                let error = IcmpError {
                    socket: 0,
                    to,
                    offender,
                    icmp,
                    quoted: &[],
                };
                self.brain.handle_input(Instant::now(), Input::Icmp(error));
                let refused = error.reason() == Some(IcmpReason::PortUnreachable);
                if refused && to == self.settings.server && self.brain.mapped().is_empty() {
                    bail!(
                        "no rendezvous: nobody listens at {to} (UDP); start one there with: \
                         rendezvous --ip {}",
                        to.ip()
                    );
                }
            }
        }
        Ok(())
    }

    /// What the endpoint tells.
    pub(super) fn brain_event(&mut self, now: Instant, event: Event) -> anyhow::Result<()> {
        let name = self.settings.name.clone();
        match event {
            Event::Registered(mapped) => {
                self.register_by = None;
                self.tell(Notice::Registered { name, mapped });
            }
            Event::Refused(code::NAME_TAKEN) => bail!(
                "the name {name} is taken: it belongs to another key at {}; use another --name",
                self.settings.server
            ),
            Event::Refused(code) => bail!(
                "the server refused the registration of {name}: {code} {}",
                code::reason(code)
            ),
            Event::ServerSilent => self.tell(Notice::ServerSilent(self.settings.server)),
            Event::Measured { .. } => {}
            Event::PeerUnavailable { peer, .. } => {
                if let Some(cause) = self.brain.cause_so_far(&peer) {
                    self.not_yet(peer, cause);
                }
            }
            Event::KeyChanged {
                peer,
                known,
                now: key,
            } => {
                self.key_changed(now, peer, known, key)?;
            }
            Event::Introduced {
                peer, key, role, ..
            } => self.introduced(now, peer, key, role),
            Event::Connected { peer, path } => self.connected(&peer, path)?,
            Event::Finished { .. } => {}
            Event::Failed { peer, cause } => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.conversation.attempt_failed(now);
                }
                self.not_yet(peer, cause);
            }
        }
        Ok(())
    }

    /// Somebody connects. Only from where a path was made, so that strangers
    /// learn nothing and cost nothing.
    pub(super) fn knock(&mut self, incoming: Incoming) {
        let from = incoming.remote_address();
        let expected = |peer: &Peer| {
            peer.relayed == Some(from) || peer.path.is_some_and(|path| path.remote == from)
        };
        if !self.peers.values().any(expected) {
            return incoming.ignore();
        }
        let id = self.next_id();
        self.links.answer(id, incoming);
    }

    /// What links tell.
    pub(super) fn link_event(&mut self, event: link::Event) {
        let now = Instant::now();
        match event {
            link::Event::Up(link) => self.link_up(link),
            link::Event::NoLink { key, why } => {
                if let Some(name) = self.owner_of(&key) {
                    let peer = self.peers.get_mut(&name).expect("just found");
                    peer.cause = Some(why);
                    peer.conversation.attempt_failed(now);
                }
            }
            link::Event::Frame(id, frame) => {
                if frame == Frame::Bye {
                    return self.lost(now, id, Down::Bye);
                }
                if let Frame::Verify(step) = frame {
                    if let Some(down) = self.verify_step(id, step) {
                        self.lost(now, id, down);
                    }
                    return;
                }
                let Some((_, peer)) = self.over(id) else {
                    return;
                };
                if let Err(violation) = peer.conversation.handle_frame(now, id, frame) {
                    if let Some(link) = &peer.link {
                        link.close(Close::Violation);
                    }
                    self.lost(now, id, Down::Violation(violation.to_string()));
                }
            }
            link::Event::Data(id, (file, offset), stream) => {
                if let Some((name, _)) = self.over(id) {
                    self.take_data(name, file, offset, stream);
                }
            }
            link::Event::Down(id, down) => self.lost(now, id, down),
        }
    }

    /// The peer of that name, made anew if there is room.
    pub(super) fn entry(&mut self, name: &str) -> Option<&mut Peer> {
        if !self.peers.contains_key(name) && self.peers.len() >= MOST_PEERS {
            let stale = self.peers.iter().find(|(_, peer)| peer.is_stale());
            let stale = stale.map(|(name, _)| name.clone())?;
            self.peers.remove(&stale);
        }
        let (patience, keepalive) = (self.patience, self.keepalive);
        let fresh = || {
            let mut epoch = [0; 8];
            getrandom::fill(&mut epoch).ok()?;
            let conversation = Conversation::new(u64::from_ne_bytes(epoch), patience);
            Some(Peer::new(conversation, keepalive))
        };
        if !self.peers.contains_key(name) {
            self.peers.insert(name.to_owned(), fresh()?);
            self.remember_name(name);
        }
        self.peers.get_mut(name)
    }

    fn introduced(&mut self, now: Instant, name: String, key: PublicKey, role: Role) {
        let before = self.peers.get(&name).and_then(|peer| peer.key);
        let Some(peer) = self.entry(&name) else {
            return;
        };
        peer.key = Some(key);
        peer.role = role;
        peer.conversation.expect(now);
        if let Some(before) = before {
            self.welcome.remove(&before);
        }
        self.welcome.insert(key);
    }

    fn connected(&mut self, name: &str, path: Path) -> anyhow::Result<()> {
        let Some(peer) = self.peers.get_mut(name) else {
            return Ok(());
        };
        peer.path = Some(path);
        let to = match path.socket {
            RELAY => self.socket.detour.stand_in(path.remote),
            _ => path.remote,
        };
        if path.relayed {
            peer.relayed = Some(to);
        }
        let (Some(key), Role::Caller) = (peer.key, peer.role) else {
            return Ok(()); // Who has called connects.
        };
        let config = tls::client(&self.settings.identity, key, path.rtt, self.keepalive)
            .context("TLS cannot be set up")?;
        let id = self.next_id();
        self.links.dial(id, &self.quic, config, to, key);
        Ok(())
    }

    fn link_up(&mut self, link: Link) {
        let Some(name) = self.owner_of(&link.key) else {
            return link.close(Close::Unwelcome);
        };
        if self
            .peers
            .get(&name)
            .is_some_and(|peer| peer.is_past(&link))
        {
            return link.close(Close::Replaced);
        }
        if !self.settings.known.contains_key(&name) {
            self.settings.known.insert(name.clone(), link.key);
            self.brain.trust(&name, link.key);
            if let Err(error) = self.settings.home.remember_peer(&name, &link.key) {
                self.problem(format!("cannot remember {name}'s key: {error}"));
            }
        }
        self.verify_ended(&name);
        let verify = Verify::new(link.binding, self.settings.identity.public(), link.key);
        let peer = self.peers.get_mut(&name).expect("just found");
        peer.verify = Some(verify);
        let remote = link.connection.remote_address();
        let way = Way {
            how: peer.how(remote),
            remote: self.socket.detour.real(remote).unwrap_or(remote),
            rtt: link.connection.rtt(),
        };
        if let Some(old) = peer.link_up(Instant::now(), link) {
            old.close(Close::Replaced);
        }
        peer.told = None;
        peer.cause = None;
        let again = std::mem::replace(&mut peer.met, true);
        let opened_by_them = peer.role == Role::Callee;
        self.tell(Notice::Connected {
            peer: name.clone(),
            way,
            again,
        });
        let free = match self.screen.is_interactive() {
            true => self.chosen.is_none(),
            false => !self.chosen_by_user && opened_by_them && !again,
        };
        if free {
            self.chosen = Some(name.clone());
            self.tell(Notice::Talking { to: name.clone() });
        }
        self.resume_files(&name);
    }

    fn lost(&mut self, now: Instant, id: LinkId, down: Down) {
        let Some((name, peer)) = self.over(id) else {
            return;
        };
        let link = peer.link.take();
        let waiting = peer.conversation.waiting();
        self.verify_ended(&name);
        let peer = self.peers.get_mut(&name).expect("just found");
        match down {
            Down::Bye => {
                if let Some(link) = link {
                    link.close(Close::Bye);
                }
                peer.parted = true;
                peer.conversation.left(id);
                self.tell(Notice::Left { peer: name });
            }
            Down::Violation(why) => {
                peer.parted = true;
                peer.conversation.left(id);
                self.problem(format!("the conversation with {name} was ended: {why}"));
            }
            Down::Replaced => peer.conversation.link_down(now, id),
            Down::Lost(why) => {
                peer.conversation.link_down(now, id);
                self.brain.refresh(now);
                self.tell(Notice::Broken {
                    peer: name,
                    why,
                    waiting,
                });
            }
        }
    }

    /// Told once for each cause, until the peer is reached.
    fn not_yet(&mut self, name: String, cause: Cause) {
        let Some(peer) = self.peers.get_mut(&name) else {
            return;
        };
        peer.cause = Some(cause.to_string());
        if peer.told != Some(cause.code()) {
            peer.told = Some(cause.code());
            self.tell(Notice::NotYet { peer: name, cause });
        }
    }

    fn key_changed(
        &mut self,
        now: Instant,
        name: String,
        known: PublicKey,
        key: PublicKey,
    ) -> anyhow::Result<()> {
        if let Some(peer) = self.entry(&name) {
            peer.changed = Some(key);
        }
        if self.trust.remove(&name) {
            return self.trust_key(now, &name);
        }
        self.tell(Notice::KeyChanged {
            peer: name.clone(),
            known,
            now: key,
        });
        if let Some(peer) = self.peers.get_mut(&name) {
            peer.cause = Some("its key has changed".into());
            self.failed |= !self.screen.is_interactive();
            peer.conversation.hang_up();
        }
        Ok(())
    }

    /// The user believes the key that the peer has now.
    pub(super) fn trust_key(&mut self, now: Instant, name: &str) -> anyhow::Result<()> {
        let Some(key) = self
            .peers
            .get_mut(name)
            .and_then(|peer| peer.changed.take())
        else {
            self.problem(format!("{name} has no other key than before"));
            return Ok(());
        };
        self.settings.home.trust_peer(name, &key)?;
        self.settings.known.insert(name.to_owned(), key);
        self.brain.trust(name, key);
        let peer = name.to_owned();
        self.tell(Notice::Trusted { peer, key });
        if let Some(peer) = self.peers.get_mut(name) {
            peer.conversation.open(now);
            if !peer.conversation.is_up() {
                self.brain.call(now, name);
            }
        }
        Ok(())
    }

    /// Who has that key, of those we were introduced to.
    fn owner_of(&self, key: &PublicKey) -> Option<String> {
        let mut peers = self.peers.iter();
        peers
            .find(|(_, peer)| peer.key.as_ref() == Some(key))
            .map(|(name, _)| name.clone())
    }

    /// Whose link that is.
    pub(super) fn over(&mut self, id: LinkId) -> Option<(String, &mut Peer)> {
        let mut peers = self.peers.iter_mut();
        peers
            .find(|(_, peer)| peer.link.as_ref().is_some_and(|link| link.id == id))
            .map(|(name, peer)| (name.clone(), peer))
    }

    fn next_id(&mut self) -> LinkId {
        self.next_link += 1;
        self.next_link
    }
}

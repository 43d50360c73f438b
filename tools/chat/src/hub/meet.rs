//! What comes from the network: introductions, paths, links and their frames.

use std::time::Instant;

use anyhow::bail;
use cli::server::Met;
use nat::plan::Role;
use peer_proto::cause::Cause;
use peer_proto::client::{REFRESH, Relation};
use peer_proto::endpoint::Event;
use peer_proto::punch::Path;
use quinn::Incoming;
use session::identity::PublicKey;
use stun::code;

use super::Hub;
use super::line::Line;
use super::peers::Peer;
use crate::conversation::LinkId;
use crate::frame::Frame;
use crate::link::{self, Close, Down, Link};
use crate::notice::{How, Notice, Side};
use crate::verify::{self, Step, Verify};

impl Hub {
    /// What the endpoint has learned.
    pub(super) fn handle_endpoint(&mut self, now: Instant, event: Event) -> anyhow::Result<()> {
        let name = self.name.clone();
        match event {
            Event::Registered(mapped) => {
                let (server, port) = (self.network.server, self.network.socket.port(0));
                self.network
                    .surroundings
                    .registered(server, port.unwrap_or(0), mapped);
                if std::mem::replace(&mut self.network.was_registered, true) {
                    self.moved(now);
                }
                self.user.tell(Notice::Registered {
                    name: name.clone(),
                    mapped,
                });
                self.new_key_accepted(name);
                self.handover_registered(now);
            }
            Event::WorkWanted { .. } => {
                self.user.tell(Notice::WorkWanted(self.network.server));
            }
            Event::Refused(code @ (code::FORBIDDEN | code::NAME_TAKEN))
                if self.keyring.awaits_acceptance() =>
            {
                let why = self.keyring.refused(&name, self.network.server, code)?;
                bail!("{}", why.unwrap_or_default());
            }
            Event::Refused(code::NAME_TAKEN) => match self.number_taken() {
                Some(taken) => return Err(taken.into()),
                None => bail!(
                    "the name {name} is taken: it belongs to another key at {}. Use another --name",
                    self.network.server
                ),
            },
            Event::Refused(code::INSUFFICIENT_CAPACITY) => self.user.problem(format!(
                "the rendezvous at {} has no room for another name now; trying again every {} s",
                self.network.server,
                REFRESH.as_secs()
            )),
            Event::Refused(code::WORK_REQUIRED) => bail!(
                "{} asks for a proof of work that no rendezvous asks for (more than 21 bits) \
                 before it registers {name}: use another --server",
                self.network.server
            ),
            Event::Refused(code) => bail!(
                "the rendezvous at {} refused to register {name}: {code} {}",
                self.network.server,
                code::reason(code)
            ),
            Event::ServerSilent => {
                self.network.lookup.begin();
                self.user.tell(Notice::ServerSilent(self.network.server));
            }
            Event::ServerAnswers => self.network.lookup.end(),
            Event::NoRelay { relay, failure } => self.user.tell(Notice::NoRelay { relay, failure }),
            Event::ServerProved(key) => self.server_proved(key),
            Event::ServerKeyless => {
                let server = &self.keyring.server;
                let (text, server) = (server.tell_keyless(), server.host().to_owned());
                self.user.tell(Notice::ServerKeyless { server, text });
            }
            Event::OtherServerKey(other) => {
                let refusal = self.keyring.server.refusal(other).to_string();
                // Once it has proved itself, somebody on the way may have taken
                // its place: conversations go on without it.
                if !self.network.is_registered() {
                    bail!(refusal);
                }
                self.user.tell(Notice::ServerRefused(refusal));
            }
            Event::Measured { .. } => {}
            Event::TcpWanted => self.tcp_wanted(),
            Event::Finished { .. } => self.close_sockets(),
            // With a link, only a better path was looked for.
            Event::PeerUnavailable { peer, .. } | Event::Failed { peer, .. }
                if self.peers.has_link(&peer) =>
            {
                self.close_sockets();
            }
            Event::PeerUnavailable { peer, .. } => {
                if let Some(cause) = self.network.endpoint.cause_so_far(&peer) {
                    self.not_yet(peer, cause);
                }
            }
            Event::KeyRotated {
                peer,
                before,
                now: key,
            } => self.key_rotated(peer, before, key),
            Event::KeyChanged {
                peer,
                known,
                now: key,
            } => self.key_changed(now, peer, known, key)?,
            Event::Introduced {
                peer,
                key,
                role,
                relation,
                ..
            } => self.introduced(now, &peer, key, (role, relation)),
            Event::Asking { peer, key, address } => self.asked(now, &peer, key, Some(address)),
            Event::Displaced { peer } => {
                self.forget_stranger(&peer);
            }
            Event::Failed { peer, .. } if self.forget_stranger(&peer) => {}
            Event::Connected { peer, path } => self.connected(&peer, path)?,
            Event::Failed { peer, cause } => {
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.conversation.attempt_failed(now);
                }
                self.not_yet(peer, cause);
                self.close_sockets();
            }
        }
        Ok(())
    }

    /// The rendezvous has proved its key, which is kept.
    fn server_proved(&mut self, key: PublicKey) {
        let server = &mut self.keyring.server;
        match server.proved(key) {
            Ok(None) => {}
            Ok(Some(met)) => {
                let (text, server) = (server.tell(met, &key), server.host().to_owned());
                let first_use = met == Met::FirstUse;
                self.user.tell(Notice::ServerKey {
                    server,
                    key,
                    first_use,
                    text,
                });
            }
            Err(error) => self.user.tell(Notice::ServerRefused(format!(
                "cannot keep the key of the rendezvous: {error}"
            ))),
        }
    }

    /// An incoming connection. It is answered only from an address to which a
    /// path was made, so that strangers learn nothing and cost nothing.
    pub(super) fn handle_incoming(&mut self, incoming: Incoming) {
        let from = incoming.remote_address();
        if self.peers.iter().any(|(_, peer)| peer.contact.is_at(from)) {
            self.network.answer(incoming);
        } else {
            tracing::debug!(%from, "connection of a stranger ignored");
            incoming.ignore();
        }
    }

    /// What happens to links.
    pub(super) fn handle_link(&mut self, now: Instant, event: link::Event) {
        match event {
            link::Event::Up(link) => self.link_up(now, link),
            link::Event::NoLink { key, why } => {
                let name = self.peers.owner_of(&key);
                if let Some(peer) = name.and_then(|name| self.peers.get_mut(&name)) {
                    tracing::debug!(why, "no link over the path");
                    peer.obstacle.because(why);
                    peer.conversation.attempt_failed(now);
                }
            }
            link::Event::Frame(id, Frame::Bye) => self.link_down(now, id, Down::Bye),
            link::Event::Frame(id, Frame::Proof(step)) => self.handle_proof(now, id, step),
            link::Event::Frame(id, Frame::Verify(step)) => self.handle_step(now, id, step),
            link::Event::Frame(id, _)
                if self.peers.over(id).is_some_and(|(_, p)| !p.is_trusted()) =>
            {
                self.violated(now, id, "it did not prove that it knows the code".into());
            }
            link::Event::Frame(id, frame) => {
                if let Some((_, peer)) = self.peers.over(id)
                    && let Err(violation) = peer.conversation.handle_frame(now, id, frame)
                {
                    self.violated(now, id, violation.to_string());
                }
            }
            link::Event::File {
                link,
                file,
                offset,
                stream,
            } => {
                if let Some((_, peer)) = self.peers.over(link)
                    && peer.is_trusted()
                {
                    let transfers = &mut self.transfers;
                    peer.files.receive(transfers, file, offset, stream);
                }
            }
            link::Event::Down(id, down) => self.link_down(now, id, down),
        }
    }

    fn introduced(
        &mut self,
        now: Instant,
        name: &str,
        key: PublicKey,
        (role, relation): (Role, Relation),
    ) {
        let stranger = relation == Relation::Stranger && !self.peers.contains(name);
        if stranger && !self.peers.has_room_for_stranger() {
            return;
        }
        let Some(peer) = self.entry(name) else {
            return;
        };
        peer.stranger |= stranger;
        let before = peer.contact.key.replace(key);
        peer.contact.role = role;
        peer.contact.introduced();
        peer.conversation.expect(now);
        if let Some(before) = before {
            self.network.allowed.remove(&before);
        }
        self.network.allowed.insert(key);
    }

    /// There is a path: whoever has called connects over it.
    pub(super) fn connected(&mut self, name: &str, path: Path) -> anyhow::Result<()> {
        let Some(peer) = self.peers.get_mut(name) else {
            return Ok(());
        };
        let address = self.network.quic_address(&path);
        peer.contact.connected(path, address);
        // The relay, where a better path was looked for.
        let has_as_good = match peer.how() {
            Some(How::Relay) => true,
            Some(How::Tcp) => !peer.doubted,
            Some(How::Lan | How::Direct) | None => false,
        };
        let as_before = path.relayed && has_as_good && !peer.moved;
        match (peer.contact.key, peer.contact.role) {
            _ if as_before => Ok(()),
            (Some(key), Role::Caller) => self.network.connect(key, &path),
            _ => Ok(()),
        }
    }

    fn link_up(&mut self, now: Instant, link: Link) {
        let Some(name) = self.peers.owner_of(&link.key) else {
            return link.close(Close::Unwelcome);
        };
        let past = |peer: &mut Peer| peer.is_past(&link);
        if self.peers.get_mut(&name).is_some_and(past) {
            return link.close(Close::Replaced);
        }
        let Ok(proof) = self.proof_of(&link) else {
            return link.close(Close::Unwelcome);
        };
        if proof.is_none() {
            self.pin(&name, link.key);
        }
        let Some(peer) = self.peers.get_mut(&name) else {
            return;
        };
        let way = peer.contact.way(&self.network, &link.connection);
        tracing::debug!(peer = name, link = link.id, how = way.how.word(), remote = %way.remote, "link up");
        peer.files.link_up(&mut self.transfers, &link);
        let ours = self.network.identity.public();
        let mut line = Line::new(now, link, ours, self.network.keepalive);
        line.proof = proof;
        let is_best = matches!(way.how, How::Lan | How::Direct);
        peer.improvement.connected(now, is_best, peer.contact.role);
        let old = peer.link_up(line);
        let again = std::mem::replace(&mut peer.met, true);
        let first_role = (!again).then_some(peer.contact.role);
        if let Some(old) = old {
            old.link.close(Close::Replaced);
            self.comparison_ended(&name, &old.verify);
        }
        self.close_streams(now);
        let peer = name.clone();
        self.user.tell(Notice::Connected { peer, way, again });
        self.user.connected(&name, first_role);
        self.send_kept(now, &name);
    }

    pub(super) fn link_down(&mut self, now: Instant, id: LinkId, down: Down) {
        let Some((name, peer)) = self.peers.over(id) else {
            return;
        };
        tracing::debug!(peer = name, link = id, ?down, "link down");
        let line = peer.line.take();
        peer.files.link_down();
        let waiting = peer.conversation.waiting();
        match &down {
            Down::Bye | Down::Violation(_) => {
                peer.parted = true;
                peer.conversation.left(id);
            }
            Down::Replaced | Down::Lost(_) => peer.conversation.link_down(now, id),
        }
        if let Some(line) = line {
            self.comparison_ended(&name, &line.verify);
            if down == Down::Bye {
                line.link.close(Close::Bye);
            }
        }
        match down {
            Down::Bye => self.user.tell(Notice::Left { peer: name }),
            Down::Violation(why) if self.handover_violated(&name, &why) => {}
            Down::Violation(why) => self
                .user
                .problem(format!("the conversation with {name} was ended: {why}")),
            Down::Replaced => {}
            Down::Lost(why) => {
                self.network.endpoint.refresh(now);
                self.handover_broken(&name, &why);
                self.user.tell(Notice::Broken {
                    peer: name,
                    why,
                    waiting,
                });
            }
        }
    }

    /// The peer has not kept to the protocol.
    pub(super) fn violated(&mut self, now: Instant, id: LinkId, why: String) {
        let line = self.peers.over(id).and_then(|(_, peer)| peer.line.as_ref());
        if let Some(line) = line {
            line.link.close(Close::Violation);
        }
        self.link_down(now, id, Down::Violation(why));
    }

    /// Told once for each cause, until the peer is reached.
    fn not_yet(&mut self, name: String, cause: Cause) {
        if let Some(peer) = self.peers.get_mut(&name)
            && !peer.parted
            && peer.obstacle.found(&cause)
            && !self.not_reached(&cause)
        {
            self.user.tell(Notice::NotYet { peer: name, cause });
        }
    }

    /// Remembers the first key that a peer has.
    pub(super) fn pin(&mut self, name: &str, key: PublicKey) {
        match self.keyring.pin(name, key) {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => self
                .user
                .problem(format!("cannot save the key of {name}: {error}")),
        }
        self.network.endpoint.trust(name, key);
    }

    /// The rendezvous has registered us, with our new key if there is one.
    fn new_key_accepted(&mut self, name: String) {
        match self.keyring.accepted(&name) {
            Ok(None) => {}
            Ok(Some(new)) => {
                let (before, now) = (new.rotation.old(), new.identity.public());
                self.user.tell(Notice::NewKey { name, before, now });
            }
            Err(error) => self.user.problem(format!(
                "the rendezvous has accepted the new key of {name}, but it cannot be saved: \
                 {error}. The next start tries again"
            )),
        }
    }

    /// A peer has a new key, signed by the one that we know.
    fn key_rotated(&mut self, peer: String, before: PublicKey, now: PublicKey) {
        if let Err(error) = self.keyring.trust(&peer, now) {
            self.user
                .problem(format!("cannot save the new key of {peer}: {error}"));
        }
        self.user.tell(Notice::KeyRotated { peer, before, now });
    }

    fn key_changed(
        &mut self,
        now: Instant,
        name: String,
        known: PublicKey,
        key: PublicKey,
    ) -> anyhow::Result<()> {
        if let Some(peer) = self.entry(&name) {
            peer.contact.changed_key = Some(key);
        }
        if self.keyring.take_trusted(&name) {
            return self.trust(now, &name);
        }
        if let Some(peer) = self.peers.get_mut(&name) {
            peer.obstacle.because("its key has changed".into());
            peer.conversation.hang_up();
        }
        self.user.tell(Notice::KeyChanged {
            peer: name,
            known,
            now: key,
        });
        Ok(())
    }

    /// Trusts the key that the peer has now.
    ///
    /// # Errors
    /// When it cannot be saved.
    pub(super) fn trust(&mut self, now: Instant, name: &str) -> anyhow::Result<()> {
        let peer = self.peers.get_mut(name);
        let Some(key) = peer.and_then(|peer| peer.contact.changed_key.take()) else {
            self.user
                .problem(format!("the key of {name} has not changed"));
            return Ok(());
        };
        self.keyring.trust(name, key)?;
        self.network.endpoint.trust(name, key);
        let peer = name.to_owned();
        self.user.tell(Notice::Trusted { peer, key });
        if let Some(peer) = self.peers.get_mut(name) {
            peer.conversation.open(now);
            if !peer.conversation.is_up() {
                self.network.endpoint.call(now, name);
            }
        }
        Ok(())
    }

    /// A step of the comparison of digits.
    fn handle_step(&mut self, now: Instant, id: LinkId, step: Step) {
        let Some((peer, known)) = self.peers.over(id) else {
            return;
        };
        let Some(line) = &mut known.line else { return };
        if let Err(cheat) = line.verify.handle(step) {
            return self.violated(now, id, cheat.to_string());
        }
        match line.verify.poll_event() {
            None => {}
            Some(verify::Event::Asked) => self.user.tell(Notice::Verifying {
                peer,
                asked_by: Side::Peer,
            }),
            Some(verify::Event::Digits(digits)) => {
                self.user.tell(Notice::Verify { peer, digits });
            }
        }
    }

    /// The link is gone, and the comparison of digits over it.
    fn comparison_ended(&mut self, name: &str, verify: &Verify) {
        if verify.is_under_way() {
            self.user.problem(format!(
                "the comparison with {name} was interrupted; both type /verify again"
            ));
        }
    }
}

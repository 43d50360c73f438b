//! From the rendezvous' answers to an attempt: which peers are called and answered,
//! and what they are told of us.

use std::net::SocketAddr;
use std::time::Instant;

use stun::code;

use super::bracket::Purpose;
use super::calls::Call;
use super::gathering::Openers;
use super::start::{Introduction, plan_of};
use super::{Endpoint, Event, Wish};
use crate::candidate::Candidates;
use crate::client::{self, Callee, Introduced, Invitation, Relation};
use crate::relay;
use nat::plan::{Limits, Plan, Ports, Role, Side, Strategy};
use sansio::SocketId;
use session::credentials::Granted;
use session::identity::PublicKey;
use session::rotation::Rotation;

impl Endpoint {
    pub(super) fn client_event(&mut self, now: Instant, event: client::Event) {
        match event {
            client::Event::OtherAddress(to) => self.gathering.ask_other(now, to),
            client::Event::Registered { mapped, before } => {
                self.gathering.moved(now);
                if before.is_some() {
                    self.moved(now);
                }
                self.events.push_back(Event::Registered(mapped));
            }
            client::Event::Granted(granted) => self.granted(now, granted),
            client::Event::Refused(code) => self.events.push_back(Event::Refused(code)),
            client::Event::ServerSilent => self.events.push_back(Event::ServerSilent),
            client::Event::ServerAnswers => self.events.push_back(Event::ServerAnswers),
            client::Event::OtherServerKey(other) => {
                self.events.push_back(Event::OtherServerKey(other));
            }
            client::Event::ServerProved(key) => self.events.push_back(Event::ServerProved(key)),
            client::Event::ServerKeyless => self.events.push_back(Event::ServerKeyless),
            client::Event::WorkWanted { bits } => self.events.push_back(Event::WorkWanted { bits }),
            client::Event::Found {
                peer,
                callee,
                rotation,
            } => {
                self.follow(&peer, callee.key, rotation);
                if !self.heard_of(now, &peer, Ok(callee.fresh)) {
                    self.peer_found(peer, callee);
                }
            }
            client::Event::PeerUnavailable { peer, code }
                if self.heard_of(now, &peer, Err(code)) => {}
            client::Event::PeerUnavailable { peer, code } => {
                self.calls.unavailable(&peer, code);
                self.events.push_back(Event::PeerUnavailable { peer, code });
            }
            client::Event::Introduced(introduced) => self.introduced(now, introduced),
            client::Event::Notified(call) => self.notified(now, &call),
            client::Event::NotifiedAgain { caller } => self.hold_on(now, &caller),
        }
    }

    /// The server sees us at another address than before: what peers were told of
    /// us is wrong, and the relay does not know us by the new address.
    fn moved(&mut self, now: Instant) {
        self.relaying.forget();
        self.calls.ask_again();
        if !self.calls.is_empty() {
            self.relaying.start(now);
        }
    }

    fn granted(&mut self, now: Instant, granted: Option<Granted>) {
        let server = self.gathering.server();
        let rate = granted.as_ref().and_then(|granted| granted.rate);
        let config = granted.map(|granted| relay::Config {
            server,
            username: granted.credentials.username,
            password: granted.credentials.password,
            challenge: Some(granted.challenge),
        });
        self.relaying.granted(config, rate);
        if !self.calls.is_empty() {
            self.relaying.start(now);
        }
    }

    fn peer_found(&mut self, peer: String, callee: Callee) {
        match self.invitations.known_other(&peer, &callee.key) {
            Some(known) => {
                self.hang_up(&peer);
                self.key_changed(peer, known, callee.key);
            }
            None => self.calls.found(&peer, callee),
        }
    }

    /// Moves the pin of a peer whose known key has signed the new one.
    pub(super) fn follow(&mut self, peer: &str, now: PublicKey, rotation: Option<Rotation>) {
        let Some(before) = self.invitations.known_other(peer, &now) else {
            return;
        };
        let leads = |it: Rotation| it.old() == before && it.leads_to(peer, &now);
        if rotation.is_some_and(leads) {
            tracing::debug!(peer, "the peer's key is a new one, signed by the known one");
            self.invitations.trust(peer, now);
            let peer = peer.to_owned();
            self.events
                .push_back(Event::KeyRotated { peer, before, now });
        }
    }

    pub(super) fn key_changed(&mut self, peer: String, known: PublicKey, now: PublicKey) {
        tracing::debug!(peer, "refused: the peer's key is not the known one");
        self.events
            .push_back(Event::KeyChanged { peer, known, now });
    }

    /// Where the peer may be reached through its relay. The peer could name any
    /// address, so only a relay that we know ourselves counts.
    pub(super) fn relay_of(&self, theirs: &Candidates) -> Option<SocketAddr> {
        let other = self.gathering.other_server().map(|other| other.ip());
        let server = Some(self.gathering.server().ip());
        let known = [server, other, self.relaying.chosen()];
        theirs.relayed.filter(|relayed| {
            self.relaying.wish != Wish::Never && known.contains(&Some(relayed.ip()))
        })
    }

    /// Calls and answers, once there is a peer to call or to answer and it is
    /// known what to send it of ourselves.
    pub(super) fn introduce(&mut self, now: Instant) {
        if !self.is_ready(now) {
            return;
        }
        let candidates = self.candidates();
        let payload = candidates.encode();
        while let Some((peer, callee)) = self.calls.ask_next(&candidates) {
            tracing::debug!(peer, relayed = ?candidates.relayed, "asking for an introduction");
            self.client.connect(now, &peer, callee, payload.clone());
            self.relaying.called();
        }
        for invitation in self.invitations.take() {
            match self.waits_for_our_report(&invitation) {
                true => self.invitations.put_back(invitation),
                false => self.answer(now, invitation),
            }
        }
    }

    fn is_ready(&mut self, now: Instant) -> bool {
        let mut held = self.invitations.iter();
        let answers = held.any(|invitation| !self.waits_for_our_report(invitation));
        if !answers && !self.calls.is_ready() {
            return false;
        }
        let seen = self.client.mapped().is_some() && !self.client.is_roaming();
        if !seen || !self.gathering.has_other(now, self.client.rtt()) {
            return false;
        }
        if !answers && !self.relaying.is_settled(now, self.client.rtt()) {
            return false;
        }
        // Peers predict the next port of a sequential NAT from the last one.
        match self.ourselves.ports() {
            Ports::Sequential(_) => self.gathering.has_base(now),
            Ports::Any | Ports::Block(..) => true,
        }
    }

    /// What peers are told of us.
    pub(super) fn candidates(&self) -> Candidates {
        let relayed = self.relaying.address();
        if self.relaying.wish == Wish::Only {
            return Candidates {
                relayed,
                ..Candidates::default()
            };
        }
        Candidates {
            mapped: self.mapped(),
            base: self.gathering.base(),
            relayed,
            rtt: self.client.rtt(),
            ..self.ourselves.candidates()
        }
    }

    /// What this peer is told of us.
    fn candidates_for(&self, relation: Relation) -> Candidates {
        let all = self.candidates();
        match relation {
            Relation::Known => all,
            // A stranger does not learn our private addresses. Without a budget of ours
            // both sides plan no guesses.
            Relation::Stranger => Candidates {
                hosts: Vec::new(),
                base: None,
                relayed: None,
                shares: false,
                measuring: false,
                tcp_too: None,
                side: all.side.map(|side| Side {
                    limits: Limits::NOTHING,
                    ..side
                }),
                ..all
            },
        }
    }

    /// What a peer tells of itself, as far as it is to be used.
    fn decode(&self, peer: &str, relation: Relation, payload: &[u8]) -> Option<Candidates> {
        let Some(mut theirs) = Candidates::decode(payload) else {
            tracing::debug!(peer, "dropped: candidates that cannot be read");
            return None;
        };
        if !self.lan || relation == Relation::Stranger {
            theirs.hosts.clear();
        }
        Some(theirs)
    }

    /// Whether this peer and we have called each other, and our call counts. The
    /// peer's call does not count where the peer was told to wait.
    fn our_call_counts(&self, caller: &str, key: &PublicKey) -> bool {
        let waits = matches!(
            self.calls.error(caller),
            Some(code::BUSY | code::USER_ASKED)
        );
        self.calls.is_asked(caller) && !waits && self.invitations.our_call_counts(caller, key)
    }

    fn answer(&mut self, now: Instant, invitation: Invitation) {
        let (caller, key) = (invitation.caller.clone(), invitation.key);
        let relation = self.invitations.relation(&caller, &key);
        let Some(theirs) = self.decode(&caller, relation, invitation.payload()) else {
            return;
        };
        if self.our_call_counts(&caller, &key) {
            return tracing::debug!(
                caller,
                "not answered: both have called, and our call counts"
            );
        }
        let address = invitation.address.ip();
        if !self.attempts.has_room_for(&caller, relation, address) {
            let why = "there is a path already, or no room for another attempt";
            return self.refuse_busy(now, &invitation, why);
        }
        if let Some(known) = self.invitations.known_other(&caller, &key) {
            return self.key_changed(caller, known, key);
        }
        self.hang_up(&caller);
        let candidates = self.candidates_for(relation);
        let plan = plan_of(Role::Callee, candidates.side, theirs.side);
        match self.openers(&plan, Role::Callee, invitation.address, &theirs) {
            Some(openers) => {
                let invitation = Box::new(invitation);
                self.begin_bracket(now, &openers, Purpose::Answer { invitation, theirs });
            }
            None => self.accept(now, invitation, &candidates, theirs, None),
        }
    }

    /// Acknowledges an invitation and begins the attempt.
    fn accept(
        &mut self,
        now: Instant,
        invitation: Invitation,
        ours: &Candidates,
        theirs: Candidates,
        reserved: Option<SocketId>,
    ) {
        let relation = self
            .invitations
            .relation(&invitation.caller, &invitation.key);
        let introduction = |introduced| Introduction {
            role: Role::Callee,
            relation,
            introduced,
            told: ours.side,
            told_tcp: ours.tcp_too.is_some(),
            theirs,
            reserved,
        };
        match self
            .client
            .accept(now, invitation, relation, &ours.encode())
        {
            Ok(introduced) => self.start(now, introduction(introduced)),
            Err(error) => tracing::debug!(%error, "not answered"),
        }
    }

    fn introduced(&mut self, now: Instant, introduced: Introduced) {
        let peer = &introduced.peer;
        // We have called it.
        let relation = Relation::Known;
        let Some(theirs) = self.decode(peer, relation, &introduced.payload) else {
            return;
        };
        let call = self.calls.get(peer);
        let (told, reserved) = call.map_or((None, None), |call| (call.told, call.reserved));
        let told_tcp = call.is_some_and(|call| call.told_tcp);
        let callee = call.and_then(|call| call.callee);
        self.hang_up(peer);
        let plan = plan_of(Role::Caller, told, theirs.side);
        let openers = self.openers(&plan, Role::Caller, introduced.address, &theirs);
        if let (Some(openers), None, Some(callee)) = (openers, reserved, callee) {
            let peer = introduced.peer;
            return self.begin_bracket(now, &openers, Purpose::CallAgain { peer, callee });
        }
        let introduction = Introduction {
            role: Role::Caller,
            relation,
            introduced,
            told,
            told_tcp,
            theirs,
            reserved,
        };
        self.start(now, introduction);
        self.call_with_reports(now);
    }

    /// The packets of a port bracket, where the plan has the peer predict our ports
    /// and no other bracket is under way.
    fn openers(
        &self,
        plan: &Plan,
        role: Role,
        peer: SocketAddr,
        theirs: &Candidates,
    ) -> Option<Openers> {
        let ours = plan.part(role);
        let predicted = plan.strategy == Strategy::Predict && ours.openers;
        (predicted && !self.gathering.is_bracketing()).then(|| Openers {
            peer,
            sockets: ours.sockets,
            ttl: self.low_ttl(theirs),
        })
    }

    fn begin_bracket(&mut self, now: Instant, openers: &Openers, purpose: Purpose) {
        tracing::debug!(peer = %openers.peer, sockets = openers.sockets, "bracketing our ports");
        let transmits = self.gathering.bracket(now, openers, purpose);
        self.outbox.push_first(transmits);
    }

    /// Sends the peer the ports of a port bracket that is over.
    pub(super) fn bracketed(&mut self, now: Instant) {
        let ports = self.ourselves.ports();
        let Some(bracketed) = self.gathering.poll_bracketed(now, ports) else {
            return;
        };
        tracing::debug!(ports = ?bracketed.ports, "bracketed");
        let mut candidates = self.candidates();
        if let Some((base, ahead)) = bracketed.ports {
            candidates.base = Some(base);
            candidates.ahead = Some(ahead);
        }
        let reserved = Some(bracketed.first);
        match bracketed.purpose {
            Purpose::Answer { invitation, theirs } => {
                self.accept(now, *invitation, &candidates, theirs, reserved);
            }
            Purpose::CallAgain { peer, callee } => {
                self.calls.add(Call {
                    callee: Some(callee),
                    asked: true,
                    told: candidates.side,
                    told_tcp: candidates.tcp_too.is_some(),
                    reserved,
                    ..Call::new(&peer)
                });
                self.client.connect(now, &peer, callee, candidates.encode());
            }
        }
    }
}

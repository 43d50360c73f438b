//! From the rendezvous' words to an attempt: whom to call and to answer, and
//! what to tell them of ourselves.

use super::*;

impl Endpoint {
    pub(super) fn client_event(&mut self, now: Instant, event: client::Event) {
        match event {
            client::Event::OtherAddress(to) => self.start_gather(now, to),
            client::Event::Registered(mapped) => {
                self.moved(now);
                // Another address than before: the other mapping is another, too.
                if let Some(gather) = self.gather.take_if(|g| g.mapped.is_some()) {
                    self.start_gather(now, gather.to);
                }
                self.events.push_back(Event::Registered(mapped));
            }
            client::Event::Granted(credentials) => self.granted(now, credentials),
            client::Event::Refused(code) => self.events.push_back(Event::Refused(code)),
            client::Event::ServerSilent => self.events.push_back(Event::ServerSilent),
            client::Event::Found { peer, key } => self.peer_found(peer, key),
            client::Event::PeerUnavailable { peer, code } => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.peer == peer) {
                    call.unavailable = Some(code);
                }
                self.events.push_back(Event::PeerUnavailable { peer, code });
            }
            client::Event::Introduced(introduced) => self.introduced(now, introduced),
            client::Event::Invitation(invitation) => self.invited(*invitation),
        }
    }

    /// We are seen at another address than before, if this is not the first:
    /// what was told of us is no longer so, and the relay does not know us.
    pub(super) fn moved(&mut self, now: Instant) {
        if std::mem::replace(&mut self.registered, true) {
            self.relaying.forget();
            for call in &mut self.calls {
                call.asked = false;
            }
            if !self.calls.is_empty() {
                self.relaying.start(now);
            }
        }
    }

    pub(super) fn granted(&mut self, now: Instant, credentials: Option<Credentials>) {
        let server = self.server;
        let config = credentials.map(|Credentials { username, password }| relay::Config {
            server,
            username,
            password,
        });
        self.relaying.granted(config);
        if !self.calls.is_empty() {
            self.relaying.start(now);
        }
    }

    /// Where the peer may be reached through its relay. It could name anybody,
    /// so it is one that we know ourselves.
    pub(super) fn relay_of(&self, theirs: &Candidates) -> Option<SocketAddr> {
        let ours = self.turn.map(|turn| turn.ip());
        let other = self.gather.as_ref().map(|gather| gather.to.ip());
        let known = [Some(self.server.ip()), other, ours];
        theirs.relayed.filter(|relayed| {
            self.relaying.wish != Wish::Never && known.contains(&Some(relayed.ip()))
        })
    }

    pub(super) fn peer_found(&mut self, peer: String, key: PublicKey) {
        match self.known.get(&peer) {
            Some(&known) if known != key => {
                self.hang_up(&peer);
                self.events.push_back(Event::KeyChanged {
                    peer,
                    known,
                    now: key,
                });
            }
            _ => {
                if let Some(call) = self.calls.iter_mut().find(|call| call.peer == peer) {
                    call.key = Some(key);
                }
            }
        }
    }

    /// Is there somebody to call or to answer, and do we know what to tell them
    /// of ourselves?
    pub(super) fn is_ready(&mut self, now: Instant) -> bool {
        let wanted = |call: &Call| !call.asked && call.key.is_some();
        if self.held.is_empty() && !self.calls.iter().any(wanted) {
            return false;
        }
        let gathered = self.gather.as_ref().is_none_or(|g| g.is_over(now));
        if !gathered || !self.described || self.client.mapped().is_none() {
            return false;
        }
        if self.held.is_empty() && !self.relaying.is_settled(now) {
            return false;
        }
        // Ports that are foreseen are foreseen from the last one.
        if !matches!(self.side, Some(side) if matches!(side.ports, Ports::Sequential(_))) {
            return true;
        }
        let old = self.fresh.take_if(|fresh| fresh.is_stale(now));
        if old.is_some() || self.fresh.is_none() {
            let socket = self.new_sockets(1);
            self.fresh = Some(self.question(now, socket, self.server));
        }
        self.fresh.as_ref().is_some_and(|fresh| fresh.is_over(now))
    }

    /// Numbers for so many new sockets; the first.
    pub(super) fn new_sockets(&mut self, count: u32) -> SocketId {
        let first = self.next_socket;
        self.next_socket += count as usize;
        first
    }

    /// Asks for the introductions, once the peers' keys are known.
    pub(super) fn ask_introductions(&mut self, now: Instant) {
        let candidates = self.candidates();
        let (payload, side) = (candidates.encode(), candidates.side);
        for call in self.calls.iter_mut().filter(|call| !call.asked) {
            if let Some(key) = call.key {
                call.asked = true;
                call.told = side;
                self.client.connect(now, &call.peer, key, payload.clone());
                self.relaying.asked();
            }
        }
    }

    pub(super) fn is_punching(&self, peer: &str) -> bool {
        self.attempts.stage(peer) == Some(Stage::Punching)
    }

    pub(super) fn candidates(&self) -> Candidates {
        if self.relaying.wish == Wish::Only {
            return Candidates {
                relayed: self.relaying.address(),
                ..Candidates::default()
            };
        }
        Candidates {
            hosts: self.hosts.clone(),
            mapped: self.mapped(),
            side: self.side.map(|side| Side {
                mapped: self.opened.is_some(),
                ..side
            }),
            opened: self.opened,
            ahead: None,
            base: self
                .fresh
                .as_ref()
                .and_then(|fresh| Some(fresh.mapped?.port())),
            relayed: self.relaying.address(),
            tcp: self.tcp.clone(),
        }
    }

    /// What a peer tells of itself, as far as we want to know it.
    fn decode(&self, payload: &[u8]) -> Option<Candidates> {
        let mut theirs = Candidates::decode(payload)?;
        if !self.lan {
            theirs.hosts.clear();
        }
        Some(theirs)
    }

    pub(super) fn invited(&mut self, invitation: Invitation) {
        if self.held.len() < MOST_HELD {
            self.held.push(invitation);
        }
    }

    pub(super) fn answer(&mut self, now: Instant, invitation: Invitation) {
        let caller = invitation.caller.clone();
        let wanted = self.only.as_ref().is_none_or(|only| *only == caller);
        // Both asked: the smaller key's call stands, as both sides can tell.
        let asked = self.calls.iter().any(|c| c.peer == caller && c.asked);
        let ours_stands = asked && self.key < invitation.key;
        let trusted = self
            .known
            .get(&caller)
            .is_none_or(|key| *key == invitation.key);
        // Whoever asks again has not learned of our answer, or has lost the
        // path: that attempt is void.
        let free = match self.attempts.stage(&caller) {
            Some(stage) => stage != Stage::Connected,
            None => self.attempts.has_room(),
        };
        let Some(theirs) = self.decode(invitation.payload()) else {
            return;
        };
        if !wanted || ours_stands || !free {
            return;
        }
        if !trusted {
            return self.events.push_back(Event::KeyChanged {
                peer: caller.clone(),
                known: self.known[&caller],
                now: invitation.key,
            });
        }
        self.hang_up(&caller);
        let candidates = self.candidates();
        let (payload, side) = (candidates.encode(), candidates.side);
        let Some((invitation, theirs)) = self.bracket_answer(now, invitation, side, theirs) else {
            return;
        };
        let (key, address) = (invitation.key, invitation.address);
        if let Ok(keys) = self.client.accept(invitation, &payload) {
            self.start(
                now,
                Role::Callee,
                caller,
                key,
                address,
                (side, theirs),
                keys,
            );
        }
    }

    pub(super) fn introduced(&mut self, now: Instant, introduced: Introduced) {
        let Some(theirs) = self.decode(&introduced.payload) else {
            return;
        };
        let call = self.calls.iter().find(|call| call.peer == introduced.peer);
        let (side, reserved) = call.map_or((None, None), |call| (call.told, call.reserved));
        self.hang_up(&introduced.peer);
        if reserved.is_none() && self.bracket_call(now, &introduced, side, &theirs) {
            return;
        }
        let Introduced {
            peer,
            key,
            address,
            keys,
            ..
        } = introduced;
        self.reserved = reserved;
        self.start(now, Role::Caller, peer, key, address, (side, theirs), keys);
    }
}

//! The ports that a counting NAT has given us towards a peer, between two that
//! a server sees: asked before, sent to the peer, asked after, at one stroke.

use super::*;

/// Where the sockets are that have a mapping towards the peer, and what became
/// of the two questions around them.
#[derive(Debug)]
pub(super) struct Bracket {
    first: SocketId,
    pub(super) before: Question,
    pub(super) after: Question,
    then: Then,
}

/// Whom to tell.
#[derive(Debug)]
enum Then {
    /// Who asks for us, and waits for the answer.
    Answer(Box<Invitation>, Option<Side>, Candidates),
    /// Whom we have called without knowing where it is: it is called again.
    CallAgain(String, PublicKey, Option<Side>),
}

impl Endpoint {
    /// Before an invitation is answered; gives it back where there is nothing
    /// to bracket.
    pub(super) fn bracket_answer(
        &mut self,
        now: Instant,
        invitation: Invitation,
        side: Option<Side>,
        theirs: Candidates,
    ) -> Option<(Invitation, Candidates)> {
        let plan = plan_of(Role::Callee, &side, &theirs.side);
        if !self.is_foreseen(&plan, plan.callee) {
            return Some((invitation, theirs));
        }
        let address = invitation.address;
        let then = Then::Answer(Box::new(invitation), side, theirs.clone());
        self.begin(now, address, plan.callee.sockets, &theirs, then);
        None
    }

    /// Before an attempt of our own call begins; whether it has to wait.
    pub(super) fn bracket_call(
        &mut self,
        now: Instant,
        introduced: &Introduced,
        side: Option<Side>,
        theirs: &Candidates,
    ) -> bool {
        let plan = plan_of(Role::Caller, &side, &theirs.side);
        if !self.is_foreseen(&plan, plan.caller) {
            return false;
        }
        let then = Then::CallAgain(introduced.peer.clone(), introduced.key, side);
        self.begin(now, introduced.address, plan.caller.sockets, theirs, then);
        true
    }

    fn is_foreseen(&self, plan: &Plan, ours: plan::Part) -> bool {
        plan.strategy == Strategy::Predict && ours.openers && self.bracket.is_none()
    }

    fn begin(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        sockets: u32,
        theirs: &Candidates,
        then: Then,
    ) {
        let scratch = self.new_sockets(2);
        let first = self.new_sockets(sockets);
        let mut before = self.question(now, scratch, self.server);
        let mut after = self.question(now, scratch + 1, self.server);
        // Nothing else may leave between these.
        self.outbox.extend(before.ask(now));
        for socket in first..first + sockets as usize {
            let mut transaction = [0; 12];
            self.rng.fill_bytes(&mut transaction);
            self.outbox.push_back(Transmit {
                socket,
                to: peer,
                ttl: self.opener_ttl.filter(|_| !is_harmless(theirs)),
                payload: Builder::indication(Method::Binding, transaction).finish(),
            });
        }
        self.outbox.extend(after.ask(now));
        self.bracket = Some(Bracket {
            first,
            before,
            after,
            then,
        });
    }

    /// Tells the peer, once both questions are answered or will not be.
    pub(super) fn bracketed(&mut self, now: Instant) {
        let over = |b: &mut Bracket| b.before.is_over(now) && b.after.is_over(now);
        let Some(bracket) = self.bracket.take_if(over) else {
            return;
        };
        let mut candidates = self.candidates();
        if let Some((base, ports)) = bracket.ports(self.side) {
            candidates.base = Some(base);
            candidates.ahead = Some(ports);
        }
        let payload = candidates.encode();
        match bracket.then {
            Then::Answer(invitation, side, theirs) => {
                let (caller, key) = (invitation.caller.clone(), invitation.key);
                let address = invitation.address;
                if let Ok(keys) = self.client.accept(*invitation, &payload) {
                    self.reserved = Some(bracket.first);
                    let known = (side, theirs);
                    self.start(now, Role::Callee, caller, key, address, known, keys);
                }
            }
            Then::CallAgain(peer, key, side) => {
                self.calls.push(Call {
                    peer: peer.clone(),
                    key: Some(key),
                    asked: true,
                    told: side,
                    reserved: Some(bracket.first),
                    unavailable: None,
                });
                self.client.connect(now, &peer, key, payload);
            }
        }
    }
}

impl Bracket {
    /// The port before ours, and how many there are up to the one after: ours,
    /// and those of others that came between.
    fn ports(&self, side: Option<Side>) -> Option<(u16, u16)> {
        let Ports::Sequential(step) = side?.ports else {
            return None;
        };
        let (base, end) = (self.before.mapped?.port(), self.after.mapped?.port());
        let steps = (i32::from(end) - i32::from(base)) / step - 1;
        Some((base, u16::try_from(steps).ok()?))
    }
}

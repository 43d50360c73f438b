//! Guessing takes many packets and up to minutes, and a peer that leaves meanwhile says so to
//! the rendezvous alone, which is asked for it from time to time. A peer that is killed does not
//! say so, and no longer refreshes its registration, so its nonce there stays the same. A
//! rendezvous that was restarted does not know a peer for a while that is still there.

use std::time::{Duration, Instant};

use session::seal::Fresh;
use stun::code;

use super::{Endpoint, Event};
use crate::cause::Cause;

/// How often the rendezvous is asked.
const EACH: Duration = Duration::from_secs(1);

/// Not before the end of an attempt: by then a peer may have given up as we do.
const BEFORE_THE_END: Duration = Duration::from_secs(2);

impl Endpoint {
    /// Ports are guessed from now on.
    pub(super) fn watch_for_departure(&mut self, now: Instant) {
        self.departure_at.get_or_insert(now + EACH);
    }

    /// Asks for the peers to which ports are guessed, if it is time.
    pub(super) fn ask_for_departure(&mut self, now: Instant) {
        if self.departure_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        for peer in self.attempts.guessing(now, BEFORE_THE_END) {
            self.departure_at = Some(now + EACH);
            if self.calls.get(&peer).is_none() {
                self.client.look_up(now, &peer);
            }
        }
    }

    /// The rendezvous has answered about a peer that is not being called, with its nonce or an error
    /// code; false if it is being called.
    pub(super) fn heard_of(
        &mut self,
        now: Instant,
        peer: &str,
        answer: Result<Fresh, u16>,
    ) -> bool {
        if self.calls.get(peer).is_some() {
            return false;
        }
        self.client.forget(peer);
        let mut guessing = self.attempts.guessing(now, Duration::ZERO).into_iter();
        let missing = match answer {
            Ok(fresh) => self.attempts.is_stale(now, peer, fresh),
            Err(code) => code == code::NOT_REGISTERED && self.client.knows_all(now),
        };
        if missing && guessing.any(|it| it == peer) {
            tracing::debug!(peer, "the peer has left");
            self.attempts.abandon(peer);
            let peer = peer.to_owned();
            let cause = Cause::PeerLeft { peer: peer.clone() };
            self.events.push_back(Event::Failed { peer, cause });
        }
        true
    }
}

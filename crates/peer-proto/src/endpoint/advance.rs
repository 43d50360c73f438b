//! What one component reports is passed to the others.

use std::time::Instant;

use super::{Endpoint, Event};
use crate::cause::Cause;
use crate::punch::schedule::DIRECT_HEAD_START;
use crate::punch::{self, Outgoing};
use sansio::{Transmit, Via};

impl Endpoint {
    /// Acts on everything that has happened.
    pub(super) fn advance(&mut self, now: Instant) {
        while let Some(event) = self.client.poll_event() {
            self.client_event(now, event);
        }
        // Before the calls, which may wait for it.
        let gathering = &mut self.gathering;
        if let Some((relay, failure)) = self.relaying.advance(now, || gathering.new_sockets(1)) {
            self.events.push_back(Event::NoRelay { relay, failure });
        }
        if self.relaying.came_late() {
            // A direct path may be about to come.
            self.call_again_at = Some(now + DIRECT_HEAD_START);
        }
        self.introduce(now);
        while let Some(transmit) = self.gathering.poll_transmit(now) {
            self.outbox.push_last(transmit);
        }
        self.bracketed(now);
        self.attempt_events(now);
        while let Some((peer, measured)) = self.attempts.poll_measured(now) {
            self.events.push_back(Event::Measured { peer, measured });
        }
        while let Some(Outgoing { to, ttl, payload }) = self.attempts.poll_transmit(now) {
            let transmit = match to.via {
                Via::Relay => self.relaying.wrap(now, to.to, &payload),
                Via::Socket(socket) => Some(Transmit {
                    ttl,
                    ..Transmit::new(socket, to.to, payload)
                }),
                // Attempts of the endpoint's own are by UDP.
                Via::Stream(_) => None,
            };
            self.outbox.push_first(transmit);
        }
    }

    fn attempt_events(&mut self, now: Instant) {
        let ours = self.candidates();
        while let Some((attempt, event)) = self.attempts.poll_event() {
            let peer = attempt.peer.clone();
            self.events.push_back(match event {
                punch::Event::Connected(path) => {
                    if !attempt.may_improve() {
                        // There is nothing left to tell it.
                        self.calls.remove(&peer);
                        self.client.forget(&peer);
                    }
                    Event::Connected { peer, path }
                }
                punch::Event::Finished => Event::Finished { peer },
                punch::Event::Failed(observed) => {
                    self.tcp_wanted_at = Some(now);
                    self.relaying.doubt(now);
                    let told = (&ours, &attempt.theirs);
                    let failure = self.relaying.failure();
                    let cause = Cause::of_attempt(&peer, told, (&attempt.plan, failure), &observed);
                    tracing::debug!(peer, cause = cause.code(), "attempt failed");
                    Event::Failed { peer, cause }
                }
            });
        }
    }
}

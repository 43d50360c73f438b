//! What passes between us and the state machine, `turn-client-proto`.

use std::time::{Duration, Instant};

use stun::{Class, Message, Method, code};
use turn_client_proto::api::{TurnEvent, TurnPollRet};
use turn_client_proto::prelude::*;

use super::{Client, Event, Failure, MOST_PEERS};

impl Client {
    /// Whether the state machine should see this message. It knows nothing of
    /// some ways to fail, waits for the end of the world in others, and tells
    /// no error code.
    pub(super) fn answered(&mut self, message: &Message<'_>) -> bool {
        if !matches!(message.class(), Class::Success | Class::Error) {
            return true;
        }
        let Some(index) = self
            .asked
            .iter()
            .position(|(transaction, _)| *transaction == message.transaction())
        else {
            return false;
        };
        let authenticated = self.asked[index].1;
        self.granted = (
            message.mapped(),
            Duration::from_secs(message.lifetime().unwrap_or(0).into()),
        );
        let Some(error) = message.error() else {
            return true;
        };
        if error == code::UNAUTHENTICATED
            && !authenticated
            && std::mem::replace(&mut self.challenged, true)
        {
            // Of a first request that was repeated: its nonce would start all
            // over, and the server would find us there already.
            return false;
        }
        let lost = match (message.method(), error) {
            (_, code::STALE_NONCE) => false,
            (_, code::UNAUTHENTICATED) => authenticated,
            (Method::Allocate, _) | (_, code::ALLOCATION_MISMATCH) => true,
            _ => false,
        };
        if lost {
            self.end(Failure::Refused(error));
        }
        !lost
    }

    /// Lets the state machine go on as far as it can at `now`.
    pub(super) fn advance(&mut self, now: Instant) {
        let at = self.at(now);
        loop {
            while let Some(transmit) = self.turn.poll_transmit(at) {
                self.sent(now, transmit.data.to_vec());
            }
            if self.tell(now) {
                continue;
            }
            match self.turn.poll(at) {
                TurnPollRet::WaitUntil(wait) if wait > at => {
                    self.wake_at = Some(now + wait.saturating_duration_since(at));
                    break;
                }
                TurnPollRet::WaitUntil(_) if self.idle(now) => break,
                TurnPollRet::WaitUntil(_) => {}
                _ => {
                    self.tell(now);
                    let expired = self.relayed.is_some();
                    self.end(if expired {
                        Failure::Expired
                    } else {
                        Failure::Silent
                    });
                    break;
                }
            }
        }
    }

    /// Whether the state machine asks to be polled at once and has nothing to
    /// say: it is asked again soon instead, lest it be asked for ever.
    fn idle(&mut self, now: Instant) -> bool {
        let at = self.at(now);
        let transmit = self.turn.poll_transmit(at);
        let idle = transmit.is_none() && !self.tell(now);
        if let Some(transmit) = transmit {
            self.sent(now, transmit.data.to_vec());
        }
        if idle {
            self.wake_at = Some(now + Duration::from_millis(10));
        }
        idle
    }

    fn sent(&mut self, now: Instant, bytes: Vec<u8>) {
        if let Ok(message) = Message::parse(&bytes) {
            let known = (message.transaction(), message.username().is_some());
            if message.class() == Class::Request && !self.asked.contains(&known) {
                self.asked.push_back(known);
                if self.asked.len() > 4 * MOST_PEERS {
                    self.asked.pop_front();
                }
            }
        }
        self.spoke = now;
        self.transmits.push_back(bytes);
    }

    /// Passes the state machine's events on; whether there was one.
    fn tell(&mut self, now: Instant) -> bool {
        let Some(event) = self.turn.poll_event() else {
            return false;
        };
        match event {
            TurnEvent::AllocationCreated(..) if self.closing.is_some() => self.give_back(now),
            TurnEvent::AllocationCreated(_, relayed) => {
                self.relayed = Some(relayed);
                let (mapped, lifetime) = self.granted;
                self.events.push_back(Event::Allocated {
                    relayed,
                    mapped,
                    lifetime,
                });
                for peer in self.permits.clone() {
                    self.ask_permission(now, peer);
                }
            }
            TurnEvent::AllocationCreateFailed(_) => self.end(Failure::Silent),
            TurnEvent::PermissionCreated(_, peer) => {
                self.events.push_back(Event::Permitted(peer));
                let channels = self.channels.clone();
                for channel in channels.into_iter().filter(|c| c.ip() == peer) {
                    self.ask_channel(now, channel);
                }
            }
            TurnEvent::PermissionCreateFailed(_, peer) => self.refuse(peer),
            TurnEvent::ChannelCreated(_, peer) => self.events.push_back(Event::ChannelBound(peer)),
            TurnEvent::ChannelCreateFailed(_, peer) => {
                self.channels.remove(&peer);
            }
            TurnEvent::TcpConnected(_) | TurnEvent::TcpConnectFailed(_) => {}
        }
        true
    }
}

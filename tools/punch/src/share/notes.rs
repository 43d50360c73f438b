//! The packets of an attempt, noted where its sockets send and receive them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Instant;

use journey::account::{self, Packet, What};
use net::drive::Traffic;
use netfilter::{Direction, Dropped};
use sansio::Input;
use stun::turn::is_channel_data;
use stun::{Message, Method};

use crate::args::Args;

/// What was noted so far; nothing, where nobody wants to know.
pub struct Notes(Option<(Instant, RefCell<account::Notes>)>);

impl Notes {
    /// Begins to note, if the options ask for it.
    pub fn begin(args: &Args, start: Instant) -> Notes {
        let wanted = args.share || args.trace_file().is_some();
        Notes(wanted.then(|| (start, RefCell::default())))
    }

    /// Whether packets are noted.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// A packet at a socket.
    pub fn witness(&self, traffic: Traffic<'_>) {
        let Some((start, notes)) = &self.0 else {
            return;
        };
        let at_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (packet, payload) = match traffic {
            Traffic::Sent {
                port,
                to,
                ttl,
                payload,
            } => {
                let packet = Packet::new(at_us, What::Sent, port, to, payload);
                (Packet { ttl, ..packet }, payload)
            }
            Traffic::Received { port, input } => match input {
                Input::Datagram(it) => {
                    let packet = Packet::new(at_us, What::Received, port, it.from, it.payload);
                    (
                        Packet {
                            ttl: it.ttl,
                            ..packet
                        },
                        it.payload,
                    )
                }
                Input::Icmp(error) => {
                    let what = What::Icmp {
                        offender: error.offender,
                        kind: error.icmp.kind,
                        code: error.icmp.code,
                    };
                    (
                        Packet::new(at_us, what, port, error.to, error.quoted),
                        error.quoted,
                    )
                }
            },
        };
        if is_between_peers(payload) {
            notes.borrow_mut().note(packet);
        }
    }

    /// Packets that the host's own rules have dropped, which no socket has received, or no peer.
    pub fn blocked(&self, dropped: &[Dropped]) {
        let Some((_, notes)) = &self.0 else {
            return;
        };
        for packet in dropped.iter().filter(|it| is_between_peers(&it.payload)) {
            let outgoing = packet.direction == Direction::Out;
            let at_us = u64::try_from(packet.at.as_micros()).unwrap_or(u64::MAX);
            let (port, remote) = (packet.local().port(), packet.remote());
            let what = What::Blocked { outgoing };
            notes.borrow_mut().note(Packet {
                ttl: Some(packet.ttl),
                ..Packet::new(at_us, what, port, remote, &packet.payload)
            });
        }
    }

    /// The packets to the peer and from it, and how many are not among them.
    pub fn finish(&self, server: SocketAddr) -> (Vec<Packet>, u32) {
        let Some((_, notes)) = &self.0 else {
            return (Vec::new(), 0);
        };
        let (mut packets, left_out) = notes.take().finish();
        packets.retain(|packet| packet.remote.ip() != server.ip());
        (packets, left_out)
    }
}

/// Whether this may be a packet between the two peers: not one for a server or through a relay, and
/// none of those that measure the path once it is there.
fn is_between_peers(payload: &[u8]) -> bool {
    match Message::parse(payload) {
        Ok(message) => message.method() == Method::Probe && message.measure().is_none(),
        // An ICMP error quotes as much as its sender likes.
        Err(_) => !is_channel_data(payload),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use stun::turn::to_channel;

    use super::*;

    #[test]
    fn packets_for_a_server_are_not_noted_and_nothing_is_without_the_option() {
        let server: SocketAddr = "203.0.113.1:8848".parse().unwrap();
        let peer: SocketAddr = "203.0.113.33:40001".parse().unwrap();
        let turn: SocketAddr = "203.0.113.99:3478".parse().unwrap();
        let relayed = to_channel(0x4000, b"through another relay").unwrap();
        let sent = |to, payload| Traffic::Sent {
            port: 4000,
            to,
            ttl: Some(2),
            payload,
        };
        let binding = stun::binding_request([1; 12], None);
        for (options, kept) in [
            (&["punch", "--share"][..], 1),
            (&["punch", "--trace", "f.json"], 1),
            (&["punch", "--trace"], 0),
        ] {
            let args = Args::try_parse_from(options).unwrap();
            let notes = Notes::begin(&args, Instant::now());
            notes.witness(sent(peer, &binding));
            notes.witness(sent(server, b"through the relay"));
            notes.witness(sent(turn, &relayed));
            notes.witness(sent(peer, b"to the peer"));
            let (packets, left_out) = notes.finish(server);
            assert_eq!((packets.len(), left_out), (kept, 0), "{options:?}");
            assert!(packets.iter().all(|packet| packet.ttl == Some(2)));
        }
    }
}

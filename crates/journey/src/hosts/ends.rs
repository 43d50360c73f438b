//! How a packet between two hosts ended, as far as its two ends know.

use std::net::{IpAddr, SocketAddr};

use nat::is_private;
use stun::{Icmp, IcmpReason};

use super::Hosts;
use crate::account::{Account, Packet, What};
use crate::{End, How};

/// The reason of what the rules of a host itself have dropped.
pub(super) const LOCAL_FIREWALL: &str = "LOCAL_FIREWALL";

/// What an ICMP error means.
pub(super) fn reason(offender: IpAddr, kind: u8, code: u8) -> IcmpReason {
    Icmp { kind, code }
        .reason(offender)
        .unwrap_or(IcmpReason::Other)
}

/// Whether the packet was sent so that it does not arrive.
pub(super) fn is_opener(packet: &Packet) -> bool {
    packet.what == What::Sent && packet.ttl.is_some_and(|ttl| ttl <= ::packet::OPENER_TTL)
}

impl Hosts<'_> {
    /// How the journey ended that begins with this packet.
    pub(super) fn end(&self, host: usize, index: usize) -> End {
        let account = self.accounts[host];
        let packet = &account.packets[index];
        let name = &account.name;
        let (how, reason, text) = match packet.what {
            What::Sent => return self.end_of_sent(host, index),
            What::Received if self.accounts.len() == 1 => {
                let text = format!("{name} received it from {}", packet.remote);
                (How::Delivered, None, text)
            }
            What::Received => (How::Delivered, None, self.not_sent_by_peer(host, packet)),
            What::Blocked { outgoing } => return blocked(name, outgoing),
            What::Icmp { offender, .. } => {
                let who = router(offender);
                let text = format!("{who} told {name} of the packet to {}", packet.remote);
                (How::Delivered, None, text)
            }
        };
        End {
            how,
            node: name.clone(),
            reason,
            text,
        }
    }

    fn not_sent_by_peer(&self, host: usize, packet: &Packet) -> String {
        let (name, peer) = (&self.accounts[host].name, self.accounts[1 - host]);
        let why = match peer.left_out {
            0 => format!("{} has not sent it", peer.name),
            left_out => format!(
                "it may be one of {left_out} that {} has not listed",
                peer.name
            ),
        };
        format!("{name} received it from {}; {why}", packet.remote)
    }

    fn end_of_sent(&self, host: usize, index: usize) -> End {
        let account = self.accounts[host];
        let (packet, name) = (&account.packets[index], &account.name);
        let peer = self.accounts.get(1 - host).copied();
        if let (Some(same), Some(peer)) = (self.same[host][index], peer) {
            if peer.packets[same].what != What::Received {
                return blocked(&peer.name, false);
            }
            let from = peer.packets[same].remote;
            return End {
                how: How::Delivered,
                node: peer.name.clone(),
                reason: None,
                text: format!("{} received it from {from}", peer.name),
            };
        }
        let error = self.errors[host][index].map(|error| account.packets[error].what);
        let (how, reason, text) = match error {
            Some(What::Icmp {
                offender,
                kind,
                code,
            }) => refused(packet, offender, reason(offender, kind, code)),
            Some(What::Blocked { outgoing }) => return blocked(name, outgoing),
            _ => match peer {
                Some(peer) => self.lost(host, packet, peer),
                None => {
                    let text = format!("it left {name}; nothing says what became of it");
                    (How::Unknown, None, text)
                }
            },
        };
        End {
            how,
            node: name.clone(),
            reason,
            text,
        }
    }

    /// It left, and never came.
    fn lost(&self, host: usize, packet: &Packet, peer: &Account) -> (How, Option<String>, String) {
        let own = self.accounts[host];
        let (name, other, to) = (&own.name, &peer.name, packet.remote);
        let (reason, why) = if is_opener(packet) {
            let ttl = packet.ttl.unwrap_or(0);
            let why = format!(
                "its TTL of {ttl} was to open {name}'s own NAT, and not to lead to {other}"
            );
            ("LOW_TTL", why)
        } else if is_private(to.ip()) {
            let why = format!("{} leads to {other} in {other}'s own network only", to.ip());
            ("PRIVATE_ADDRESS", why)
        } else if self.may_be_left_out(peer) {
            let why = format!(
                "or it is one of {} that {other} has not listed",
                peer.left_out
            );
            ("NOT_LISTED", why)
        } else if !peer.reflexive.contains(&to) && !self.has_sent_from(1 - host, to) {
            let why = format!("it was a guess at the port that {other}'s NAT uses");
            ("GUESS", why)
        } else if !self.has_opened(host, packet, peer) {
            let why = format!(
                "{other} had sent nothing to {name} by then, and a NAT or a firewall lets in only what \
                 was asked for"
            );
            ("BEFORE_PEER_SENT", why)
        } else if peer.remap().is_some() && peer.reflexive.contains(&to) {
            let why = format!(
                "{other}'s NAT gives each destination another port, and this is the one for the server"
            );
            ("SYMMETRIC_REMAP", why)
        } else if own.remap().is_some() {
            let why = format!(
                "{name}'s NAT gives each destination another port, so it came from one that {other} has \
                 not sent to"
            );
            ("SYMMETRIC_REMAP", why)
        } else {
            let why = format!("{other}'s NAT or firewall, or the way between");
            ("NOT_SEEN_AGAIN", why)
        };
        let text = format!("left {name} and never came to {other}: {why}");
        (How::Unknown, Some(reason.into()), text)
    }

    /// Whether packets that the peer has heard may be missing in its list.
    fn may_be_left_out(&self, peer: &Account) -> bool {
        let heard = |packet: &&Packet| packet.what != What::Sent;
        peer.left_out > 0 && peer.packets.iter().filter(heard).count() >= crate::account::MOST_HEARD
    }

    /// Whether a packet of this host has come to the other from that address.
    fn has_sent_from(&self, host: usize, from: SocketAddr) -> bool {
        let mut arrived = self.arrived(host).flatten();
        arrived.any(|(_, received)| received.remote == from)
    }

    /// Whether the peer had sent anything towards this host before the packet could arrive.
    fn has_opened(&self, host: usize, packet: &Packet, peer: &Account) -> bool {
        let (own, at) = (self.accounts[host], self.time(host, packet));
        let towards = |to: SocketAddr| {
            let mut seen = own.reflexive.iter().chain([&peer.peer]);
            seen.any(|seen| seen.ip() == to.ip())
        };
        peer.packets.iter().any(|sent| {
            sent.what == What::Sent && towards(sent.remote) && self.time(1 - host, sent) <= at
        })
    }
}

/// The rules of the host itself have dropped it.
fn blocked(name: &str, outgoing: bool) -> End {
    let way = match outgoing {
        true => "before it left",
        false => "when it came",
    };
    End {
        how: How::Dropped,
        node: name.into(),
        reason: Some(LOCAL_FIREWALL.into()),
        text: format!("the firewall of {name} itself dropped it {way}"),
    }
}

/// Who has sent an ICMP error. A host may keep the addresses of its own network to itself, and tells the
/// unspecified one in their place.
fn router(offender: IpAddr) -> String {
    match offender.is_unspecified() {
        true => "a router of the sender's own network".into(),
        false => offender.to_string(),
    }
}

fn refused(packet: &Packet, offender: IpAddr, reason: IcmpReason) -> (How, Option<String>, String) {
    let who = router(offender);
    let (how, text) = match (reason, packet.ttl) {
        (IcmpReason::TimeExceeded, Some(ttl)) => (
            How::TtlExceeded,
            format!("its TTL of {ttl} ran out at {who}"),
        ),
        (IcmpReason::TimeExceeded, None) => (How::TtlExceeded, format!("its TTL ran out at {who}")),
        _ => (How::Refused, format!("{who} answered: {reason}")),
    };
    (how, Some(reason.code().into()), text)
}

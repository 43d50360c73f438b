//! Why two hosts did not come together, as far as both accounts show it.

use super::Hosts;
use super::ends::{LOCAL_FIREWALL, is_opener};
use crate::account::{Account, What};
use crate::{Cause, Direction, How, Journey};

/// What became of one host's packets to the other: of those that were to arrive, and of those that did although they
/// were not, as an opener's or one to a private address.
struct Way {
    sent: usize,
    arrived: usize,
}

impl Hosts<'_> {
    /// The cause, with the journey that shows it; `None` where nothing failed, or one account is missing.
    pub(super) fn cause(&self, journeys: &[Journey]) -> Option<Cause> {
        let [ours, theirs] = self.accounts[..] else {
            return None;
        };
        if ours.connected || theirs.connected {
            return None;
        }
        if let Some(cause) = local_firewall(journeys) {
            return Some(cause);
        }
        let ways = [self.way(0), self.way(1)];
        let (code, text, next) = match &ways {
            [a, b] if a.arrived > 0 && b.arrived > 0 => both_ways(ours, theirs, &ways),
            [Way { arrived: 0, .. }, Way { arrived: 0, .. }] => self.neither(&ways, journeys),
            [a, b] if a.arrived > 0 => one_way(ours, theirs, b),
            [a, _] => one_way(theirs, ours, a),
        };
        Some(Cause {
            code: code.into(),
            text,
            journey: self.shown_by(code, &ways, journeys),
            next: Some(next.into()),
        })
    }

    fn way(&self, host: usize) -> Way {
        let peer = &self.accounts[1 - host].packets;
        let mut way = Way {
            sent: 0,
            arrived: 0,
        };
        let packets = self.accounts[host].packets.iter();
        for (packet, same) in packets.zip(&self.same[host]) {
            if packet.what != What::Sent {
                continue;
            }
            let arrived = same.is_some_and(|same| peer[same].what == What::Received);
            let meant = !is_opener(packet) && !nat::is_private(packet.remote.ip());
            way.sent += usize::from(arrived || meant);
            way.arrived += usize::from(arrived);
        }
        way
    }

    /// No packet came across.
    fn neither(
        &self,
        ways: &[Way; 2],
        journeys: &[Journey],
    ) -> (&'static str, String, &'static str) {
        let [ours, theirs] = [self.accounts[0], self.accounts[1]];
        let (us, them) = (&ours.name, &theirs.name);
        for (way, [silent, other]) in ways.iter().zip([[us, them], [them, us]]) {
            if way.sent == 0 {
                let text = format!("{silent} has sent nothing to {other} that could arrive");
                return (
                    "PEER_NEVER_SENT",
                    text,
                    "Give both sides more time with --timeout",
                );
            }
        }
        if let Some(refused) = journeys.iter().find(|it| is_refused(it)) {
            let text = format!("{} refused: {}", refused.sightings[0].dst, refused.end.text);
            return (
                "ICMP_REFUSED",
                text,
                "Allow UDP in the firewall that refuses it, or use --tcp",
            );
        }
        let sent = format!(
            "{us} sent {} packets and {them} {}, and none came across",
            ways[0].sent, ways[1].sent
        );
        match [remap(ours), remap(theirs)] {
            [Some(one), Some(other)] => {
                let text = format!(
                    "{sent}: both NATs give each destination another port ({one}; {other})"
                );
                (
                    "SYM_SYM",
                    text,
                    "Let the relay carry it, or give both sides a greater --budget",
                )
            }
            [Some(one), None] | [None, Some(one)] => {
                let text = format!(
                    "{sent}: {one}, so the port towards the peer is not the one that the peer knows"
                );
                let next =
                    "Give the side with the other NAT a greater --budget, so that it guesses ports";
                ("SYMMETRIC_REMAP", text, next)
            }
            [None, None] => {
                let text = format!(
                    "{sent}, although both NATs keep the port that the server sees: a firewall drops UDP \
                     between {us} and {them}"
                );
                (
                    "NOTHING_HEARD",
                    text,
                    "Try --tcp, or allow UDP in the firewalls of both sides",
                )
            }
        }
    }

    /// The packet that was refused, if that is the cause; else the first one that was to arrive and did not, on the
    /// way that fails.
    fn shown_by(&self, code: &str, ways: &[Way; 2], journeys: &[Journey]) -> Option<usize> {
        if code == "ICMP_REFUSED" {
            return journeys.iter().find(|it| is_refused(it)).map(|it| it.id);
        }
        let failing = (0..2).find(|&host| ways[host].sent > 0 && ways[host].arrived == 0);
        let name = &self.accounts[failing?].name;
        let lost = |it: &&Journey| {
            let first = &it.sightings[0];
            let of_it = first.node == *name && first.direction == Direction::Out;
            let low_ttl = it.end.reason.as_deref() == Some("LOW_TTL");
            let expired = it.end.how == How::TtlExceeded || low_ttl;
            let arrived = it.end.how == How::Delivered;
            of_it && !expired && !arrived && !nat::is_private(first.dst.ip())
        };
        journeys.iter().find(lost).map(|it| it.id)
    }
}

/// The firewall of one of the hosts itself drops what was to arrive.
fn local_firewall(journeys: &[Journey]) -> Option<Cause> {
    let dropped = journeys.iter().find(|it| {
        let first = &it.sightings[0];
        let local = it.end.reason.as_deref() == Some(LOCAL_FIREWALL);
        local && (it.sightings.len() > 1 || !nat::is_private(first.dst.ip()))
    })?;
    let (name, first) = (&dropped.end.node, &dropped.sightings[0]);
    let (what, to) = match first.node == *name && first.direction == Direction::Out {
        true => ("sends", first.dst),
        false => ("is sent", dropped.sightings.last()?.dst),
    };
    Some(Cause {
        code: LOCAL_FIREWALL.into(),
        text: format!("the firewall of {name} itself drops what {name} {what} by UDP, to {to}"),
        journey: Some(dropped.id),
        next: Some(format!(
            "Allow it there: nft list ruleset, or iptables-save, shows the rules of {name}"
        )),
    })
}

/// Whether it was refused, and not because its address is one of a private network, which is nowhere else.
fn is_refused(journey: &Journey) -> bool {
    journey.end.how == How::Refused && !nat::is_private(journey.sightings[0].dst.ip())
}

/// The sender's packets never come to the peer, whose packets do come to it.
fn one_way(peer: &Account, sender: &Account, way: &Way) -> (&'static str, String, &'static str) {
    let (name, peer) = (&sender.name, &peer.name);
    let text = match way.sent {
        0 => format!(
            "{peer}'s packets come to {name}, which has sent nothing to {peer} that could arrive"
        ),
        sent => format!(
            "{peer}'s packets come to {name}, and none of {name}'s {sent} came to {peer}: {name}'s \
             firewall drops what leaves, or {peer}'s NAT or firewall drops what comes"
        ),
    };
    ("ONE_WAY", text, "Allow UDP in both firewalls, or use --tcp")
}

/// Packets came both ways, and no pair of addresses was agreed upon.
fn both_ways(
    ours: &Account,
    theirs: &Account,
    [a, b]: &[Way; 2],
) -> (&'static str, String, &'static str) {
    let text = format!(
        "{} of {}'s {} packets came to {}, and {} of {} the other way, and no answer came back by the \
         same way",
        a.arrived, ours.name, a.sent, theirs.name, b.arrived, b.sent
    );
    ("NO_PAIR", text, "Give both sides more time with --timeout")
}

/// That a NAT gives each destination another port, in words.
fn remap(account: &Account) -> Option<String> {
    let (first, other) = account.remap()?;
    Some(format!(
        "{}'s NAT uses {first} towards the server and {other} towards its second address",
        account.name
    ))
}

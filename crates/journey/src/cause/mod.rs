//! Why two hosts have no path, or only one through a relay: one cause, from the journeys of their packets.
//!
//! It says what a program on either host cannot know: the port that the other NAT really used, the very packet that
//! was dropped. It needs no word of the program itself, so it works for any.

mod facts;

use crate::{Cause, How, Journey, Trace};
use facts::{Remap, Way};

/// What a program said of its failure, such as punch in its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its code, such as `PEER_OFFLINE`.
    pub code: String,
    /// Its sentence.
    pub text: String,
}

/// Why packets do not pass between these two nodes in both directions. `None`: they do, or neither has tried and
/// nobody has said why.
pub fn cause(trace: &Trace, a: &str, b: &str, said: Option<&Said>) -> Option<Cause> {
    let ways = [Way::between(trace, a, b), Way::between(trace, b, a)];
    if ways.iter().all(|way| way.delivered().is_some()) {
        return None;
    }
    seen(trace, &ways).or_else(|| {
        said.map(|said| Cause {
            code: said.code.clone(),
            text: said.text.clone(),
            journey: last_of(trace, a).or(last_of(trace, b)),
            next: None,
        })
    })
}

/// The last packet of a node that did not come where it should.
fn last_of(trace: &Trace, node: &str) -> Option<usize> {
    let mut sent = trace
        .journeys
        .iter()
        .rev()
        .filter(|it| it.sightings[0].node == node);
    sent.find(|it| it.end.how != How::Delivered).map(|it| it.id)
}

/// What the packets show, the more certain first.
fn seen(trace: &Trace, ways: &[Way; 2]) -> Option<Cause> {
    let [there, back] = ways;
    if let Some(blocked) = blocked(trace, ways) {
        return Some(of(
            "UDP_BLOCKED",
            blocked,
            blocked.end.text.clone(),
            "Try TCP (punch --tcp), or another network.",
        ));
    }
    for (way, other) in [(there, back), (back, there)] {
        if way.journeys.is_empty() && !other.journeys.is_empty() {
            let shows = other.failed().or(other.delivered())?;
            let text = format!(
                "{} sent nothing to {}: {}",
                way.from, way.to, shows.end.text
            );
            let next =
                "Start the program on the other host, and see that it knows this peer's address.";
            return Some(of("PEER_NEVER_SENT", shows, text, next));
        }
    }
    if there.journeys.is_empty() {
        return None;
    }
    if let Some(held) = with_reason(ways, "LOCAL_FIREWALL") {
        let next = "Allow this port in the firewall of that host.";
        return Some(of("LOCAL_FIREWALL", held, held.end.text.clone(), next));
    }
    for way in ways {
        if let Some(wrong) = way.wrong_host() {
            let at = &wrong.end.node;
            let text = format!(
                "{}'s packets to {} came to {at}, another host with that private address",
                way.from, wrong.sightings[0].dst
            );
            let next = "Use the public address of the peer: this private one is in both networks.";
            return Some(of("LAN_FALSE_MATCH", wrong, text, next));
        }
    }
    if let Some(hairpin) = with_reason(ways, "HAIRPIN_UNSUPPORTED") {
        let next = "Use the private addresses: both hosts are behind the same NAT.";
        return Some(of(
            "HAIRPIN_UNSUPPORTED",
            hairpin,
            hairpin.end.text.clone(),
            next,
        ));
    }
    if let Some(expired) = with_reason(ways, "MAPPING_EXPIRED") {
        let next = "Send keepalives more often than the NAT forgets, each 15 s or so.";
        return Some(of(
            "MAPPING_EXPIRED",
            expired,
            expired.end.text.clone(),
            next,
        ));
    }
    for (way, other) in [(there, back), (back, there)] {
        if other.delivered().is_some() {
            let Some(lost) = way.failed() else { continue };
            let text = format!(
                "{}'s packets come to {}, and none comes back: {}",
                other.from, other.to, lost.end.text
            );
            let next = "Look at what dropped this packet: the other direction works.";
            return Some(of("ONE_WAY", lost, text, next));
        }
    }
    for way in ways {
        if let Some(low) = way.always(How::TtlExceeded) {
            let text = format!(
                "no packet of {} had a TTL that suffices: {}",
                way.from, low.end.text
            );
            return Some(of(
                "TTL_TOO_LOW",
                low,
                text,
                "Send with a larger TTL, such as 64.",
            ));
        }
    }
    remapped(trace, ways).or_else(|| stopped(ways))
}

/// A UDP packet of one of the two hosts, to whomever, that a NAT which blocks UDP dropped.
fn blocked<'a>(trace: &'a Trace, ways: &[Way; 2]) -> Option<&'a Journey> {
    let of = |it: &&Journey| ways.iter().any(|way| it.sightings[0].node == way.from);
    let mut blocked = trace.journeys.iter().filter(of);
    blocked.find(|it| it.end.reason.as_deref() == Some("UDP_BLOCKED"))
}

/// A NAT used another port, or another address, than the one that the peer sends to.
fn remapped(trace: &Trace, ways: &[Way; 2]) -> Option<Cause> {
    let [there, back] = ways;
    let remaps = [Remap::of(trace, there, back), Remap::of(trace, back, there)];
    let guessed = ways.iter().find(|way| way.targets().len() > facts::GUESSES);
    let shows = there.failed().or(back.failed())?;
    if let (Some(way), true) = (guessed, remaps.iter().any(Option::is_some)) {
        let text = format!(
            "{} tried {} ports of {}, and none was the right one: {}",
            way.from,
            way.targets().len(),
            way.to,
            way.failed().unwrap_or(shows).end.text
        );
        let next = "Try again in 20 s, or with a larger --budget.";
        return Some(of(
            "BUDGET_EXHAUSTED",
            way.failed().unwrap_or(shows),
            text,
            next,
        ));
    }
    match remaps {
        [Some(first), Some(second)] => {
            let text = format!("{first}; and {second}");
            let next = "Only guesses of ports or a relay help: both NATs give each remote a port of its own.";
            Some(of("SYM_SYM", shows, text, next))
        }
        [Some(remap), None] | [None, Some(remap)] => {
            let shows = remap.shows;
            let text = format!("{remap}. The packet there: {}", shows.end.text);
            let next = match remap.code() {
                "MULTI_IP_POOL" => {
                    "Try again: the NAT may draw the same address. A relay always helps."
                }
                "DYNAMIC_REMAP" => "Let the host behind this NAT send first, with a low TTL.",
                _ => {
                    "Let punch guess the port, have the router map one (UPnP, PCP), or send through a relay."
                }
            };
            Some(of(remap.code(), shows, text, next))
        }
        [None, None] => None,
    }
}

/// What stopped the last packet.
fn stopped(ways: &[Way; 2]) -> Option<Cause> {
    let last = ways.iter().filter_map(Way::failed).max_by_key(|it| it.id)?;
    let (code, next) = match (last.end.how, last.end.reason.as_deref()) {
        (How::Refused | How::NoListener, _) => (
            "ICMP_REFUSED",
            "See that the program still has its socket; a NAT that answers with an error may close the other one's \
             mapping.",
        ),
        (How::Dropped, Some(reason @ ("FILTER_ADDR" | "FILTER_PORT" | "NO_MAPPING"))) => (
            reason,
            "The host behind this NAT has to send there first: both sides send at the same time.",
        ),
        (How::Lost, _) => ("LOST", "Send again: the link loses packets."),
        (How::Dropped, Some(reason)) => (reason, "Look at the rule with this reason."),
        _ => ("NOT_SEEN_AGAIN", "Look at the node that saw it last."),
    };
    Some(of(code, last, last.end.text.clone(), next))
}

fn with_reason<'a>(ways: &[Way<'a>; 2], reason: &str) -> Option<&'a Journey> {
    let mut all = ways.iter().flat_map(|way| way.journeys.iter().rev());
    all.find(|it| it.end.reason.as_deref() == Some(reason))
        .copied()
}

fn of(code: &str, journey: &Journey, text: String, next: &str) -> Cause {
    Cause {
        code: code.to_owned(),
        text,
        journey: Some(journey.id),
        next: Some(next.to_owned()),
    }
}

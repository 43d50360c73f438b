//! What the packets of two hosts to each other show.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::{Direction, How, Journey, Trace};

/// More destinations than a peer has addresses: ports were guessed.
pub(super) const GUESSES: usize = 16;

/// The node in the middle.
const CORE: &str = "core";

/// The packets of one host to another, UDP and TCP.
pub(super) struct Way<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// In the order of time. Those to private addresses only if there are no others: whoever punches tries them as
    /// well, in case that both hosts are in one network.
    pub(super) journeys: Vec<&'a Journey>,
}

impl<'a> Way<'a> {
    pub(super) fn between(trace: &'a Trace, from: &'a str, to: &'a str) -> Self {
        let addresses = addresses_of(trace, to);
        let mut journeys: Vec<&Journey> = trace
            .journeys
            .iter()
            .filter(|it| it.protocol != "icmp" && it.sightings[0].node == from)
            .filter(|it| addresses.contains(&it.sightings[0].dst.ip()))
            .collect();
        // the host's own addresses are behind a NAT, if it has another one
        let own = addresses_on(trace, to);
        if journeys
            .iter()
            .any(|it| !own.contains(&it.sightings[0].dst.ip()))
        {
            journeys.retain(|it| {
                it.end.how == How::Delivered && it.end.node == to
                    || !own.contains(&it.sightings[0].dst.ip())
            });
        }
        Way { from, to, journeys }
    }

    /// A packet that came to the other host's program.
    pub(super) fn delivered(&self) -> Option<&'a Journey> {
        let mut all = self.journeys.iter();
        all.find(|it| it.end.how == How::Delivered && it.end.node == self.to)
            .copied()
    }

    /// The last packet that did not. One whose TTL was meant to run out shows nothing.
    pub(super) fn failed(&self) -> Option<&'a Journey> {
        let failed = |it: &&&Journey| it.end.how != How::Delivered;
        let mut all = self.journeys.iter().rev().filter(failed);
        all.clone()
            .find(|it| it.end.how != How::TtlExceeded)
            .or_else(|| all.next())
            .copied()
    }

    /// The last packet, if all ended so.
    pub(super) fn always(&self, how: How) -> Option<&'a Journey> {
        let all = self.journeys.iter().all(|it| it.end.how == how);
        self.journeys.last().filter(|_| all).copied()
    }

    /// A packet that came to a third host, if no packet went elsewhere.
    pub(super) fn wrong_host(&self) -> Option<&'a Journey> {
        let wrong = |it: &&Journey| {
            matches!(it.end.how, How::Delivered | How::NoListener)
                && it.end.node != self.to
                && nat::is_private(it.sightings[0].dst.ip())
        };
        self.journeys
            .last()
            .copied()
            .filter(|_| self.journeys.iter().all(wrong))
    }

    /// Where its packets were sent to.
    pub(super) fn targets(&self) -> BTreeSet<SocketAddr> {
        self.journeys.iter().map(|it| it.sightings[0].dst).collect()
    }
}

/// A NAT that uses another outside port, or address, towards the peer than the one that the peer sends to.
pub(super) struct Remap<'a> {
    who: &'a str,
    peer: &'a str,
    expected: SocketAddr,
    used: SocketAddr,
    /// The peer's packet came first, to the port that was expected.
    early: bool,
    /// The peer's last packet to the expected port.
    pub(super) shows: &'a Journey,
}

impl<'a> Remap<'a> {
    /// Of the host at the beginning of `way`; `back` is what the peer sends to it.
    pub(super) fn of(trace: &Trace, way: &Way<'a>, back: &Way<'a>) -> Option<Self> {
        let mut sent = back.journeys.iter().rev();
        let shows = sent.find(|it| it.end.how != How::TtlExceeded)?;
        let expected = shows.sightings[0].dst;
        // the socket that the NAT once gave this outside port
        let mut known = trace
            .journeys
            .iter()
            .filter(|it| it.sightings[0].node == way.from);
        let known = known.find(|it| beyond(it, way.from) == Some(expected))?;
        let outside: Vec<(f64, SocketAddr)> = way
            .journeys
            .iter()
            .filter(|it| it.sightings[0].src == known.sightings[0].src)
            .filter_map(|it| Some((it.sightings[0].t_ms, beyond(it, way.from)?)))
            .collect();
        let targets = back.targets();
        let ((first, _), (_, used)) = (*outside.first()?, *outside.last()?);
        if outside.iter().any(|(_, used)| targets.contains(used)) {
            return None;
        }
        let early = back.journeys.iter().any(|it| {
            it.sightings[0].dst == expected
                && it.sightings[0].t_ms < first
                && it.end.how == How::Refused
        });
        Some(Remap {
            who: way.from,
            peer: way.to,
            expected,
            used,
            early,
            shows,
        })
    }

    pub(super) fn code(&self) -> &'static str {
        match (self.expected.ip() == self.used.ip(), self.early) {
            (false, _) => "MULTI_IP_POOL",
            (true, true) => "DYNAMIC_REMAP",
            (true, false) => "SYMMETRIC_REMAP",
        }
    }
}

impl fmt::Display for Remap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Remap {
            who,
            peer,
            expected,
            used,
            ..
        } = self;
        write!(
            f,
            "{peer} sends to {expected}, but {who}'s packets to {peer} leave from {used}"
        )?;
        if self.early {
            write!(f, ", since {peer}'s packet came before {who}'s first one")?;
        }
        Ok(())
    }
}

/// The source of a packet behind all NATs of its sender: as it came to the core.
fn beyond(journey: &Journey, from: &str) -> Option<SocketAddr> {
    let mut elsewhere = journey.sightings.iter().filter(|at| at.node != from);
    let core = elsewhere.clone().find(|at| at.node == CORE);
    core.or_else(|| elsewhere.rfind(|at| at.direction == Direction::Out))
        .map(|at| at.src)
}

fn addresses_on(trace: &Trace, node: &str) -> BTreeSet<IpAddr> {
    let nodes = trace.nodes.iter().filter(|it| it.name == node);
    nodes
        .flat_map(|it| &it.interfaces)
        .flat_map(|it| it.addresses.iter().copied())
        .collect()
}

/// By which addresses a host can be reached: its own, those of the routers between it and the core, and those that its
/// packets had behind them.
fn addresses_of(trace: &Trace, host: &str) -> BTreeSet<IpAddr> {
    let mut found = addresses_on(trace, host);
    let place = |name: &str| trace.nodes.iter().position(|it| it.name == name);
    if let (Some(host), Some(core)) = (place(host), place(CORE)) {
        let between = host.min(core) + 1..host.max(core);
        for router in trace.nodes[between]
            .iter()
            .filter(|it| it.interfaces.len() > 1)
        {
            found.extend(
                router
                    .interfaces
                    .iter()
                    .flat_map(|it| it.addresses.iter().copied()),
            );
        }
    }
    for journey in &trace.journeys {
        if journey.protocol != "icmp" && journey.sightings[0].node == host {
            found.extend(beyond(journey, host).map(|at| at.ip()));
        }
    }
    found
}

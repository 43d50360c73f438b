//! Which packets have a line of their own, and which are counted under another.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::way;
use crate::{Gap, How, Journey, Trace};

/// For how long a packet is a repetition of one that had another end since then, in milliseconds: of a lossy link,
/// the packets that arrive and those that do not are counted apart.
const SAME_TIME_MS: f64 = 1000.0;

/// A line of the ladder, with what is under it.
#[derive(Debug)]
pub(crate) enum Row<'a> {
    /// A packet.
    Packet(Packet<'a>),
    /// A time in which packets may be missing.
    Gap(&'a Gap),
}

/// A packet that has a line.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) journey: &'a Journey,
    /// Whether it is an ICMP error about the packet above it.
    pub(crate) answers: bool,
    /// Whether it shows the cause.
    pub(crate) telling: bool,
    /// Those that repeat it.
    pub(crate) more: More,
}

/// Packets that are counted.
#[derive(Debug, Default)]
pub(crate) struct More {
    pub(crate) count: usize,
    pub(crate) last_ms: f64,
    /// Their ports, that of the shown packet included.
    from: BTreeSet<u16>,
    to: BTreeSet<u16>,
}

impl More {
    /// The number of ports that they came from, and went to.
    pub(crate) fn ports(&self) -> (usize, usize) {
        (self.from.len(), self.to.len())
    }

    fn count(&mut self, journey: &Journey) {
        self.count += 1;
        self.last_ms = began(journey);
        self.ports_of(journey);
    }

    fn ports_of(&mut self, journey: &Journey) {
        if let Some(first) = journey.sightings.first() {
            self.from.insert(first.src.port());
            self.to.insert(first.dst.port());
        }
    }
}

/// What a packet is, without its ports and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Subject<'a> {
    protocol: &'a str,
    what: String,
    hosts: Option<(IpAddr, IpAddr)>,
    opener: bool,
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Fate<'a> {
    way: Vec<&'a str>,
    how: How,
    reason: Option<&'a str>,
    /// The ICMP errors about it, and what became of them.
    errors: Vec<(String, Fate<'a>)>,
}

/// The lines of a ladder. With `all`, every packet has one.
pub(crate) fn rows(trace: &Trace, all: bool) -> Vec<Row<'_>> {
    let telling = trace.cause.as_ref().and_then(|cause| cause.journey);
    let errors = errors(trace);
    let under: HashSet<usize> = errors.values().flatten().copied().collect();
    let mut gaps = trace.gaps.iter().peekable();
    let mut rows = Vec::new();
    // the row of each subject and fate; the fate that the subject had last, and since when
    let mut groups: HashMap<(Subject<'_>, Fate<'_>), usize> = HashMap::new();
    let mut latest: HashMap<Subject<'_>, (Fate<'_>, f64)> = HashMap::new();
    for (at, journey) in trace.journeys.iter().enumerate() {
        while let Some(gap) = gaps.next_if(|gap| gap.t_ms <= began(journey)) {
            rows.push(Row::Gap(gap));
        }
        if under.contains(&at) {
            continue;
        }
        let answers = errors.get(&at).map(Vec::as_slice).unwrap_or_default();
        let answers: Vec<&Journey> = answers.iter().map(|at| &trace.journeys[*at]).collect();
        let shows_cause = |at: usize| telling == Some(at);
        if !all && !shows_cause(at) && !answers.iter().any(|it| shows_cause(it.id)) {
            let subject = Subject::of(journey);
            let fate = Fate::of(journey, &answers);
            let group = groups.get(&(subject.clone(), fate.clone())).copied();
            let since = latest.insert(subject.clone(), (fate.clone(), began(journey)));
            let unchanged = since.as_ref().is_none_or(|(before, _)| *before == fate);
            if let Some(Row::Packet(packet)) = group.and_then(|row| rows.get_mut(row)) {
                let shown: &mut Packet<'_> = packet;
                let last = shown.more.last_ms.max(began(shown.journey));
                if unchanged || began(journey) - last <= SAME_TIME_MS {
                    shown.more.count(journey);
                    continue;
                }
            }
            groups.insert((subject, fate), rows.len());
        }
        rows.push(Row::of(journey, false, shows_cause(at)));
        rows.extend(
            answers
                .iter()
                .map(|it| Row::of(it, true, shows_cause(it.id))),
        );
    }
    rows.extend(gaps.map(Row::Gap));
    rows
}

/// When the packet was first seen, in milliseconds.
pub(crate) fn began(journey: &Journey) -> f64 {
    journey.sightings.first().map_or(0.0, |first| first.t_ms)
}

/// Of each packet, the ICMP errors about it. An error about an error stays in its own place.
fn errors(trace: &Trace) -> HashMap<usize, Vec<usize>> {
    let mut errors: HashMap<usize, Vec<usize>> = HashMap::new();
    for (at, journey) in trace.journeys.iter().enumerate() {
        let about = journey
            .about
            .and_then(|id| Some((id, trace.journeys.get(id)?)));
        if let Some((id, _)) = about.filter(|(_, packet)| packet.about.is_none()) {
            errors.entry(id).or_default().push(at);
        }
    }
    errors
}

impl<'a> Row<'a> {
    fn of(journey: &'a Journey, answers: bool, telling: bool) -> Self {
        let mut more = More::default();
        more.ports_of(journey);
        Row::Packet(Packet {
            journey,
            answers,
            telling,
            more,
        })
    }
}

impl<'a> Subject<'a> {
    fn of(journey: &'a Journey) -> Self {
        let ends = journey.sightings.first().map(way::ends);
        let ip = |(src, dst): (SocketAddr, SocketAddr)| (src.ip(), dst.ip());
        Self {
            protocol: &journey.protocol,
            what: kind(&journey.what),
            hosts: ends.map(ip),
            opener: way::is_opener(journey),
        }
    }
}

impl<'a> Fate<'a> {
    fn of(journey: &'a Journey, errors: &[&'a Journey]) -> Self {
        let errors = errors.iter().map(|it| (kind(&it.what), Self::of(it, &[])));
        Self {
            way: way::nodes(journey),
            how: journey.end.how,
            reason: journey.end.reason.as_deref(),
            errors: errors.collect(),
        }
    }
}

/// What a packet carries, without the words that differ from packet to packet: numbers, addresses and transaction
/// ids. The bindings of a prober differ in what they ask for, and are one kind.
fn kind(what: &str) -> String {
    let what = match what.split_once(',') {
        Some((binding, _)) if binding.starts_with("binding ") => binding,
        _ => what,
    };
    let same = |word: &&str| {
        let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let id = word.len() == 6 && word.bytes().all(|b| b.is_ascii_hexdigit());
        !id && !word.bytes().any(|b| b.is_ascii_digit())
    };
    let words: Vec<&str> = what.split(' ').filter(same).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_no_numbers() {
        for (a, b) in [
            ("probe request 18a032", "probe request facade"),
            ("data (5 bytes)", "data (1200 bytes)"),
            (
                "binding request",
                "binding request, answer from the other port",
            ),
            (
                "probe answer 1c, reflexive address 192.0.2.1:5",
                "probe answer 2c, reflexive address 192.0.2.1:6",
            ),
        ] {
            assert_eq!(kind(a), kind(b));
        }
        assert_ne!(
            kind("probe request 18a032"),
            kind("probe request 18a032, nominates")
        );
        assert_ne!(
            kind("register error 401 Unauthenticated"),
            kind("register error 431 Other")
        );
    }
}

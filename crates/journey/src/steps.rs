//! The steps of an attempt to connect two hosts, as a trace shows them: what a newcomer reads before the ladder.

use crate::ladder::changes::{Change, Changes};
use crate::ladder::rows::{self, Packet, Row};
use crate::ladder::text::{BAD, FAINT, Paint, wrap};
use crate::ladder::way;
use crate::{How, Journey, Trace};

/// The most steps that are told.
const MOST: usize = 14;
/// How wide a line is at most.
const WIDTH: usize = 100;

/// A step: a packet, and what it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Milliseconds since the start of the trace.
    pub t_ms: f64,
    /// The node that sent the packet.
    pub from: String,
    /// The host that it is for, as far as that is known.
    pub to: String,
    /// Whether it came there.
    pub arrived: bool,
    /// What it is for, and what it changes, or where and why it ended.
    pub text: String,
}

/// The steps of the attempt between the peers that this trace has, at most 14, in the order of time. What a prober
/// sends, what measures a path and what goes to private addresses without a way is left out.
pub fn steps(trace: &Trace) -> Vec<Step> {
    let mut changes = Changes::of(trace);
    let mut told: Vec<(u8, Step)> = Vec::new();
    for row in rows::rows(trace, false) {
        let Row::Packet(packet) = row else { continue };
        if packet.answers {
            continue;
        }
        let news = changes.made_by(packet.journey);
        let Some((rank, text)) = purpose(packet.journey) else {
            continue;
        };
        let step = step(&packet, &changes, text, &news);
        let repeats = |(_, known): &(u8, Step)| {
            (&known.from, known.arrived, &known.text) == (&step.from, step.arrived, &step.text)
        };
        if !told.iter().any(repeats) {
            told.push((rank, step));
        }
    }
    while told.len() > MOST {
        let worst = told.iter().map(|(rank, _)| *rank).max();
        let Some(at) = told.iter().rposition(|(rank, _)| Some(*rank) == worst) else {
            break;
        };
        told.remove(at);
    }
    told.into_iter().map(|(_, step)| step).collect()
}

/// The steps as text, a line each; times count from the first one.
pub fn render(trace: &Trace, colour: bool) -> String {
    let paint = Paint {
        ascii: false,
        colour,
    };
    let steps = steps(trace);
    let start = steps.first().map_or(0.0, |step| step.t_ms);
    let longest =
        |name: fn(&Step) -> &str| steps.iter().map(|it| name(it).len()).max().unwrap_or(0);
    let (from, to) = (longest(|it| &it.from), longest(|it| &it.to));
    let mut out = String::new();
    for step in &steps {
        let time = paint.styled(FAINT, &format!("{:>8.1}", step.t_ms - start));
        let way = match step.arrived {
            true => format!("{:>from$} → {:<to$}", step.from, step.to),
            false => format!("{:>from$} ✗ {:<to$}", step.from, step.to),
        };
        let way = paint.clean(&way);
        let lost = !step.arrived && !step.text.starts_with("opener");
        let way = if lost { paint.styled(BAD, &way) } else { way };
        let indent = 8 + 2 + from + 3 + to + 2;
        let text = paint.clean(&step.text);
        for (n, line) in wrap(&text, WIDTH.saturating_sub(indent).max(20), 0)
            .iter()
            .enumerate()
        {
            match n {
                0 => out += &format!("{time}  {way}  {line}\n"),
                _ => out += &format!("{:indent$}{line}\n", ""),
            }
        }
    }
    out
}

fn step(packet: &Packet<'_>, changes: &Changes<'_>, purpose: String, news: &[Change]) -> Step {
    let journey = packet.journey;
    let arrived = journey.end.how == How::Delivered;
    let mut text = purpose;
    let opened = news.iter().find_map(|change| match change {
        Change::Accepts { node, from, .. } => Some((node, from.host())),
        Change::Translates { .. } => None,
    });
    if let Some((node, host)) = opened {
        text += &format!("; {node} now accepts packets from {host}");
    }
    if !arrived && !way::is_opener(journey) {
        let reason = journey.end.reason.as_deref().unwrap_or("not seen again");
        let again = match packet.more.count {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        text += &format!(": {reason} at {}{again}", journey.end.node);
    }
    let first = journey.sightings.first();
    Step {
        t_ms: rows::began(journey),
        from: first.map(|it| it.node.clone()).unwrap_or_default(),
        to: match arrived {
            true => journey.end.node.clone(),
            false => first.map(|it| changes.name(it.dst)).unwrap_or_default(),
        },
        arrived,
        text,
    }
}

/// What a packet is for, and how soon it is left out: 0 last. `None`: it is no step.
fn purpose(journey: &Journey) -> Option<(u8, String)> {
    let what = &*journey.what;
    let lost = journey.end.how != How::Delivered;
    let private = journey
        .sightings
        .last()
        .is_some_and(|last| nat::is_private(last.dst.ip()));
    let is = |start: &str| what.starts_with(start);
    let has = |part: &str| what.contains(part);
    let address = |after: &str| {
        let rest = what.split_once(after).map(|(_, rest)| rest);
        rest.unwrap_or_default().to_owned()
    };
    Some(match () {
        () if has("measures") || has("leaves") => return None,
        () if is("register request of ") => (3, "registers its name".to_owned()),
        () if is("register request") => (6, "wants to register".to_owned()),
        () if is("register error 401") => (6, "asks for a cookie (normal)".to_owned()),
        () if is("register answer") => (
            5,
            format!("registered, seen at {}", address("reflexive address ")),
        ),
        () if is("connect request") => (1, format!("asks for {}", address(" for "))),
        () if is("notify request") => (1, format!("a call, from {}", address("peer at "))),
        () if is("notify answer") => (5, "ready: the opener has left".to_owned()),
        () if is("connect answer") => (1, format!("the peer is at {}", address("peer at "))),
        () if is("allocate answer") => (4, "an address at the relay".to_owned()),
        () if is("send indication") => (4, "data for the relay to pass on".to_owned()),
        () if is("data indication") => (4, "data from the relay".to_owned()),
        () if is("probe") && lost && private => return None,
        () if is("probe request") && way::is_opener(journey) => {
            (0, format!("opener, to end at {}", journey.end.node))
        }
        () if is("probe request") && has("nominates") => (0, "chooses this path".to_owned()),
        () if is("probe request") && lost => (1, "probe".to_owned()),
        () if is("probe request") => (0, "probe".to_owned()),
        () if is("probe answer") => (
            2,
            format!("answer, seen at {}", address("reflexive address ")),
        ),
        () if is("probe indication") => (4, "path confirmed".to_owned()),
        () => return None,
    })
}

/// A text in lines of at most 98 columns, so that the first may be indented.
pub fn wrapped(text: &str) -> String {
    let lines = wrap(text, WIDTH - 2, 2);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Milliseconds from the first packet of this host to the first that chose a path, in either direction: any path, or
/// a direct one with `peer`.
pub fn to_the_path(trace: &Trace, host: &str, peer: Option<&str>) -> Option<f64> {
    let sent = |it: &&Journey| it.sightings.first().is_some_and(|first| first.node == host);
    let start = trace
        .journeys
        .iter()
        .find(|it| sent(it) && it.what.starts_with("register"))?;
    let is_wanted = |it: &Journey| {
        let ends = [it.sightings.first(), it.sightings.last()].map(|it| it.map(|it| &*it.node));
        peer.is_none_or(|peer| ends == [Some(host), Some(peer)] || ends == [Some(peer), Some(host)])
    };
    let chosen = trace.journeys.iter().find(|it| {
        is_wanted(it)
            && it.end.how == How::Delivered
            && it.what.starts_with("probe")
            && it.what.contains("nominates")
    })?;
    let end = chosen.sightings.last()?.t_ms;
    Some(end - rows::began(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ladder::tests::trace;

    #[test]
    fn steps_say_what_each_packet_is_for() {
        let wanted = "\
\x20    0.0  alice → server  registers its name; nat-alice now accepts packets from anyone
\x20    1.0    bob → server  registers its name; nat-bob now accepts packets from server
\x20    2.0    bob ✗ alice   opener, to end at core; nat-bob now accepts packets from alice
\x20    4.0  alice ✗ bob     probe: FILTER_PORT at nat-bob
\x20    5.0  alice ✗ bob     probe: FILTER_PORT at nat-bob, and 3 more
";
        assert_eq!(render(&trace(), false), wanted);
        assert!(render(&trace(), true).contains("\u{1b}["));
    }

    #[test]
    fn there_are_never_more_than_can_be_read_at_once() {
        let mut trace = trace();
        for n in 0..100_u32 {
            let mut journey = trace.journeys[0].clone();
            journey.what = format!("register answer, reflexive address 203.0.113.17:{n}");
            journey.end.reason = Some(format!("{n}"));
            trace.journeys.push(journey);
        }
        assert_eq!(steps(&trace).len(), MOST);
        let shown = steps(&trace);
        assert!(shown.iter().any(|step| step.text.starts_with("opener")));
    }

    #[test]
    fn the_time_to_the_path_counts_from_the_first_packet() {
        let mut trace = trace();
        assert_eq!(to_the_path(&trace, "alice", None), None);
        let mut chosen = trace.journeys[0].clone();
        chosen.what = "probe request 000001, nominates".to_owned();
        for (n, at) in chosen.sightings.iter_mut().enumerate() {
            at.t_ms = 10.0 + n as f64;
        }
        let mut direct = chosen.clone();
        trace.journeys.push(chosen);
        assert_eq!(to_the_path(&trace, "alice", None), Some(15.0));
        assert_eq!(to_the_path(&trace, "carol", None), None);
        // That one chose the relay, which the server is.
        assert_eq!(to_the_path(&trace, "alice", Some("bob")), None);
        if let Some(last) = direct.sightings.last_mut() {
            (last.node, last.t_ms) = ("bob".to_owned(), 40.0);
        }
        trace.journeys.push(direct);
        assert_eq!(to_the_path(&trace, "alice", Some("bob")), Some(40.0));
    }
}

//! What became of the packets between the two hosts, for people.

use std::fmt::Write;

use journey::clock::Offset;
use journey::{Direction, How, Journey, Trace};

use crate::lines::wrap;

/// The lines that are shown at each end, where there are more than twice as many.
const SHOWN: usize = 20;

/// All of it, without a line break at the end.
pub fn of(trace: &Trace, offset: Option<Offset>, alone: Option<&str>) -> String {
    let mut text =
        String::from("What became of the packets between the two hosts (times in ms):\n");
    for node in &trace.nodes {
        wrap(&mut text, &format!("  {}: ", node.name), &node.description);
    }
    if let Some(alone) = alone {
        wrap(&mut text, "  ", alone);
    }
    if let Some(offset) = offset {
        let error = offset.error_us as f64 / 1e3;
        let _ = writeln!(
            text,
            "  The clocks of the two hosts are aligned to ±{error:.1} ms."
        );
    }
    text.push('\n');
    let groups = groups(&trace.journeys);
    let hidden = groups.len().saturating_sub(2 * SHOWN);
    let shown = |index: usize| hidden == 0 || !(SHOWN..SHOWN + hidden).contains(&index);
    for (index, group) in groups.iter().enumerate() {
        if shown(index) {
            show(&mut text, trace, group);
        } else if index == SHOWN {
            let _ = writeln!(
                text,
                "{:>9}  {hidden} more, which --trace FILE.json has",
                "…"
            );
        }
    }
    for gap in &trace.gaps {
        let lost = gap.lost.unwrap_or(0);
        let _ = writeln!(text, "  {lost} more packets of {} were not kept.", gap.node);
    }
    if let Some(cause) = &trace.cause {
        text.push('\n');
        wrap(&mut text, "", &format!("{}: {}.", cause.code, cause.text));
        if let Some(next) = &cause.next {
            wrap(&mut text, "", &format!("Next: {next}."));
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// Packets that went the same way and ended alike: one after the other, or not at all.
///
/// ICMP errors are not among them: the packets that they are about say what they say.
fn groups(journeys: &[Journey]) -> Vec<Vec<&Journey>> {
    let mut groups: Vec<Vec<&Journey>> = Vec::new();
    for journey in journeys.iter().filter(|it| it.protocol == "udp") {
        let arrived = journey.end.how == How::Delivered;
        let alike = |group: &&mut Vec<&Journey>| is_alike(group[0], journey);
        let group = match arrived {
            true => groups.last_mut().filter(alike),
            false => groups.iter_mut().find(alike),
        };
        match group {
            Some(group) => group.push(journey),
            None => groups.push(vec![journey]),
        }
    }
    groups
}

fn is_alike(one: &Journey, other: &Journey) -> bool {
    let way = |it: &Journey| {
        let ends = it.sightings.iter().map(|s| (s.src, s.dst));
        (ends.collect::<Vec<_>>(), kind(it).to_owned())
    };
    one.end == other.end && way(one) == way(other)
}

/// What it carries, without what tells it from others of its kind.
fn kind(journey: &Journey) -> &str {
    let what = journey.what.as_str();
    let id = |word: &str| word.len() == 6 && word.bytes().all(|b| b.is_ascii_hexdigit());
    what.rsplit_once(' ')
        .filter(|(_, last)| id(last))
        .map_or(what, |(kind, _)| kind)
}

fn show(text: &mut String, trace: &Trace, group: &[&Journey]) {
    let (journey, last) = (group[0], group[group.len() - 1]);
    let first = &journey.sightings[0];
    let names: Vec<&str> = trace.nodes.iter().map(|node| node.name.as_str()).collect();
    let (left, right) = (
        names.first().copied().unwrap_or("?"),
        names.get(1).copied().unwrap_or("the peer"),
    );
    let (out, came) = (
        first.direction == Direction::Out,
        journey.end.how == How::Delivered,
    );
    let arrow = match ((first.node == left) == out, came) {
        (true, true) => "───▶",
        (true, false) => "──✗ ",
        (false, true) => "◀───",
        (false, false) => " ✗──",
    };
    let what = match group.len() {
        1 => journey.what.clone(),
        count => format!("{count} × {}", kind(journey)),
    };
    let until = match group.len() {
        1 => String::new(),
        _ => format!(", until {:.1}", last.sightings[0].t_ms),
    };
    let way = match (out, journey.sightings.get(1)) {
        (true, Some(there)) => format!(
            "to {}, came at {:.1} from {}",
            first.dst, there.t_ms, there.src
        ),
        (true, None) => format!("to {}", first.dst),
        (false, _) => format!("from {}", first.src),
    };
    let start = format!("{:>9.1}  {left} {arrow} {right}  ", first.t_ms);
    wrap(text, &start, &format!("{what} {way}{until}"));
    if !came || !out {
        wrap(text, &format!("{:>9}  ", ""), &journey.end.text);
    }
}

#[cfg(test)]
mod tests {
    use crate::lines::WIDTH;
    use journey::account::{Account, Packet, What};
    use journey::clock::Clock;

    use super::*;

    fn text(alice: Vec<Packet>) -> String {
        let account = |name: &str, packets| Account {
            name: name.into(),
            address: "192.168.1.2".parse().unwrap(),
            reflexive: vec!["203.0.113.17:40000".parse().unwrap(); 2],
            peer: "203.0.113.33:40001".parse().unwrap(),
            connected: false,
            cause: None,
            left_out: 3,
            packets,
        };
        let mut clock = Clock::default();
        clock.went(0, 1000);
        clock.came(1000, 2000);
        let bob = account("bob", Vec::new());
        let (trace, offset) = journey::hosts::join(&account("alice", alice), Some(&bob), clock, 0);
        of(&trace, offset, None)
    }

    fn sent(at_us: u64, payload: &[u8]) -> Packet {
        let bob = "203.0.113.33:40001".parse().unwrap();
        Packet::new(at_us, What::Sent, 4000, bob, payload)
    }

    #[test]
    fn packets_that_end_alike_are_told_together_in_lines_of_a_screens_width() {
        let packets = (0..50).map(|n| sent(n * 100_000, &[1]));
        let text = text(packets.collect());
        assert!(
            text.contains("50 × data (1 bytes) to 203.0.113.33:40001, until 4900.0"),
            "{text}"
        );
        assert_eq!(text.matches("never came to bob").count(), 1, "{text}");
        assert!(text.contains("aligned to ±1.0 ms"), "{text}");
        assert!(
            text.contains("  alice: 192.168.1.2, seen by the server at 203.0.113.17:40000\n"),
            "{text}"
        );
        assert!(
            text.contains("3 more packets of alice were not kept"),
            "{text}"
        );
        assert!(
            text.contains("PEER_NEVER_SENT: bob has sent nothing"),
            "{text}"
        );
        let longest = text.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(WIDTH), "{text}");
    }

    #[test]
    fn of_many_lines_the_first_and_the_last_are_shown() {
        let packets = (0..100).map(|n| {
            let to = format!("203.0.113.33:{}", 5000 + n).parse().unwrap();
            Packet {
                remote: to,
                ..sent(n * 1000, &[1])
            }
        });
        let text = text(packets.collect());
        assert!(
            text.contains("…  60 more, which --trace FILE.json has"),
            "{text}"
        );
        for (port, shown) in [
            (5000, true),
            (5019, true),
            (5020, false),
            (5079, false),
            (5080, true),
        ] {
            assert_eq!(
                text.contains(&format!(":{port}\n")),
                shown,
                "{port}: {text}"
            );
        }
    }
}

use std::net::SocketAddr;

use super::*;
use crate::{Cause, Direction, End, Gap, How, Interface, Journey, Mapping, Node, Sighting, Tables};

const ALICE: &str = "192.168.1.2:4000";
const ALICE_OUTSIDE: &str = "203.0.113.17:4000";
const BOB: &str = "192.168.2.2:5000";
const BOB_OUTSIDE: &str = "203.0.113.33:5000";
const BOB_OTHER: &str = "203.0.113.33:6111";
const SERVER: &str = "203.0.113.1:8848";

/// Where a packet was seen: `node>` out of it, `>node` into it; with source and destination from there on.
type Seen<'a> = (&'a str, &'a str, &'a str);

fn journey(
    id: usize,
    at: f64,
    what: &str,
    seen: &[Seen<'_>],
    end: (How, &str, Option<&str>, &str),
) -> Journey {
    let sighting = |n: usize, (place, src, dst): &Seen<'_>| Sighting {
        t_ms: at + n as f64 / 100.0,
        node: place.trim_matches('>').to_owned(),
        interface: "eth0".to_owned(),
        direction: match place.starts_with('>') {
            true => Direction::In,
            false => Direction::Out,
        },
        src: src.parse().unwrap(),
        dst: dst.parse().unwrap(),
        ttl: if what.starts_with("opener") { 2 } else { 64 },
        raw: Vec::new(),
    };
    Journey {
        id,
        protocol: "udp".to_owned(),
        what: what.trim_start_matches("opener ").to_owned(),
        payload_len: 0,
        payload_sha256: String::new(),
        bytes: String::new(),
        retransmission_of: None,
        about: None,
        sightings: seen
            .iter()
            .enumerate()
            .map(|(n, it)| sighting(n, it))
            .collect(),
        end: End {
            how: end.0,
            node: end.1.to_owned(),
            reason: end.2.map(str::to_owned),
            text: end.3.to_owned(),
        },
    }
}

const ARRIVED_AT_SERVER: (How, &str, Option<&str>, &str) = (How::Delivered, "server", None, "");
const FILTERED: (How, &str, Option<&str>, &str) = (
    How::Dropped,
    "nat-bob",
    Some("FILTER_PORT"),
    "filtered at nat-bob: bob has sent from 203.0.113.33:5000 only to 203.0.113.1:8848",
);

/// Both hosts at the rendezvous, an opener of bob's through a symmetric NAT, and alice's probes that nat-bob drops.
pub(crate) fn trace() -> Trace {
    let node = |name: &str, description: &str, address: &str| Node {
        name: name.to_owned(),
        description: description.to_owned(),
        interfaces: vec![Interface {
            name: "eth0".to_owned(),
            addresses: vec![address.parse().unwrap()],
        }],
    };
    let out = |at: &'static str| (at, ALICE, BOB_OUTSIDE);
    let on = |at: &'static str| (at, ALICE_OUTSIDE, BOB_OUTSIDE);
    let probe = |id, at| {
        let seen = [
            out("alice>"),
            out(">nat-alice"),
            on("nat-alice>"),
            on(">core"),
            on("core>"),
            on(">nat-bob"),
        ];
        journey(id, at, &format!("probe request {id:06x}"), &seen, FILTERED)
    };
    let hello = [(ALICE, ALICE_OUTSIDE, "alice"), (BOB, BOB_OUTSIDE, "bob")].map(
        |(inside, outside, who)| {
            let places = [
                format!("{who}>"),
                format!(">nat-{who}"),
                format!("nat-{who}>"),
            ];
            let seen = [
                (&*places[0], inside, SERVER),
                (&places[1], inside, SERVER),
                (&places[2], outside, SERVER),
                (">core", outside, SERVER),
                ("core>", outside, SERVER),
                (">server", outside, SERVER),
            ];
            let id = usize::from(who == "bob");
            journey(
                id,
                id as f64,
                &format!("register request of {who}"),
                &seen,
                ARRIVED_AT_SERVER,
            )
        },
    );
    let opener = journey(
        2,
        2.0,
        "opener probe request 0000aa",
        &[
            ("bob>", BOB, ALICE_OUTSIDE),
            (">nat-bob", BOB, ALICE_OUTSIDE),
            ("nat-bob>", BOB_OTHER, ALICE_OUTSIDE),
            (">core", BOB_OTHER, ALICE_OUTSIDE),
        ],
        (
            How::TtlExceeded,
            "core",
            Some("time-exceeded"),
            "its TTL ran out at core",
        ),
    );
    let mut error = journey(
        3,
        2.1,
        "ICMP time exceeded in transit",
        &[
            ("core>", "203.0.113.254:0", "203.0.113.33:0"),
            (">nat-bob", "203.0.113.254:0", "203.0.113.33:0"),
            ("nat-bob>", "203.0.113.254:0", "192.168.2.2:0"),
            (">bob", "203.0.113.254:0", "192.168.2.2:0"),
        ],
        (How::Delivered, "bob", None, ""),
    );
    error.protocol = "icmp".to_owned();
    error.about = Some(2);
    let [alice, bob] = hello;
    let mut journeys = vec![alice, bob, opener, error];
    journeys.extend((4..9).map(|id| probe(id, id as f64)));
    let mapping = |inside: &str, outside: &str, permits: &[&str], anyone| Mapping {
        protocol: "udp".to_owned(),
        inside: inside.parse().unwrap(),
        outside: outside.parse().unwrap(),
        destination: None,
        permits: permits.iter().map(|it| it.parse().unwrap()).collect(),
        anyone,
    };
    Trace {
        schema: nat::Schema,
        started_unix_ns: 0,
        nodes: vec![
            node("alice", "a host", "192.168.1.2"),
            node("nat-alice", "a NAT", "203.0.113.17"),
            node("core", "the Internet", "203.0.113.254"),
            node("nat-bob", "a NAT", "203.0.113.33"),
            node("bob", "a host", "192.168.2.2"),
            node("carol", "another host", "192.168.3.2"),
            node("server", "the rendezvous", "203.0.113.1"),
        ],
        journeys,
        tables: vec![
            Tables {
                t_ms: 0.1,
                node: "nat-alice".to_owned(),
                mappings: vec![mapping(ALICE, ALICE_OUTSIDE, &[], true)],
            },
            Tables {
                t_ms: 2.5,
                node: "nat-bob".to_owned(),
                mappings: vec![
                    mapping(BOB, BOB_OUTSIDE, &["203.0.113.1:8848"], false),
                    mapping(BOB, BOB_OTHER, &["203.0.113.17:4000"], false),
                ],
            },
        ],
        gaps: vec![Gap {
            t_ms: 3.5,
            node: "nat-bob".to_owned(),
            source: "nflog".to_owned(),
            lost: Some(7),
        }],
        cause: Some(Cause {
            code: "SYMMETRIC_REMAP".to_owned(),
            text: "nat-bob gives every destination another port".to_owned(),
            journey: Some(4),
            next: Some("allow guesses: --budget 4000".to_owned()),
        }),
    }
}

fn lines(options: &Options) -> Vec<String> {
    render(&trace(), options)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_ladder_is_read_from_top_to_bottom() {
    let wanted = include_str!("tests.txt");
    let found = render(&trace(), &Options::default());
    assert!(found == wanted, "found:\n{found}\nwanted:\n{wanted}");
}

#[test]
fn no_line_is_wider_than_the_page() {
    for (width, limit) in [(100, 100), (80, 80), (60, 60), (10, 60), (400, 100)] {
        for ascii in [false, true] {
            let options = Options {
                width,
                ascii,
                ..Options::default()
            };
            for line in lines(&options) {
                assert!(text::width(&line) <= limit, "{limit}: {line}");
                assert!(!ascii || line.is_ascii(), "{line}");
                assert_eq!(line, line.trim_end());
            }
        }
    }
}

#[test]
fn colours_change_nothing_but_colours() {
    let plain = render(&trace(), &Options::default());
    let options = Options {
        colour: true,
        ..Options::default()
    };
    let coloured = render(&trace(), &options);
    let mut stripped = String::new();
    let mut rest = &*coloured;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        stripped.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    stripped.push_str(rest);
    assert!(coloured.len() > plain.len());
    let trimmed = |text: &str| {
        text.lines()
            .map(|it| it.trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(trimmed(&stripped), trimmed(&plain));
}

#[test]
fn with_all_every_packet_has_a_line() {
    let probes = |all| {
        let found = lines(&Options {
            all,
            ..Options::default()
        });
        found
            .iter()
            .filter(|line| line.contains("probe request 00000"))
            .count()
    };
    // the one that shows the cause has a line of its own, and the next is the first of its kind
    assert_eq!(probes(false), 3);
    assert_eq!(probes(true), 6);
}

#[test]
fn what_changes_and_comes_back_later_is_shown_again() {
    let mut trace = trace();
    trace.cause = None;
    let mut passed = trace.journeys[4].clone();
    passed.end.how = How::Delivered;
    passed.end.reason = None;
    let mut again = trace.journeys[4].clone();
    for (journey, at) in [(&mut passed, 5000.0), (&mut again, 9000.0)] {
        journey.sightings[0].t_ms = at;
        trace.journeys.push(journey.clone());
    }
    let text = render(&trace, &Options::default());
    let shown = |at: &str| {
        let at = format!("{at:>8} ");
        text.lines().any(|line| line.starts_with(&at))
    };
    assert!(
        shown("4.0") && !shown("5.0") && shown("5000.0") && shown("9000.0"),
        "{text}"
    );
}

#[test]
fn more_nodes_than_a_page_is_wide_have_no_lanes() {
    let mut trace = trace();
    for n in 0..40 {
        let name = format!("host{n}");
        let mut node = trace.nodes[0].clone();
        node.name.clone_from(&name);
        trace.nodes.push(node);
        let end: SocketAddr = SERVER.parse().unwrap();
        let mut journey = trace.journeys[0].clone();
        journey.sightings.truncate(1);
        journey.sightings[0].node.clone_from(&name);
        journey.sightings[0].dst = end;
        trace.journeys.push(journey);
    }
    let text = render(&trace, &Options::default());
    assert!(text.contains("host39 → server: register request"), "{text}");
}

#[test]
fn no_text_of_a_trace_drives_the_terminal() {
    let mut trace = trace();
    let hostile = "al\u{1b}[2J";
    trace.nodes[0].name = hostile.to_owned();
    trace.nodes[1].description = hostile.to_owned();
    for journey in &mut trace.journeys {
        journey.what = format!("{} {hostile}", journey.what);
        for at in journey.sightings.iter_mut().filter(|at| at.node == "alice") {
            at.node = hostile.to_owned();
        }
    }
    trace.gaps[0].source = hostile.to_owned();
    let text = render(&trace, &Options::default());
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("al?[2J"), "{text}");
}

/// A trace may come from a stranger: what it refers to need not be there.
#[test]
fn a_trace_that_contradicts_itself_is_shown() {
    let mut trace = trace();
    trace.journeys[0].sightings.clear();
    trace.journeys[1].about = Some(1);
    trace.journeys[3].about = Some(99);
    trace.journeys[4].sightings[2].node = "nowhere".to_owned();
    trace.cause.as_mut().unwrap().journey = Some(77);
    trace.nodes.truncate(3);
    for all in [false, true] {
        let text = render(
            &trace,
            &Options {
                all,
                ..Options::default()
            },
        );
        assert!(text.contains("register request of alice"), "{text}");
    }
    trace.nodes.clear();
    render(&trace, &Options::default());
}

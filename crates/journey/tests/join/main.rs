//! Journeys of frames as the nodes of a small network see them: alice, her NAT, the core, bob.

mod network;

use journey::{Direction, Gap, How, join};
use network::{ALICE, BOB, CORE, NAT, Network, udp};

/// What bob's host sees of alice's packet.
const OUTSIDE: &str = "203.0.113.17:40000";

#[test]
fn a_packet_is_followed_through_a_nat() {
    let mut network = Network::new();
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    network.arrives(BOB, "LISTENER");
    let trace = join(&network.watched());
    let [journey] = trace.journeys.as_slice() else {
        panic!("{:?}", trace.journeys);
    };
    let seen: Vec<_> = journey
        .sightings
        .iter()
        .map(|at| (at.node.as_str(), at.direction, at.src.to_string(), at.ttl))
        .collect();
    let inside = "192.168.1.2:40000".to_owned();
    assert_eq!(
        seen,
        [
            ("alice", Direction::Out, inside.clone(), 64),
            ("nat", Direction::In, inside, 64),
            ("nat", Direction::Out, OUTSIDE.to_owned(), 63),
            ("core", Direction::In, OUTSIDE.to_owned(), 63),
            ("core", Direction::Out, OUTSIDE.to_owned(), 62),
            ("bob", Direction::In, OUTSIDE.to_owned(), 62),
        ]
    );
    assert_eq!(journey.end.how, How::Delivered);
    assert_eq!(journey.payload_len, 5);
}

#[test]
fn an_echo_of_the_same_bytes_is_another_packet() {
    let mut network = Network::new();
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    network.arrives(BOB, "LISTENER");
    network.answered("203.0.113.34:5000", OUTSIDE, "192.168.1.2:40000", b"hello");
    network.arrives(ALICE, "LISTENER");
    let trace = join(&network.watched());
    let ends: Vec<_> = trace
        .journeys
        .iter()
        .map(|it| it.end.text.as_str())
        .collect();
    assert_eq!(
        ends,
        [
            "delivered to a socket of bob",
            "delivered to a socket of alice"
        ]
    );
}

#[test]
fn a_retransmission_has_a_journey_of_its_own() {
    let mut network = Network::new();
    for _ in 0..3 {
        network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
        network.arrives(BOB, "LISTENER");
    }
    let trace = join(&network.watched());
    let first: Vec<_> = trace
        .journeys
        .iter()
        .map(|it| it.retransmission_of)
        .collect();
    assert_eq!(first, [None, Some(0), Some(0)]);
    assert!(trace.journeys.iter().all(|it| it.sightings.len() == 6));
}

#[test]
fn a_packet_that_a_rule_drops_says_whom_the_filter_would_let_in() {
    let mut network = Network::new();
    network.sent(
        "192.168.1.2:40000",
        OUTSIDE,
        "203.0.113.1:8848",
        b"register",
    );
    network.came("203.0.113.34:5000", OUTSIDE, b"probe");
    network.drops(NAT, "FILTER_PORT");
    let trace = join(&network.watched());
    let end = &trace.journeys[1].end;
    assert_eq!(
        (end.how, end.reason.as_deref()),
        (How::Dropped, Some("FILTER_PORT"))
    );
    assert_eq!(
        end.text,
        "filtered at nat: alice has sent from 203.0.113.17:40000 only to 203.0.113.1:8848"
    );
}

#[test]
fn a_port_of_another_remote_is_told_with_the_port_that_was_used() {
    let mut network = Network::new();
    network.sent(
        "192.168.1.2:40000",
        OUTSIDE,
        "203.0.113.1:8848",
        b"register",
    );
    network.sent(
        "192.168.1.2:40000",
        "203.0.113.17:7007",
        "203.0.113.34:5000",
        b"probe",
    );
    network.came("203.0.113.34:5000", OUTSIDE, b"probe from bob");
    network.drops(NAT, "FILTER_PORT");
    let trace = join(&network.watched());
    assert_eq!(
        trace.journeys[2].end.text,
        "filtered at nat: alice has sent from 203.0.113.17:40000 only to 203.0.113.1:8848; \
         to 203.0.113.34:5000 alice sends from 203.0.113.17:7007"
    );
}

#[test]
fn a_mapping_that_never_was_and_one_that_expired_differ() {
    let mut network = Network::new();
    network.came("203.0.113.34:5000", OUTSIDE, b"first");
    network.drops(NAT, "NO_MAPPING");
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    network.arrives(BOB, "LISTENER");
    network.wait(30_000);
    network.came("203.0.113.34:5000", OUTSIDE, b"second");
    network.drops(NAT, "NO_MAPPING");
    let trace = join(&network.watched());
    let reasons: Vec<_> = trace
        .journeys
        .iter()
        .map(|it| it.end.reason.as_deref())
        .collect();
    assert_eq!(reasons, [Some("NO_MAPPING"), None, Some("MAPPING_EXPIRED")]);
    let text = &trace.journeys[2].end.text;
    assert!(
        text.ends_with("alice last sent from it 30.0 s before"),
        "{text}"
    );
}

#[test]
fn an_icmp_error_hangs_under_its_packet() {
    let mut network = Network::new();
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    network.arrives(BOB, "NO_LISTENER");
    network.unreachable(b"hello");
    let trace = join(&network.watched());
    assert_eq!(trace.journeys.len(), 2);
    assert_eq!(trace.journeys[1].about, Some(0));
    assert_eq!(trace.journeys[0].end.how, How::NoListener);
    let text = &trace.journeys[0].end.text;
    assert_eq!(
        text,
        "no socket of bob has UDP port 5000, which it tells the sender"
    );
}

#[test]
fn what_nobody_reports_is_unknown() {
    let mut network = Network::new();
    network.sent_as_far_as(
        CORE,
        "192.168.1.2:40000",
        OUTSIDE,
        "203.0.113.34:5000",
        b"hello",
    );
    let trace = join(&network.watched());
    assert_eq!(trace.journeys[0].end.how, How::Unknown);
    assert_eq!(trace.journeys[0].end.node, "core");
}

#[test]
fn a_packet_that_no_rule_let_in_was_dropped_by_the_host() {
    let mut network = Network::new();
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    let trace = join(&network.watched());
    let end = &trace.journeys[0].end;
    assert_eq!(
        (end.node.as_str(), end.reason.as_deref()),
        ("bob", Some("LOCAL_FIREWALL"))
    );
}

#[test]
fn where_reports_were_lost_nothing_is_concluded_from_their_absence() {
    let mut network = Network::new();
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    let mut watched = network.watched();
    watched.nodes[BOB].gaps.push(Gap {
        t_ms: 0.0,
        node: "bob".to_owned(),
        source: "nflog".to_owned(),
        lost: None,
    });
    let trace = join(&watched);
    assert_eq!(trace.journeys[0].end.how, How::Unknown);
    assert_eq!(trace.gaps.len(), 1);
}

#[test]
fn a_packet_that_never_left_its_host_was_dropped_there() {
    let mut network = Network::new();
    network.departs(
        ALICE,
        &udp("192.168.1.2:40000", "203.0.113.34:5000", 64, b"hello"),
    );
    let trace = join(&network.watched());
    let end = &trace.journeys[0].end;
    assert_eq!(
        (end.node.as_str(), end.reason.as_deref()),
        ("alice", Some("LOCAL_FIREWALL"))
    );
    assert_eq!(trace.journeys[0].sightings.len(), 1);
}

#[test]
fn a_super_frame_is_as_many_datagrams() {
    let mut network = Network::new();
    network.segment = Some(4);
    network.sent(
        "192.168.1.2:40000",
        OUTSIDE,
        "203.0.113.34:5000",
        b"one.two.end",
    );
    network.arrives(BOB, "LISTENER");
    let trace = join(&network.watched());
    let lengths: Vec<_> = trace.journeys.iter().map(|it| it.payload_len).collect();
    assert_eq!(lengths, [4, 4, 3]);
    assert!(
        trace.journeys.iter().all(|it| it.end.how == How::Delivered),
        "{trace:?}"
    );
}

#[test]
fn garbage_is_no_packet_and_does_not_panic() {
    let mut network = Network::new();
    let packet = udp("192.168.1.2:40000", "203.0.113.34:5000", 64, b"hello");
    for end in 0..packet.len() {
        network.seen(ALICE, 0, Direction::Out, &packet[..end]);
    }
    for at in 0..packet.len() {
        let mut changed = packet.clone();
        changed[at] ^= 0xff;
        network.seen(NAT, 0, Direction::In, &changed);
        network.drops(NAT, "NO_MAPPING");
    }
    join(&network.watched());
}

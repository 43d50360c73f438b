//! Journeys of frames as the nodes of a small network see them: alice, her NAT, the core, bob.

mod network;

use journey::{Direction, End, Gap, How, join};
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
fn gaps_are_in_the_order_of_time() {
    let mut network = Network::new();
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:5000", b"hello");
    let mut watched = network.watched();
    for (node, t_ms) in [(ALICE, 3000.0), (NAT, 1000.0), (BOB, 2000.0)] {
        let node = &mut watched.nodes[node];
        node.gaps.push(Gap {
            t_ms,
            node: node.name.clone(),
            source: "packets".to_owned(),
            lost: None,
        });
    }
    let trace = join(&watched);
    let nodes: Vec<_> = trace.gaps.iter().map(|gap| gap.node.as_str()).collect();
    assert_eq!(nodes, ["nat", "bob", "alice"]);
}

#[test]
fn ten_thousand_guesses_are_joined_in_seconds() {
    // each of alice's packets leaves from a port of its own, as behind a symmetric NAT; each of bob's is a guess
    let ports = 10_000..14_000_u16;
    let mut network = Network::new();
    let inside = "192.168.1.2:40000";
    for port in ports.clone() {
        let (outside, to) = (
            format!("203.0.113.17:{port}"),
            format!("203.0.113.34:{port}"),
        );
        network.sent(inside, &outside, &to, &port.to_be_bytes());
        network.arrives(BOB, "LISTENER");
    }
    for port in ports.clone() {
        let guess = format!("203.0.113.17:{}", port + 20_000);
        network.came("203.0.113.34:5000", &guess, &port.to_le_bytes());
        network.drops(NAT, "NO_MAPPING");
    }
    for port in ports.clone() {
        let filtered = format!("203.0.113.17:{port}");
        network.came(
            "203.0.113.34:5000",
            &filtered,
            &[7, port.to_be_bytes()[0], port.to_be_bytes()[1]],
        );
        network.drops(NAT, "FILTER_PORT");
    }
    let trace = join(&network.watched());
    let last = &trace.journeys[2 * ports.len() - 1].end.text;
    assert_eq!(
        last,
        "no mapping at nat: nothing has been sent from 203.0.113.17:33999; alice has sent from \
         203.0.113.17:13999 to 203.0.113.34:13999, and from 3999 other ports"
    );
    let filtered = &trace.journeys[2 * ports.len()].end.text;
    assert_eq!(
        filtered,
        "filtered at nat: alice has sent from 203.0.113.17:10000 only to 203.0.113.34:10000; \
         to 203.0.113.34:13999 alice sends from 203.0.113.17:13999"
    );
}

#[test]
fn a_filter_names_the_first_three_that_it_lets_in() {
    let mut network = Network::new();
    for port in [5004, 5001, 5004, 5003, 5002, 5000] {
        let to = format!("203.0.113.34:{port}");
        network.sent("192.168.1.2:40000", OUTSIDE, &to, &[port as u8]);
    }
    network.came("203.0.113.34:6000", OUTSIDE, b"probe");
    network.drops(NAT, "FILTER_PORT");
    // what is sent later is of no use to it
    network.sent("192.168.1.2:40000", OUTSIDE, "203.0.113.34:6000", b"late");
    let trace = join(&network.watched());
    let filtered = |end: &&End| end.reason.as_deref() == Some("FILTER_PORT");
    let end = trace.journeys.iter().map(|it| &it.end).find(filtered);
    assert_eq!(
        end.unwrap().text,
        "filtered at nat: alice has sent from 203.0.113.17:40000 only to 203.0.113.34:5004, \
         203.0.113.34:5001, 203.0.113.34:5003 and 2 others"
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

//! Accounts made by hand: alice's clock is the trace's, bob's is 5 s ahead.

use super::*;
use crate::{End, How};

const ALICE: &str = "192.168.1.2";
const BOB: &str = "192.168.2.2";
const AHEAD_US: u64 = 5_000_000;

fn account(name: &str, address: &str, reflexive: &[&str], peer: &str) -> Account {
    Account {
        name: name.into(),
        address: address.parse().unwrap(),
        reflexive: reflexive.iter().map(|it| it.parse().unwrap()).collect(),
        peer: peer.parse().unwrap(),
        connected: false,
        cause: None,
        left_out: 0,
        packets: Vec::new(),
    }
}

fn alice() -> Account {
    account(
        "alice",
        ALICE,
        &["203.0.113.17:40000"],
        "203.0.113.33:40001",
    )
}

fn bob() -> Account {
    account("bob", BOB, &["203.0.113.33:40001"], "203.0.113.17:40000")
}

fn packet(at_us: u64, what: What, remote: &str, payload: &[u8]) -> Packet {
    Packet::new(at_us, what, 41000, remote.parse().unwrap(), payload)
}

/// Both know their clocks from the rendezvous: 10 ms there, 10 ms back, and bob is 5 s ahead.
fn clock() -> Clock {
    let mut clock = Clock::default();
    clock.went(0, AHEAD_US + 10_000);
    clock.came(AHEAD_US + 10_000, 20_000);
    clock
}

fn joined(alice: &Account, bob: &Account) -> Trace {
    join(alice, Some(bob), clock(), 7).0
}

fn end<'a>(trace: &'a Trace, node: &str, dst: &str) -> &'a End {
    let dst: SocketAddr = dst.parse().unwrap();
    let of = |it: &&Journey| it.sightings[0].node == node && it.sightings[0].dst == dst;
    &trace.journeys.iter().find(of).unwrap().end
}

#[test]
fn a_packet_is_followed_through_translation_in_one_time() {
    let (mut alice, mut bob) = (alice(), bob());
    let sent = packet(100_000, What::Sent, "203.0.113.33:40001", b"probe");
    alice.packets.push(sent);
    let came = packet(
        AHEAD_US + 104_000,
        What::Received,
        "203.0.113.17:40099",
        b"probe",
    );
    bob.packets.push(came);
    bob.packets.push(packet(
        AHEAD_US + 105_000,
        What::Sent,
        "203.0.113.17:40099",
        b"answer",
    ));
    alice.packets.push(packet(
        109_000,
        What::Received,
        "203.0.113.33:40001",
        b"answer",
    ));
    let (trace, offset) = join(&alice, Some(&bob), clock(), 7);
    // The probes took 4 ms each way, and so bound the clocks closer than the rendezvous did.
    let offset = offset.unwrap();
    assert_eq!((offset.us, offset.error_us), (5_000_000, 4_000));
    assert_eq!(trace.started_unix_ns, 7);
    let [there, back] = &trace.journeys[..] else {
        panic!("{trace:?}");
    };
    let times: Vec<_> = there
        .sightings
        .iter()
        .map(|it| (it.node.as_str(), it.t_ms))
        .collect();
    assert_eq!(times, [("alice", 100.0), ("bob", 104.0)]);
    assert_eq!(there.sightings[0].src, "192.168.1.2:41000".parse().unwrap());
    assert_eq!(
        there.sightings[1].src,
        "203.0.113.17:40099".parse().unwrap(),
        "translated"
    );
    assert_eq!(
        (there.end.how, there.end.node.as_str()),
        (How::Delivered, "bob")
    );
    assert_eq!(
        (back.end.how, back.end.node.as_str()),
        (How::Delivered, "alice")
    );
    let nodes: Vec<_> = trace
        .nodes
        .iter()
        .map(|it| it.description.as_str())
        .collect();
    assert_eq!(nodes[0], "seen by the server at 203.0.113.17:40000");
    assert_eq!(there.sightings[0].ttl, 64, "the system's default");
}

#[test]
fn of_two_packets_with_the_same_bytes_the_lost_one_is_told_by_the_time() {
    let (mut alice, mut bob) = (alice(), bob());
    for at in [100_000, 300_000] {
        alice
            .packets
            .push(packet(at, What::Sent, "203.0.113.33:40001", b"probe"));
    }
    bob.packets.push(packet(
        AHEAD_US + 304_000,
        What::Received,
        "203.0.113.17:40000",
        b"probe",
    ));
    bob.packets.push(packet(
        AHEAD_US + 290_000,
        What::Sent,
        "203.0.113.17:40000",
        b"x",
    ));
    alice
        .packets
        .push(packet(294_000, What::Received, "203.0.113.33:40001", b"x"));
    let trace = joined(&alice, &bob);
    let probes: Vec<_> = trace
        .journeys
        .iter()
        .filter(|it| it.payload_len == 5)
        .collect();
    assert_eq!(probes[0].end.how, How::Unknown);
    assert_eq!(probes[0].end.reason.as_deref(), Some("BEFORE_PEER_SENT"));
    assert_eq!(probes[1].end.how, How::Delivered);
    assert_eq!(probes[1].retransmission_of, Some(probes[0].id));
}

#[test]
fn each_end_says_what_can_be_said() {
    let (mut alice, mut bob) = (alice(), bob());
    let opener = Packet {
        ttl: Some(2),
        ..packet(100_000, What::Sent, "203.0.113.33:40001", b"opener")
    };
    let expired = What::Icmp {
        offender: "203.0.113.254".parse().unwrap(),
        kind: 11,
        code: 0,
    };
    alice.packets.push(opener);
    alice
        .packets
        .push(packet(101_000, expired, "203.0.113.33:40001", b""));
    alice
        .packets
        .push(packet(200_000, What::Sent, "192.168.2.2:41000", b"a"));
    alice
        .packets
        .push(packet(210_000, What::Sent, "203.0.113.33:5", b"b"));
    bob.packets.push(Packet {
        ttl: Some(2),
        ..packet(
            AHEAD_US + 250_000,
            What::Sent,
            "203.0.113.17:40000",
            b"opener of bob",
        )
    });
    alice
        .packets
        .push(packet(300_000, What::Sent, "203.0.113.33:40001", b"c"));
    let trace = joined(&alice, &bob);
    let ends: Vec<_> = trace
        .journeys
        .iter()
        .map(|it| (it.end.how, it.end.reason.as_deref()))
        .collect();
    assert_eq!(
        ends,
        [
            (How::TtlExceeded, Some("time-exceeded")),
            (How::Delivered, None),
            (How::Unknown, Some("PRIVATE_ADDRESS")),
            (How::Unknown, Some("GUESS")),
            (How::Unknown, Some("LOW_TTL")),
            (How::Unknown, Some("NOT_SEEN_AGAIN")),
        ]
    );
    assert_eq!(trace.journeys[1].about, Some(0));
    assert_eq!(trace.journeys[1].what, "ICMP time exceeded in transit");
    let cause = trace.cause.unwrap();
    assert_eq!(cause.code, "PEER_NEVER_SENT", "an opener is not to arrive");
}

#[test]
fn the_cause_follows_from_both_accounts() {
    let sends = |mut account: Account, to: &str| {
        account
            .packets
            .push(packet(AHEAD_US + 100_000, What::Sent, to, b"x"));
        account
    };
    let (a, b) = ("203.0.113.17:40000", "203.0.113.33:40001");
    let of = |alice: &Account, bob: &Account| joined(alice, bob).cause.map(|cause| cause.code);
    let code = |alice, bob| of(&sends(alice, b), &sends(bob, a)).unwrap();
    assert_eq!(code(alice(), bob()), "NOTHING_HEARD");
    let symmetric = Account {
        reflexive: vec![a.parse().unwrap(), "203.0.113.17:40007".parse().unwrap()],
        ..alice()
    };
    assert_eq!(code(symmetric.clone(), bob()), "SYMMETRIC_REMAP");
    let bobs = Account {
        reflexive: vec![b.parse().unwrap(), "203.0.113.33:40007".parse().unwrap()],
        ..bob()
    };
    assert_eq!(code(symmetric, bobs), "SYM_SYM");
    let connected = Account {
        connected: true,
        ..alice()
    };
    assert_eq!(of(&connected, &sends(bob(), a)), None);
    let mut hears = sends(alice(), b);
    hears
        .packets
        .push(packet(AHEAD_US, What::Received, b, b"x"));
    let trace = join(&hears, Some(&sends(bob(), a)), Clock::default(), 0).0;
    let cause = trace.cause.unwrap();
    assert_eq!(cause.code, "ONE_WAY");
    let shown = &trace.journeys[cause.journey.unwrap()];
    assert_eq!(shown.sightings[0].node, "alice");
    let mut refused = sends(alice(), b);
    let what = What::Icmp {
        offender: "203.0.113.33".parse().unwrap(),
        kind: 3,
        code: 3,
    };
    refused
        .packets
        .push(packet(AHEAD_US + 101_000, what, b, b"x"));
    let trace = joined(&refused, &sends(bob(), a));
    assert_eq!(trace.cause.as_ref().unwrap().code, "ICMP_REFUSED");
    assert_eq!(end(&trace, "alice", b).how, How::Refused);
}

#[test]
fn one_account_alone_claims_nothing_of_the_other() {
    let mut alice = alice();
    alice.left_out = 2;
    alice
        .packets
        .push(packet(1, What::Sent, "203.0.113.33:40001", b"x"));
    let (trace, offset) = join(&alice, None, Clock::default(), 0);
    assert_eq!((trace.nodes.len(), offset), (1, None));
    assert_eq!(trace.journeys[0].end.how, How::Unknown);
    assert_eq!(trace.gaps[0].lost, Some(2));
    assert_eq!(trace.cause, None);
}

#[test]
fn that_a_private_address_is_refused_is_not_the_cause() {
    let (mut alice, mut bob) = (alice(), bob());
    let what = What::Icmp {
        offender: "203.0.113.254".parse().unwrap(),
        kind: 3,
        code: 0,
    };
    let private = "192.168.2.2:41000";
    alice.packets.push(packet(1, What::Sent, private, b"x"));
    alice.packets.push(packet(2, what, private, b"x"));
    alice
        .packets
        .push(packet(3, What::Sent, "203.0.113.33:40001", b"y"));
    bob.packets
        .push(packet(AHEAD_US, What::Sent, "203.0.113.17:40000", b"z"));
    let trace = joined(&alice, &bob);
    assert_eq!(
        trace
            .journeys
            .iter()
            .filter(|it| it.end.how == How::Refused)
            .count(),
        1
    );
    let cause = trace.cause.unwrap();
    assert_eq!(cause.code, "NOTHING_HEARD");
    assert!(!nat::is_private(
        trace.journeys[cause.journey.unwrap()].sightings[0].dst.ip()
    ));
}

#[test]
fn what_the_hosts_own_firewall_drops_is_named_on_both_sides() {
    let (mut alice, mut bob) = (alice(), bob());
    let there = "203.0.113.33:40001";
    let back = "203.0.113.17:40000";
    alice
        .packets
        .push(packet(100_000, What::Sent, there, b"there"));
    alice.packets.push(packet(
        100_010,
        What::Blocked { outgoing: true },
        there,
        b"there",
    ));
    alice
        .packets
        .push(packet(200_000, What::Sent, there, b"again"));
    bob.packets.push(packet(
        AHEAD_US + 210_000,
        What::Blocked { outgoing: false },
        back,
        b"again",
    ));
    bob.packets.push(packet(
        AHEAD_US + 1,
        What::Blocked { outgoing: false },
        back,
        b"of another",
    ));
    let trace = joined(&alice, &bob);
    let ends: Vec<_> = trace
        .journeys
        .iter()
        .map(|it| {
            (
                it.sightings.len(),
                it.end.how,
                it.end.node.as_str(),
                it.end.reason.as_deref(),
            )
        })
        .collect();
    let local = Some("LOCAL_FIREWALL");
    assert_eq!(
        ends,
        [
            (1, How::Dropped, "bob", local),
            (1, How::Dropped, "alice", local),
            (2, How::Dropped, "bob", local),
        ]
    );
    let cause = trace.cause.unwrap();
    assert_eq!(
        (cause.code.as_str(), cause.journey),
        ("LOCAL_FIREWALL", Some(1))
    );
    assert!(cause.text.contains("what alice sends"), "{}", cause.text);
}

#[test]
fn no_more_packets_are_said_to_have_come_than_were_sent() {
    let (mut alice, mut bob) = (alice(), bob());
    let private = packet(1_000, What::Sent, "192.168.2.2:41000", b"alice");
    alice.packets.push(private);
    let came = packet(13_000, What::Received, "192.168.2.2:41000", b"bob");
    alice.packets.push(came);
    let private = packet(AHEAD_US + 1_000, What::Sent, "192.168.1.2:41000", b"bob");
    bob.packets.push(private);
    let came = AHEAD_US + 13_000;
    bob.packets
        .push(packet(came, What::Received, "192.168.1.2:41000", b"alice"));
    let cause = joined(&alice, &bob).cause.unwrap();
    assert_eq!(cause.code, "NO_PAIR");
    let wanted = "1 of alice's 1 packets came to bob, and 1 of 1 the other way";
    assert!(cause.text.starts_with(wanted), "{}", cause.text);
}

#[test]
fn a_refused_packet_shows_no_other_cause() {
    let (mut alice, mut bob) = (alice(), bob());
    let (a, b) = ("203.0.113.17:40000", "203.0.113.33:40001");
    alice.packets.push(packet(90_000, What::Sent, b, b"lost"));
    bob.packets.push(packet(
        AHEAD_US + 50_000,
        What::Sent,
        "203.0.113.17:9",
        b"r",
    ));
    let what = What::Icmp {
        offender: "203.0.113.17".parse().unwrap(),
        kind: 3,
        code: 3,
    };
    bob.packets
        .push(packet(AHEAD_US + 51_000, what, "203.0.113.17:9", b"r"));
    bob.packets
        .push(packet(AHEAD_US + 60_000, What::Sent, a, b"came"));
    alice
        .packets
        .push(packet(70_000, What::Received, b, b"came"));
    let trace = joined(&alice, &bob);
    assert_eq!(end(&trace, "bob", "203.0.113.17:9").how, How::Refused);
    let cause = trace.cause.unwrap();
    assert_eq!(cause.code, "ONE_WAY");
    let shown = &trace.journeys[cause.journey.unwrap()].sightings[0];
    assert_eq!(shown.node, "alice", "{}", cause.text);
}

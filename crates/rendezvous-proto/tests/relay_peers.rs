//! Which peers the relay sends to and receives from, and how much.

mod relaying;

use std::time::Duration;

use relaying::{ALICE, BOB, SERVER, TurnClient, World, at, limits};
use rendezvous_proto::relay::Limits;
use stun::{Attribute, Builder, Class, Message, Method, code, turn};

const CAROL: &str = "198.51.100.7:9";
const ALICE2: &str = "203.0.113.17:40002";

#[test]
fn the_relay_does_not_send_into_its_own_network() {
    let mut world = World::new(limits(), &["10.1.0.0/16"]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    alice.allocate(&mut world).unwrap();
    for denied in [
        "10.2.0.1:53",
        "192.168.1.1:80",
        "127.0.0.1:22",
        "169.254.169.254:80",
        "224.0.0.251:5353",
        "255.255.255.255:67",
        "0.0.0.0:1",
        "203.0.113.2:22",
    ] {
        assert_eq!(
            alice.permit(&mut world, denied),
            Some(code::FORBIDDEN),
            "{denied}"
        );
        let bind = |r: Builder| r.channel(0x4000).peer(at(denied));
        let answer = alice.ask(&mut world, Method::ChannelBind, bind);
        assert_eq!(answer, Some(code::FORBIDDEN), "{denied}");
        alice.send(&mut world, denied, b"x");
    }
    // One address that is denied denies the whole request.
    let both = |r: Builder| r.peer(at(BOB)).peer(at("10.2.0.1:53"));
    let answer = alice.ask(&mut world, Method::CreatePermission, both);
    assert_eq!(answer, Some(code::FORBIDDEN));
    alice.send(&mut world, BOB, b"x");
    assert!(world.to_peers.is_empty());
    assert_eq!(alice.permit(&mut world, "10.1.0.1:53"), None);
    // At its own address are the relayed addresses, and nothing else.
    assert_eq!(alice.permit(&mut world, SERVER), None);
    alice.send(&mut world, SERVER, b"x");
    alice.send(&mut world, "203.0.113.1:50009", b"x");
    assert!(world.to_peers.is_empty());
    let mut six = |text: &str| alice.permit(&mut world, text);
    assert_eq!(six("[2001:db8::1]:1"), Some(code::PEER_FAMILY_MISMATCH));
}

#[test]
fn an_address_that_its_host_gets_later_is_not_a_peer_any_more() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    let relayed = alice.allocate(&mut world).unwrap();
    for peer in [BOB, CAROL] {
        assert_eq!(alice.permit(&mut world, peer), None);
    }
    let own = vec![at(SERVER).ip(), at(BOB).ip()];
    world.relay().set_own_addresses(own);
    for peer in [BOB, CAROL] {
        alice.send(&mut world, peer, b"hello");
    }
    assert_eq!(
        world.to_peers,
        [(relayed.port(), at(CAROL), b"hello".to_vec())]
    );
    assert_eq!(alice.permit(&mut world, BOB), Some(code::FORBIDDEN));
    world.relay().set_own_addresses(vec![at(SERVER).ip()]);
    assert_eq!(alice.permit(&mut world, BOB), None);
}

#[test]
fn a_range_that_is_no_longer_allowed_has_no_permission_left() {
    let mut world = World::new(limits(), &["10.1.0.0/16"]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    let relayed = alice.allocate(&mut world).unwrap();
    let private = "10.1.2.3:9";
    for peer in [private, BOB] {
        assert_eq!(alice.permit(&mut world, peer), None);
    }
    world.relay().set_allowed(Vec::new());
    for peer in [private, BOB] {
        alice.send(&mut world, peer, b"hello");
    }
    assert_eq!(
        world.to_peers,
        [(relayed.port(), at(BOB), b"hello".to_vec())]
    );
    assert_eq!(alice.permit(&mut world, private), Some(code::FORBIDDEN));
}

#[test]
fn no_payload_passes_without_a_permission() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    alice.send(&mut world, BOB, b"no allocation");
    let relayed = alice.allocate(&mut world).unwrap();
    alice.send(&mut world, BOB, b"no permission");
    world.peer_sends(relayed, BOB, b"no permission");
    assert!(world.work().is_empty() && world.to_peers.is_empty());
    assert_eq!(world.relay().stats().unpermitted, 3);

    assert_eq!(alice.permit(&mut world, BOB), None);
    alice.send(&mut world, BOB, b"hello");
    assert_eq!(
        world.to_peers,
        [(relayed.port(), at(BOB), b"hello".to_vec())]
    );
    // A permission is for all ports of its address (RFC 8656 §9), and for no other.
    world.peer_sends(relayed, "203.0.113.33:7", b"hello");
    world.peer_sends(relayed, CAROL, b"hello");
    let received = world.work();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].to, at(ALICE));
    let received = Message::parse(&received[0].payload).unwrap();
    assert!(received.is(Class::Indication, Method::Data));
    assert_eq!(received.peers(), [Some(at("203.0.113.33:7"))]);
    assert_eq!(received.get(Attribute::Data), Some(&b"hello"[..]));
    // Another client does not have this permission, and it expires after five
    // minutes.
    let bytes = Builder::indication(Method::Send, [9; 12])
        .peer(at(BOB))
        .data(b"x");
    world.send(ALICE2, &bytes.finish());
    world.pass(Duration::from_secs(300));
    alice.send(&mut world, BOB, b"late");
    world.peer_sends(relayed, BOB, b"late");
    assert!(world.work().is_empty());
    assert_eq!(world.to_peers.len(), 1);
}

#[test]
fn a_channel_has_one_peer_and_a_peer_one_channel() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    let relayed = alice.allocate(&mut world).unwrap();
    let mut bind = |world: &mut World, number, peer: &str| {
        let fill = |r: Builder| r.channel(number).peer(at(peer));
        alice.ask(world, Method::ChannelBind, fill)
    };
    assert_eq!(bind(&mut world, 0x4001, BOB), None);
    assert_eq!(bind(&mut world, 0x4001, BOB), None);
    assert_eq!(bind(&mut world, 0x4001, CAROL), Some(code::BAD_REQUEST));
    assert_eq!(bind(&mut world, 0x4002, BOB), Some(code::BAD_REQUEST));
    for reserved in [0x3fff, 0x5000, 0x7fff, 0xffff] {
        let refused = bind(&mut world, reserved, CAROL);
        assert_eq!(refused, Some(code::BAD_REQUEST), "{reserved:#x}");
    }
    world.send(ALICE, &turn::to_channel(0x4001, b"yes").unwrap());
    world.send(ALICE, &turn::to_channel(0x4002, b"no").unwrap());
    world.send(ALICE2, &turn::to_channel(0x4001, b"no").unwrap());
    assert_eq!(world.to_peers, [(relayed.port(), at(BOB), b"yes".to_vec())]);
    world.peer_sends(relayed, BOB, b"back");
    let received = world.work().remove(0).payload;
    assert_eq!(turn::channel_data(&received), Some((0x4001, &b"back"[..])));
    // Its permission expires before it does.
    world.pass(Duration::from_secs(300));
    world.send(ALICE, &turn::to_channel(0x4001, b"no").unwrap());
    assert_eq!(world.to_peers.len(), 1);
}

#[test]
fn permissions_and_channels_of_an_allocation_are_bounded() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    alice.allocate(&mut world).unwrap();
    let mut bounded = vec![None; 32];
    bounded.extend([Some(code::INSUFFICIENT_CAPACITY); 8]);
    let answer: Vec<_> = (0..40)
        .map(|n| alice.permit(&mut world, &format!("198.51.100.{n}:1")))
        .collect();
    assert_eq!(answer, bounded);
    assert_eq!(alice.permit(&mut world, "198.51.100.0:2"), None);
    let answer: Vec<_> = (0..40)
        .map(|n| {
            let fill = |r: Builder| {
                r.channel(0x4000 + n)
                    .peer(at(&format!("198.51.100.1:{}", n + 1)))
            };
            alice.ask(&mut world, Method::ChannelBind, fill)
        })
        .collect();
    assert_eq!(answer, bounded);
}

#[test]
fn each_allocation_has_a_rate_of_its_own() {
    let slow = Limits {
        rate: 10_000,
        ..limits()
    };
    let mut world = World::new(slow, &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    let relayed = alice.allocate(&mut world).unwrap();
    alice.permit(&mut world, BOB);
    for _ in 0..8 {
        alice.send(&mut world, BOB, &[0; 1000]);
    }
    for _ in 0..8 {
        world.peer_sends(relayed, BOB, &[0; 1000]);
    }
    // Both directions together.
    assert_eq!((world.to_peers.len(), world.work().len()), (8, 2));
    assert_eq!(world.relay().stats().over_rate, 6);
    let mut bob = TurnClient::new(&mut world, "bob", BOB);
    bob.allocate(&mut world).unwrap();
    bob.permit(&mut world, CAROL);
    bob.send(&mut world, CAROL, &[0; 1000]);
    assert_eq!(world.to_peers.len(), 9);
    world.pass(Duration::from_millis(500));
    for _ in 0..10 {
        alice.send(&mut world, BOB, &[0; 1000]);
    }
    assert_eq!(world.to_peers.len(), 14);
}

//! To whom the relay sends, from whom it hears, and how much.

mod relaying;

use std::time::Duration;

use relaying::{ALICE, BOB, SERVER, Speaker, World, at, limits};
use rendezvous_proto::relay::server::Limits;
use stun::{Attribute, Builder, Class, Message, Method, code, turn};

const CAROL: &str = "198.51.100.7:9";
const ALICE2: &str = "203.0.113.17:40002";

#[test]
fn it_does_not_reach_into_its_own_network() {
    let mut world = World::new(limits(), &["10.1.0.0/16"]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
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
        let said = alice.ask(&mut world, Method::ChannelBind, bind);
        assert_eq!(said, Some(code::FORBIDDEN), "{denied}");
        alice.send(&mut world, denied, b"x");
    }
    // One that is denied denies them all.
    let both = |r: Builder| r.peer(at(BOB)).peer(at("10.2.0.1:53"));
    let said = alice.ask(&mut world, Method::CreatePermission, both);
    assert_eq!(said, Some(code::FORBIDDEN));
    alice.send(&mut world, BOB, b"x");
    assert!(world.to_peers.is_empty());
    assert_eq!(alice.permit(&mut world, "10.1.0.1:53"), None);
    // Its own address is where other allocations are, and nothing else.
    assert_eq!(alice.permit(&mut world, SERVER), None);
    alice.send(&mut world, SERVER, b"x");
    alice.send(&mut world, "203.0.113.1:50009", b"x");
    assert!(world.to_peers.is_empty());
    let mut six = |text: &str| alice.permit(&mut world, text);
    assert_eq!(six("[2001:db8::1]:1"), Some(code::PEER_FAMILY_MISMATCH));
}

#[test]
fn nobody_is_heard_or_reached_without_permission() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    alice.send(&mut world, BOB, b"no allocation");
    let relayed = alice.allocate(&mut world).unwrap();
    alice.send(&mut world, BOB, b"no permission");
    world.hear(relayed, BOB, b"no permission");
    assert!(world.work().is_empty() && world.to_peers.is_empty());
    assert_eq!(world.relay().stats().unpermitted, 3);

    assert_eq!(alice.permit(&mut world, BOB), None);
    alice.send(&mut world, BOB, b"hello");
    assert_eq!(
        world.to_peers,
        [(relayed.port(), at(BOB), b"hello".to_vec())]
    );
    // From another port of that address, too (RFC 8656 §9); not from others.
    world.hear(relayed, "203.0.113.33:7", b"hello");
    world.hear(relayed, CAROL, b"hello");
    let heard = world.work();
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].to, at(ALICE));
    let heard = Message::parse(&heard[0].payload).unwrap();
    assert!(heard.is(Class::Indication, Method::Data));
    assert_eq!(heard.peers(), [Some(at("203.0.113.33:7"))]);
    assert_eq!(heard.get(Attribute::Data), Some(&b"hello"[..]));
    // Somebody else at another address does not have her permissions, and it
    // ends after five minutes.
    let bytes = Builder::indication(Method::Send, [9; 12])
        .peer(at(BOB))
        .data(b"x");
    world.say(ALICE2, &bytes.finish());
    world.pass(Duration::from_secs(300));
    alice.send(&mut world, BOB, b"late");
    world.hear(relayed, BOB, b"late");
    assert!(world.work().is_empty());
    assert_eq!(world.to_peers.len(), 1);
}

#[test]
fn a_channel_is_of_one_peer_and_a_peer_has_one_channel() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    let relayed = alice.allocate(&mut world).unwrap();
    let mut bind = |world: &mut World, number, peer: &str| {
        let fill = |r: Builder| r.channel(number).peer(at(peer));
        alice.ask(world, Method::ChannelBind, fill)
    };
    assert_eq!(bind(&mut world, 0x4001, BOB), None);
    assert_eq!(bind(&mut world, 0x4001, BOB), None);
    assert_eq!(bind(&mut world, 0x4001, CAROL), Some(code::BAD_REQUEST));
    assert_eq!(bind(&mut world, 0x4002, BOB), Some(code::BAD_REQUEST));
    assert_eq!(bind(&mut world, 0x3fff, CAROL), Some(code::BAD_REQUEST));
    world.say(ALICE, &turn::to_channel(0x4001, b"yes").unwrap());
    world.say(ALICE, &turn::to_channel(0x4002, b"no").unwrap());
    world.say(ALICE2, &turn::to_channel(0x4001, b"no").unwrap());
    assert_eq!(world.to_peers, [(relayed.port(), at(BOB), b"yes".to_vec())]);
    world.hear(relayed, BOB, b"back");
    let heard = world.work().remove(0).payload;
    assert_eq!(turn::channel_data(&heard), Some((0x4001, &b"back"[..])));
    // Its permission ends before it does.
    world.pass(Duration::from_secs(300));
    world.say(ALICE, &turn::to_channel(0x4001, b"no").unwrap());
    assert_eq!(world.to_peers.len(), 1);
}

#[test]
fn tables_of_one_allocation_are_bounded() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    alice.allocate(&mut world).unwrap();
    let mut bounded = vec![None; 32];
    bounded.extend([Some(code::INSUFFICIENT_CAPACITY); 8]);
    let said: Vec<_> = (0..40)
        .map(|n| alice.permit(&mut world, &format!("198.51.100.{n}:1")))
        .collect();
    assert_eq!(said, bounded);
    assert_eq!(alice.permit(&mut world, "198.51.100.0:2"), None);
    let said: Vec<_> = (0..40)
        .map(|n| {
            let fill = |r: Builder| {
                r.channel(0x4000 + n)
                    .peer(at(&format!("198.51.100.1:{}", n + 1)))
            };
            alice.ask(&mut world, Method::ChannelBind, fill)
        })
        .collect();
    assert_eq!(said, bounded);
}

#[test]
fn one_allocation_carries_so_much_and_does_not_starve_another() {
    let slow = Limits {
        rate: 10_000,
        ..limits()
    };
    let mut world = World::new(slow, &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    let relayed = alice.allocate(&mut world).unwrap();
    alice.permit(&mut world, BOB);
    for _ in 0..8 {
        alice.send(&mut world, BOB, &[0; 1000]);
    }
    for _ in 0..8 {
        world.hear(relayed, BOB, &[0; 1000]);
    }
    // Both ways together.
    assert_eq!((world.to_peers.len(), world.work().len()), (8, 2));
    assert_eq!(world.relay().stats().over_rate, 6);
    let mut bob = Speaker::new(&mut world, "bob", BOB);
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

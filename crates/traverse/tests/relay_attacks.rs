//! The relay against those who mean it no good.

mod relaying;

use std::time::Duration;

use proptest::prelude::*;
use relaying::{ALICE, BOB, SERVER, Speaker, UNIX, World, at, limits};
use traverse::identity::Identity;
use traverse::introduce::server::RATE;
use traverse::relay::credentials::{Credentials, Granted, Secret};
use traverse::relay::server::{Limits, SHORTEST};
use traverse::seal::SealError;
use wire::{Attribute, Builder, Class, Message, Method, code, turn};

const CAROL: &str = "198.51.100.7:9";
const ALICE2: &str = "203.0.113.17:40002";

#[test]
fn nothing_is_kept_of_those_who_show_no_nonce_of_theirs() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    let request = alice.request(Method::Allocate, Builder::udp);
    // The same bytes from another address: the nonce is not of that one.
    assert_eq!(world.ask_error(BOB, &request), Some(code::STALE_NONCE));
    assert_eq!((world.relay().allocations(), world.open.len()), (0, 0));
    assert_eq!(world.ask_error(ALICE, &request), None);
    // Old ones are replaced, not believed.
    world.pass(Duration::from_secs(300));
    let refresh = alice.request(Method::Refresh, |r| r);
    assert_eq!(world.ask_error(ALICE, &refresh), Some(code::STALE_NONCE));
}

#[test]
fn only_credentials_of_our_making_allocate_and_only_while_they_last() {
    let mut world = World::new(limits(), &[]);
    let good = world.credentials("alice");
    let bobs = world.credentials("bob");
    let refused = |world: &mut World, username: &str, password: &str| {
        let (username, password) = (username.into(), password.into());
        let credentials = Credentials { username, password };
        Speaker::with(world, credentials, ALICE).allocate(world)
    };
    let no = Err(code::UNAUTHENTICATED);
    assert_eq!(refused(&mut world, &good.username, "guess"), no);
    assert_eq!(refused(&mut world, &bobs.username, &good.password), no);
    assert_eq!(refused(&mut world, "alice", ""), no);
    let plain = Secret::new("north").password("alice");
    assert_eq!(refused(&mut world, "alice", &plain), no);
    let old = Secret::new("north").issue("alice", UNIX);
    assert_eq!(refused(&mut world, &old.username, &old.password), no);
    let others = Secret::new("south").issue("alice", UNIX + 60);
    assert_eq!(refused(&mut world, &others.username, &others.password), no);
    assert_eq!(world.relay().allocations(), 0);
    assert!(refused(&mut world, &good.username, &good.password).is_ok());
    // Without integrity a right name is nothing.
    let bare = Builder::request(Method::Refresh, [3; 12]).username(&good.username);
    assert_eq!(
        world.ask_error(ALICE, &bare.finish()),
        Some(code::UNAUTHENTICATED)
    );
}

#[test]
fn quotas_hold_for_a_name_an_address_and_all() {
    let small = Limits {
        total: 4,
        per_name: 2,
        per_address: 3,
        ..limits()
    };
    let mut world = World::new(small, &[]);
    let seats = [
        "203.0.113.17:1",
        "203.0.113.17:2",
        "203.0.113.17:3",
        "203.0.113.17:4",
        "203.0.113.18:1",
        "203.0.113.19:1",
    ];
    let names = ["a", "a", "b", "c", "a", "d"];
    let mut said = Vec::new();
    let mut first = Speaker::new(&mut world, names[0], seats[0]);
    said.push(first.allocate(&mut world).err());
    for (name, seat) in names.into_iter().zip(seats).skip(1) {
        said.push(
            Speaker::new(&mut world, name, seat)
                .allocate(&mut world)
                .err(),
        );
    }
    let quota = Some(code::QUOTA_REACHED);
    assert_eq!(said, [None, None, None, quota, quota, None]);
    let mut more = Speaker::new(&mut world, "e", BOB);
    assert_eq!(more.allocate(&mut world), Err(code::INSUFFICIENT_CAPACITY));
    // What is given back, or expires, makes room.
    assert_eq!(
        first.ask(&mut world, Method::Refresh, |r| r.lifetime(0)),
        None
    );
    assert!(more.allocate(&mut world).is_ok());
    world.pass(SHORTEST);
    world.work();
    assert_eq!((world.relay().allocations(), world.open.len()), (0, 0));
    assert!(
        Speaker::new(&mut world, "a", ALICE2)
            .allocate(&mut world)
            .is_ok()
    );
    assert!(world.server.poll_timeout().is_some());
}

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
    let said: Vec<_> = (0..40)
        .map(|n| alice.permit(&mut world, &format!("198.51.100.{n}:1")))
        .collect();
    assert!(said[..32].iter().all(Option::is_none));
    assert!(
        said[32..]
            .iter()
            .all(|c| *c == Some(code::INSUFFICIENT_CAPACITY))
    );
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
    assert!(said[..32].iter().all(Option::is_none));
    assert!(
        said[32..]
            .iter()
            .all(|c| *c == Some(code::INSUFFICIENT_CAPACITY))
    );
}

#[test]
fn an_allocation_is_its_owners() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    alice.allocate(&mut world).unwrap();
    // Somebody at the same address, as behind one NAT port, later.
    let mut eve = Speaker::new(&mut world, "eve", ALICE);
    let said = eve.ask(&mut world, Method::Refresh, |r| r.lifetime(0));
    assert_eq!(said, Some(code::WRONG_CREDENTIALS));
    assert_eq!(eve.permit(&mut world, CAROL), Some(code::WRONG_CREDENTIALS));
    assert_eq!(eve.allocate(&mut world), Err(code::ALLOCATION_MISMATCH));
    // The owner from elsewhere has none there.
    let mut elsewhere = Speaker::new(&mut world, "alice", ALICE2);
    let said = elsewhere.ask(&mut world, Method::Refresh, |r| r.lifetime(0));
    assert_eq!(said, Some(code::ALLOCATION_MISMATCH));
    assert_eq!(world.relay().allocations(), 1);
    // And nothing unsigned ends it.
    let bare = Builder::request(Method::Refresh, [3; 12])
        .lifetime(0)
        .finish();
    assert_eq!(world.ask_error(ALICE, &bare), Some(code::UNAUTHENTICATED));
    assert_eq!(world.relay().allocations(), 1);
}

#[test]
fn a_lost_answer_is_repeated_and_makes_no_second_allocation() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    let request = alice.request(Method::Allocate, Builder::udp);
    let answer = world.ask(ALICE, &request);
    assert_eq!(world.ask(ALICE, &request), answer);
    assert!(answer.len() <= request.len());
    assert_eq!(alice.allocate(&mut world), Err(code::ALLOCATION_MISMATCH));
    assert_eq!((world.relay().allocations(), world.open.len()), (1, 1));
}

#[test]
fn ports_that_others_have_are_passed_over() {
    let mut world = World::new(limits(), &[]);
    world.taken = (50001..=50009).collect();
    // Eight tries of ten ports: those at random find it sooner or later.
    let mut seen = Vec::new();
    for _ in 0..40 {
        let mut alice = Speaker::new(&mut world, "alice", ALICE);
        if let Ok(relayed) = alice.allocate(&mut world) {
            seen.push(relayed.port());
            alice.ask(&mut world, Method::Refresh, |r| r.lifetime(0));
        }
    }
    assert!(
        !seen.is_empty() && seen.iter().all(|port| *port == 50000),
        "{seen:?}"
    );
    assert_eq!(world.relay().allocations(), 0);
}

#[test]
fn what_it_cannot_do_it_says() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Speaker::new(&mut world, "alice", ALICE);
    let mut ask =
        |world: &mut World, fill: fn(Builder) -> Builder| alice.ask(world, Method::Allocate, fill);
    assert_eq!(ask(&mut world, |r| r), Some(code::BAD_REQUEST));
    let tcp = |r: Builder| r.raw(Attribute::RequestedTransport, &[6, 0, 0, 0]);
    assert_eq!(ask(&mut world, tcp), Some(code::TRANSPORT_NOT_SUPPORTED));
    let six = |r: Builder| {
        r.udp()
            .raw(Attribute::RequestedAddressFamily, &[2, 0, 0, 0])
    };
    assert_eq!(ask(&mut world, six), Some(code::FAMILY_NOT_SUPPORTED));
    let reserve = |r: Builder| r.udp().raw(Attribute::EvenPort, &[0x80]);
    assert_eq!(ask(&mut world, reserve), Some(code::INSUFFICIENT_CAPACITY));
    let padded = |r: Builder| r.udp().pad_to(200);
    assert_eq!(ask(&mut world, padded), Some(code::UNKNOWN_ATTRIBUTE));
    assert_eq!(world.relay().allocations(), 0);
    for seat in [ALICE, ALICE2] {
        let mut even = Speaker::new(&mut world, "alice", seat);
        let request = even.request(Method::Allocate, |r| r.udp().raw(Attribute::EvenPort, &[0]));
        let answer = world.ask(seat, &request);
        let relayed = Message::parse(&answer).unwrap().relayed().unwrap();
        assert_eq!(relayed.port() % 2, 0);
    }
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

#[test]
fn a_flood_of_requests_is_limited_by_prefix() {
    let mut world = World::new(limits(), &[]);
    let request = Builder::request(Method::Allocate, [1; 12]).udp().finish();
    let answers: usize = (0..2 * RATE)
        .map(|_| world.say(ALICE, &request).len())
        .sum();
    assert_eq!(answers, RATE as usize);
    assert_eq!(world.say(CAROL, &request).len(), 1);
}

#[test]
fn credentials_are_for_the_registered_and_only_they_can_read_them() {
    let mut world = World::new(limits(), &[]);
    let key = Identity::from_secret(&[7; 32]);
    let hello = Builder::request(Method::Register, [1; 12])
        .relay(&[])
        .pad_to(640)
        .finish();
    let answer = world.ask(ALICE, &hello);
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(
        (answer.error(), answer.relay()),
        (Some(code::UNAUTHENTICATED), None)
    );
    let register = |sequence: u64, lifetime: u32, by: &Identity, wanted: bool| {
        let request = Builder::request(Method::Register, [sequence as u8; 12])
            .nonce(answer.nonce().unwrap())
            .name("alice")
            .public_key(&key.public())
            .sequence(sequence)
            .lifetime(lifetime);
        let request = if wanted { request.relay(&[]) } else { request };
        request.sign(|part| by.sign(part)).pad_to(640).finish()
    };
    let eve = Identity::from_secret(&[8; 32]);
    let mut sealed = |request: Vec<u8>| {
        let answer = world.ask(ALICE, &request);
        assert!(answer.len() <= request.len());
        Message::parse(&answer).unwrap().relay().map(<[u8]>::to_vec)
    };
    assert_eq!(sealed(register(2, 90, &eve, true)), None);
    assert_eq!(sealed(register(3, 90, &key, false)), None);
    let granted = sealed(register(4, 90, &key, true)).unwrap();
    assert_eq!(sealed(register(5, 0, &key, true)), None);
    assert_eq!(
        Granted::open("alice", &eve, &granted),
        Err(SealError::DoesNotOpen)
    );
    let granted = Granted::open("alice", &key, &granted).unwrap();
    assert_eq!(granted.credentials, world.credentials("alice"));
    let mut alice = Speaker::with(&mut world, granted.credentials, ALICE);
    assert!(alice.allocate(&mut world).is_ok());
}

fn any_turn() -> impl Strategy<Value = Vec<u8>> {
    let method = proptest::sample::select(Method::ALL.to_vec());
    let class = proptest::sample::select(vec![
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ]);
    let attribute = proptest::sample::select(vec![
        Attribute::Username,
        Attribute::Realm,
        Attribute::Nonce,
        Attribute::XorPeerAddress,
        Attribute::Data,
        Attribute::ChannelNumber,
        Attribute::RequestedTransport,
        Attribute::EvenPort,
        Attribute::Lifetime,
        Attribute::Relay,
    ]);
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(b"1900000000:alice".to_vec()),
        Just(b"pinhole".to_vec()),
        Just(vec![17, 0, 0, 0]),
        Just(vec![0; 20]),
    ];
    let attributes = proptest::collection::vec((attribute, value), 0..8);
    let signed = any::<bool>();
    let message =
        (method, class, attributes, signed).prop_map(|(method, class, attributes, signed)| {
            let mut message = Builder::new(class, method, [4; 12]);
            for (attribute, value) in attributes {
                message = message.raw(attribute, &value);
            }
            if signed {
                return message.finish_long_term(&turn::long_term_key("alice", "pinhole", "guess"));
            }
            message.finish()
        });
    let channel = proptest::collection::vec(any::<u8>(), 0..80).prop_map(|mut bytes| {
        bytes.insert(0, 0x40);
        bytes
    });
    prop_oneof![4 => message, 1 => channel]
}

proptest! {
    /// Whatever strangers send: no panic, no state, no packet to anybody else,
    /// and no answer that is worth the trouble of forging a source address.
    #[test]
    fn strangers_get_little(requests in proptest::collection::vec(any_turn(), 1..6)) {
        let mut world = World::new(limits(), &[]);
        for request in requests {
            for answer in world.say(ALICE, &request) {
                prop_assert_eq!(answer.to.ip(), at(ALICE).ip());
                prop_assert!(answer.payload.len() <= 96);
            }
        }
        prop_assert!(world.to_peers.is_empty() && world.open.is_empty());
        prop_assert_eq!(world.server.poll_timeout(), None);
    }

    /// The same from somebody who is somebody, with a good signature.
    #[test]
    fn a_user_cannot_break_it(requests in proptest::collection::vec(any_turn(), 1..12)) {
        let mut world = World::new(limits(), &[]);
        let mut alice = Speaker::new(&mut world, "alice", ALICE);
        alice.allocate(&mut world).unwrap();
        for request in requests {
            world.say(ALICE, &request);
            let Ok(message) = Message::parse(&request) else { continue };
            let signed = alice.request(message.method(), |mut signed| {
                for attribute in [Attribute::XorPeerAddress, Attribute::ChannelNumber, Attribute::Lifetime] {
                    if let Some(value) = message.get(attribute) {
                        signed = signed.raw(attribute, value);
                    }
                }
                signed
            });
            world.say(ALICE, &signed);
        }
        for (_, to, _) in &world.to_peers {
            prop_assert!(!to.ip().is_loopback());
        }
        prop_assert!(world.relay().allocations() <= 1);
    }
}

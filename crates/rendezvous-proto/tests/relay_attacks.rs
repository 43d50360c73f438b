//! The relay against those who mean it no good.

mod relaying;
mod strangers;

use std::time::Duration;

use proptest::prelude::*;
use relaying::{ALICE, BOB, Speaker, UNIX, World, at, limits};
use rendezvous_proto::relay::server::{Limits, SHORTEST};
use rendezvous_proto::server::RATE;
use sansio::Protocol;
use session::credentials::{Credentials, Granted, Secret};
use session::identity::Identity;
use session::seal::SealError;
use strangers::any_message;
use stun::{Attribute, Builder, Message, Method, code, turn};

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
    assert!(!world.server.remembers(0, at(BOB)));
    assert_eq!(world.ask_error(ALICE, &request), None);
    assert!(world.server.remembers(0, at(ALICE)));
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
fn what_a_name_has_abandoned_makes_room_for_what_it_wants() {
    let mut world = World::new(limits(), &[]);
    let seats = ["203.0.113.17:1", "203.0.113.17:2"];
    for seat in seats {
        Speaker::new(&mut world, "alice", seat)
            .allocate(&mut world)
            .unwrap();
    }
    let mut third = Speaker::new(&mut world, "alice", ALICE);
    world.pass(Duration::from_secs(30));
    assert_eq!(third.allocate(&mut world), Err(code::QUOTA_REACHED));
    // The second says a word, as our client does; the first does not.
    let word = Builder::indication(Method::Binding, [1; 12]).finish();
    assert!(world.say(seats[1], &word).is_empty());
    world.pass(Duration::from_secs(30));
    assert!(third.allocate(&mut world).is_ok());
    assert_eq!((world.relay().allocations(), world.open.len()), (2, 2));
    let mut still = |seat| {
        let mut of_seat = Speaker::new(&mut world, "alice", seat);
        of_seat.ask(&mut world, Method::CreatePermission, |r| r.peer(at(BOB)))
    };
    assert_eq!(still(seats[0]), Some(code::ALLOCATION_MISMATCH));
    assert_eq!(still(seats[1]), Some(code::WRONG_CREDENTIALS));
    // Another name's silence makes no room for anybody.
    for seat in ["203.0.113.18:1", "203.0.113.18:2"] {
        Speaker::new(&mut world, "bob", seat)
            .allocate(&mut world)
            .unwrap();
    }
    world.pass(Duration::from_secs(120));
    assert!(
        Speaker::new(&mut world, "carol", BOB)
            .allocate(&mut world)
            .is_ok()
    );
    assert_eq!(world.relay().allocations(), 5);
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
    // One port of ten is free, and eight are tried at random.
    let mut seen = Vec::new();
    for _ in 0..40 {
        let mut alice = Speaker::new(&mut world, "alice", ALICE);
        match alice.allocate(&mut world) {
            Ok(relayed) => {
                seen.push(relayed.port());
                alice.ask(&mut world, Method::Refresh, |r| r.lifetime(0));
            }
            Err(error) => assert_eq!(error, code::INSUFFICIENT_CAPACITY),
        }
    }
    assert!(seen.len() > 12, "{seen:?}");
    assert!(seen.iter().all(|port| *port == 50000), "{seen:?}");
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
    let attributes = vec![
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
    ];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(b"1900000000:alice".to_vec()),
        Just(b"pinhole".to_vec()),
        Just(vec![17, 0, 0, 0]),
        Just(vec![0; 20]),
    ];
    let message = (any_message(attributes, value), any::<bool>());
    let message = message.prop_map(|(message, signed)| match signed {
        true => message.finish_long_term(&turn::long_term_key("alice", "pinhole", "guess")),
        false => message.finish(),
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

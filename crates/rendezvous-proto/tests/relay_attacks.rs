//! Clients that attack the relay.

mod arbitrary;
mod relaying;

use std::time::Duration;

use arbitrary::any_message;
use proptest::prelude::*;
use relaying::{ALICE, BOB, TurnClient, UNIX, World, at, limits};
use rendezvous_proto::relay::{CREDENTIALS, Command, Limits, SHORTEST};
use rendezvous_proto::server::{RATE, Sender};
use sansio::Protocol;
use session::credentials::{Credentials, Granted, Secret};
use session::identity::Identity;
use session::seal::SealError;
use stun::{Attribute, Builder, Message, Method, code, turn};

const CAROL: &str = "198.51.100.7:9";
const ALICE2: &str = "203.0.113.17:40002";

#[test]
fn a_client_without_a_nonce_of_its_own_leaves_no_state() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    let request = alice.request(Method::Allocate, Builder::udp);
    // The same bytes from another address: the nonce is not of that one.
    assert_eq!(world.ask_error(BOB, &request), Some(code::STALE_NONCE));
    assert_eq!((world.relay().allocations(), world.open.len()), (0, 0));
    assert_eq!(world.sender(BOB, b"any"), Sender::Unproved);
    assert_eq!(world.ask_error(ALICE, &request), None);
    assert_eq!(world.sender(ALICE, b"any"), Sender::Proved);
    // Nonces expire.
    world.pass(Duration::from_secs(300));
    let refresh = alice.request(Method::Refresh, |r| r);
    assert_eq!(world.ask_error(ALICE, &refresh), Some(code::STALE_NONCE));
}

#[test]
fn only_credentials_of_this_secret_allocate_and_only_until_they_expire() {
    let mut world = World::new(limits(), &[]);
    let good = world.credentials("alice");
    let bobs = world.credentials("bob");
    let refused = |world: &mut World, username: &str, password: &str| {
        let (username, password) = (username.into(), password.into());
        let credentials = Credentials { username, password };
        TurnClient::with(world, credentials, ALICE).allocate(world)
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
    // A user name without integrity is not enough.
    let bare = Builder::request(Method::Refresh, [3; 12]).username(&good.username);
    assert_eq!(
        world.ask_error(ALICE, &bare.finish()),
        Some(code::UNAUTHENTICATED)
    );
}

#[test]
fn quotas_hold_for_a_name_for_an_address_and_in_all() {
    let small = Limits {
        total: 4,
        per_name: 2,
        per_address: 3,
        ..limits()
    };
    let mut world = World::new(small, &[]);
    let clients = [
        "203.0.113.17:1",
        "203.0.113.17:2",
        "203.0.113.17:3",
        "203.0.113.17:4",
        "203.0.113.18:1",
        "203.0.113.19:1",
    ];
    let names = ["a", "a", "b", "c", "a", "d"];
    let mut errors = Vec::new();
    let mut first = TurnClient::new(&mut world, names[0], clients[0]);
    errors.push(first.allocate(&mut world).err());
    for (name, client) in names.into_iter().zip(clients).skip(1) {
        errors.push(
            TurnClient::new(&mut world, name, client)
                .allocate(&mut world)
                .err(),
        );
    }
    let quota = Some(code::QUOTA_REACHED);
    assert_eq!(errors, [None, None, None, quota, quota, None]);
    let mut more = TurnClient::new(&mut world, "e", BOB);
    assert_eq!(more.allocate(&mut world), Err(code::INSUFFICIENT_CAPACITY));
    // An allocation that is given back, or expires, makes room.
    assert_eq!(
        first.ask(&mut world, Method::Refresh, |r| r.lifetime(0)),
        None
    );
    assert!(more.allocate(&mut world).is_ok());
    world.pass(SHORTEST);
    world.work();
    assert_eq!((world.relay().allocations(), world.open.len()), (0, 0));
    assert!(
        TurnClient::new(&mut world, "a", ALICE2)
            .allocate(&mut world)
            .is_ok()
    );
    assert!(world.server.poll_timeout().is_some());
}

#[test]
fn other_limits_are_for_allocations_that_are_made_after_them() {
    let mut world = World::new(limits(), &[]);
    let mut first = TurnClient::new(&mut world, "a", ALICE);
    first.allocate(&mut world).unwrap();
    world.relay().set_limits(Limits {
        total: 1,
        rate: 5000,
        ..limits()
    });
    let now = world.now;
    let told = world.relay().credentials(now, "c", at(BOB));
    assert_eq!(
        told.rate,
        Some(5000),
        "clients are told the rate that they get"
    );
    let mut second = TurnClient::new(&mut world, "b", BOB);
    let full = second.allocate(&mut world);
    assert_eq!(full, Err(code::INSUFFICIENT_CAPACITY));
    world.relay().set_limits(Limits {
        total: 2,
        per_name: 1,
        ..limits()
    });
    let mut again = TurnClient::new(&mut world, "a", ALICE2);
    assert_eq!(again.allocate(&mut world), Err(code::QUOTA_REACHED));
    assert!(second.allocate(&mut world).is_ok());
    assert_eq!(world.relay().allocations(), 2);
}

#[test]
fn an_abandoned_allocation_makes_room_for_another_of_its_name() {
    let mut world = World::new(limits(), &[]);
    let clients = ["203.0.113.17:1", "203.0.113.17:2"];
    for client in clients {
        TurnClient::new(&mut world, "alice", client)
            .allocate(&mut world)
            .unwrap();
    }
    let mut third = TurnClient::new(&mut world, "alice", ALICE);
    world.pass(Duration::from_secs(30));
    assert_eq!(third.allocate(&mut world), Err(code::QUOTA_REACHED));
    // The second client sends a keepalive, the first does not.
    let keepalive = Builder::indication(Method::Binding, [1; 12]).finish();
    assert!(world.send(clients[1], &keepalive).is_empty());
    world.pass(Duration::from_secs(30));
    assert!(third.allocate(&mut world).is_ok());
    assert_eq!((world.relay().allocations(), world.open.len()), (2, 2));
    let mut still = |client| {
        let mut turn_client = TurnClient::new(&mut world, "alice", client);
        turn_client.ask(&mut world, Method::CreatePermission, |r| r.peer(at(BOB)))
    };
    assert_eq!(still(clients[0]), Some(code::ALLOCATION_MISMATCH));
    assert_eq!(still(clients[1]), Some(code::WRONG_CREDENTIALS));
    // Abandoned allocations make no room for other names.
    for client in ["203.0.113.18:1", "203.0.113.18:2"] {
        TurnClient::new(&mut world, "bob", client)
            .allocate(&mut world)
            .unwrap();
    }
    world.pass(Duration::from_secs(120));
    assert!(
        TurnClient::new(&mut world, "carol", BOB)
            .allocate(&mut world)
            .is_ok()
    );
    assert_eq!(world.relay().allocations(), 5);
}

#[test]
fn allocations_that_expire_together_are_closed_in_the_order_of_their_ports() {
    let mut world = World::new(limits(), &[]);
    let names = ["a", "a", "b", "b", "c", "c"];
    let clients = [
        "203.0.113.17:1",
        "203.0.113.17:2",
        "203.0.113.17:3",
        "203.0.113.17:4",
        "203.0.113.17:5",
        "203.0.113.17:6",
    ];
    for (name, client) in names.into_iter().zip(clients) {
        let mut client = TurnClient::new(&mut world, name, client);
        client.allocate(&mut world).unwrap();
    }
    world.pass(SHORTEST);
    let closed: Vec<u16> = std::iter::from_fn(|| world.relay().poll_command())
        .map(|command| match command {
            Command::Close { port } => port,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(closed.len(), 6);
    assert!(closed.is_sorted(), "{closed:?}");
}

#[test]
fn an_allocation_obeys_no_other_user_and_no_other_address() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    alice.allocate(&mut world).unwrap();
    // Another user at the same address, to which a NAT may later map another host.
    let mut eve = TurnClient::new(&mut world, "eve", ALICE);
    let answer = eve.ask(&mut world, Method::Refresh, |r| r.lifetime(0));
    assert_eq!(answer, Some(code::WRONG_CREDENTIALS));
    assert_eq!(eve.permit(&mut world, CAROL), Some(code::WRONG_CREDENTIALS));
    assert_eq!(eve.allocate(&mut world), Err(code::ALLOCATION_MISMATCH));
    // The owner at another address has no allocation there.
    let mut elsewhere = TurnClient::new(&mut world, "alice", ALICE2);
    let answer = elsewhere.ask(&mut world, Method::Refresh, |r| r.lifetime(0));
    assert_eq!(answer, Some(code::ALLOCATION_MISMATCH));
    assert_eq!(world.relay().allocations(), 1);
    // A request without integrity does not end it.
    let bare = Builder::request(Method::Refresh, [3; 12])
        .lifetime(0)
        .finish();
    assert_eq!(world.ask_error(ALICE, &bare), Some(code::UNAUTHENTICATED));
    assert_eq!(world.relay().allocations(), 1);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_no_second_allocation() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    let request = alice.request(Method::Allocate, Builder::udp);
    let answer = world.ask(ALICE, &request);
    assert_eq!(world.ask(ALICE, &request), answer);
    assert!(answer.len() <= request.len());
    assert_eq!(alice.allocate(&mut world), Err(code::ALLOCATION_MISMATCH));
    assert_eq!((world.relay().allocations(), world.open.len()), (1, 1));
}

#[test]
fn a_port_that_cannot_be_opened_is_passed_over() {
    let mut world = World::new(limits(), &[]);
    world.taken = (50001..=50009).collect();
    // One port of ten is free, and eight are tried at random.
    let mut seen = Vec::new();
    for _ in 0..40 {
        let mut alice = TurnClient::new(&mut world, "alice", ALICE);
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
fn what_the_relay_does_not_do_is_refused() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
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
    let unassigned = |r: Builder| {
        r.udp()
            .raw(Attribute::RequestedAddressFamily, &[3, 0, 0, 0])
    };
    assert_eq!(
        ask(&mut world, unassigned),
        Some(code::FAMILY_NOT_SUPPORTED)
    );
    let reserve = |r: Builder| r.udp().raw(Attribute::EvenPort, &[0x80]);
    assert_eq!(ask(&mut world, reserve), Some(code::INSUFFICIENT_CAPACITY));
    let padded = |r: Builder| r.udp().pad_to(200);
    assert_eq!(ask(&mut world, padded), Some(code::UNKNOWN_ATTRIBUTE));
    assert_eq!(world.relay().allocations(), 0);
    for client in [ALICE, ALICE2] {
        let mut even = TurnClient::new(&mut world, "alice", client);
        let request = even.request(Method::Allocate, |r| r.udp().raw(Attribute::EvenPort, &[0]));
        let answer = world.ask(client, &request);
        let relayed = Message::parse(&answer).unwrap().relayed().unwrap();
        assert_eq!(relayed.port() % 2, 0);
    }
}

#[test]
fn a_value_of_a_wrong_length_is_refused_and_not_taken_for_a_missing_one() {
    let mut world = World::new(limits(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", ALICE);
    for (attribute, value) in [
        (Attribute::Lifetime, &[0, 2, 88][..]),
        (Attribute::RequestedAddressFamily, &[]),
        (Attribute::RequestedAddressFamily, &[1]),
        (Attribute::EvenPort, &[0, 0]),
    ] {
        let fill = |r: Builder| r.udp().raw(attribute, value);
        let refused = alice.ask(&mut world, Method::Allocate, fill);
        assert_eq!(refused, Some(code::BAD_REQUEST), "{attribute:?}");
    }
    let short = |r: Builder| r.raw(Attribute::RequestedTransport, &[17]);
    let refused = alice.ask(&mut world, Method::Allocate, short);
    assert_eq!(refused, Some(code::BAD_REQUEST));
    assert_eq!(world.relay().allocations(), 0);

    alice.allocate(&mut world).unwrap();
    let short = |r: Builder| r.raw(Attribute::Lifetime, &[0, 0, 0]);
    let refused = alice.ask(&mut world, Method::Refresh, short);
    assert_eq!(refused, Some(code::BAD_REQUEST));
    let unassigned = |r: Builder| r.raw(Attribute::RequestedAddressFamily, &[3, 0, 0, 0]);
    let refused = alice.ask(&mut world, Method::Refresh, unassigned);
    assert_eq!(refused, Some(code::PEER_FAMILY_MISMATCH));
    assert_eq!(world.relay().allocations(), 1);
}

#[test]
fn credentials_of_the_secret_before_are_valid_and_those_of_an_older_one_are_not() {
    let mut world = World::new(limits(), &[]);
    let (old, mut none) = (world.credentials("alice"), world.credentials("nobody"));
    none.password = "wrong".into();
    world.set_secret("south");
    // The same once more is no change.
    world.set_secret("south");
    let new = world.credentials("bob");
    assert_ne!(old.password, world.credentials("alice").password);
    let mut alice = TurnClient::with(&mut world, old.clone(), ALICE);
    assert!(alice.allocate(&mut world).is_ok());
    let mut bob = TurnClient::with(&mut world, new, BOB);
    assert!(bob.allocate(&mut world).is_ok());
    let mut nobody = TurnClient::with(&mut world, none, ALICE2);
    assert_eq!(nobody.allocate(&mut world), Err(code::UNAUTHENTICATED));
    world.set_secret("west");
    let mut late = TurnClient::with(&mut world, old, ALICE2);
    assert_eq!(late.allocate(&mut world), Err(code::UNAUTHENTICATED));
}

#[test]
fn who_knows_the_secret_before_cannot_make_credentials_that_last_longer_than_those_it_issued() {
    let mut world = World::new(limits(), &[]);
    world.set_secret("south");
    let hour = CREDENTIALS.as_secs();
    let mut allocate = |until: u64, from| {
        let forged = Secret::new("north").issue("mallory", until);
        TurnClient::with(&mut world, forged, from).allocate(&mut world)
    };
    assert_eq!(allocate(UNIX + hour + 1, ALICE), Err(code::UNAUTHENTICATED));
    assert!(allocate(UNIX + hour, BOB).is_ok());
    // Nor later, and the same secret once more does not prolong it.
    world.pass(CREDENTIALS);
    world.set_secret("south");
    let forged = Secret::new("north").issue("mallory", UNIX + hour + 60);
    let late = TurnClient::with(&mut world, forged, ALICE2).allocate(&mut world);
    assert_eq!(late, Err(code::UNAUTHENTICATED));
}

#[test]
fn a_flood_of_requests_is_limited_by_network() {
    let mut world = World::new(limits(), &[]);
    let request = Builder::request(Method::Allocate, [1; 12]).udp().finish();
    let answers: usize = (0..2 * RATE)
        .map(|_| world.send(ALICE, &request).len())
        .sum();
    assert_eq!(answers, RATE as usize);
    assert_eq!(world.send(CAROL, &request).len(), 1);
}

#[test]
fn only_registered_names_get_credentials_and_only_their_owners_can_read_them() {
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
            .fresh(&[4; 8])
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
    let mut alice = TurnClient::with(&mut world, granted.credentials, ALICE);
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
    /// Whatever a client without credentials sends: no panic, no state, no packet
    /// to another address, and no answer that is long enough for an amplification
    /// attack.
    #[test]
    fn a_client_without_credentials_gets_a_short_answer_and_leaves_no_state(requests in proptest::collection::vec(any_turn(), 1..6)) {
        let mut world = World::new(limits(), &[]);
        for request in requests {
            for answer in world.send(ALICE, &request) {
                prop_assert_eq!(answer.to.ip(), at(ALICE).ip());
                prop_assert!(answer.payload.len() <= 96);
            }
        }
        prop_assert!(world.to_peers.is_empty() && world.open.is_empty());
        prop_assert_eq!(world.server.poll_timeout(), None);
    }

    /// The same from a user, with the right integrity.
    #[test]
    fn a_user_cannot_make_it_panic_or_send_into_its_own_host(requests in proptest::collection::vec(any_turn(), 1..12)) {
        let mut world = World::new(limits(), &[]);
        let mut alice = TurnClient::new(&mut world, "alice", ALICE);
        alice.allocate(&mut world).unwrap();
        for request in requests {
            world.send(ALICE, &request);
            let Ok(message) = Message::parse(&request) else { continue };
            let signed = alice.request(message.method(), |mut signed| {
                for attribute in [Attribute::XorPeerAddress, Attribute::ChannelNumber, Attribute::Lifetime] {
                    if let Some(value) = message.get(attribute) {
                        signed = signed.raw(attribute, value);
                    }
                }
                signed
            });
            world.send(ALICE, &signed);
        }
        for (_, to, _) in &world.to_peers {
            prop_assert!(!to.ip().is_loopback());
        }
        prop_assert!(world.relay().allocations() <= 1);
    }
}

//! Registry and introductions, and clients that attack them.

mod arbitrary;
mod client;
mod registrant;

use std::time::Instant;

use arbitrary::any_message;
use client::{ALICE, BOB, ask, at, drain, error_of, whole_server};
use proptest::prelude::*;
use registrant::Registrant;
use rendezvous_proto::server::{RATE, Sender};
use sansio::Protocol;
use session::identity::Identity;
use stun::{Attribute, Builder, Class, Message, Method, code};

#[test]
fn a_client_without_a_cookie_leaves_no_state() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    assert_eq!(server.registered(now), 0);
    // The same bytes from another address: the cookie is not of that one.
    let request = alice.signed(Method::Register, |request| request);
    let answer = ask(&mut server, now, BOB, &request);
    assert_eq!(error_of(&answer), Some(code::STALE_NONCE));
    assert_eq!(server.registered(now), 0);
    let sender = server.handle_datagram(now, 0, at(BOB), &request);
    assert_eq!(sender, Sender::Unproved);
    drain(&mut server);
    let sender = server.handle_datagram(now, 0, at(ALICE), &request);
    assert_eq!(sender, Sender::Proved);
    assert_eq!(error_of(&drain(&mut server)[0]), None);
    assert_eq!(server.registered(now), 1);
    // Any host may forge her address on another datagram.
    let sender = server.handle_datagram(now, 0, at(ALICE), b"no message");
    assert_eq!(sender, Sender::Unproved);
    let sender = server.handle_datagram(now, 0, at(ALICE), &alice.register_request(0));
    assert_eq!(sender, Sender::Unproved, "she has left");
}

#[test]
fn a_name_is_bound_to_its_key_and_requests_cannot_be_replayed() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let request = alice.signed(Method::Register, |request| request);
    assert_eq!(error_of(&ask(&mut server, now, ALICE, &request)), None);
    // A retransmission changes nothing.
    assert_eq!(error_of(&ask(&mut server, now, ALICE, &request)), None);
    alice.register(&mut server, now);
    let replayed = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&replayed), Some(code::FORBIDDEN));

    let mut thief = Registrant::new(&mut server, now, "alice", BOB);
    thief.key = Identity::from_secret(&[66; 32]);
    assert_eq!(thief.register(&mut server, now), Some(code::NAME_TAKEN));
    // It can neither end her registration nor sign for her key.
    let request = thief.signed(Method::Register, |request| request.lifetime(0));
    assert_eq!(
        error_of(&ask(&mut server, now, BOB, &request)),
        Some(code::NAME_TAKEN)
    );
    let forged = Builder::request(Method::Register, [5; 12])
        .nonce(&thief.cookie)
        .name("alice")
        .public_key(&alice.key.public())
        .sequence(99)
        .sign(|part| thief.key.sign(part))
        .pad_to(640)
        .finish();
    assert_eq!(
        error_of(&ask(&mut server, now, BOB, &forged)),
        Some(code::FORBIDDEN)
    );
    assert_eq!(server.registered(now), 1);
}

#[test]
fn only_registered_names_are_introduced_and_only_to_registered_names() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let connect = |request: Builder| request.peer_name("bob").seal(&[1; 100]);
    let request = alice.signed(Method::Connect, connect);
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&answer), Some(code::NOT_REGISTERED));
    alice.register(&mut server, now);
    let request = alice.signed(Method::Connect, connect);
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&answer), Some(code::NOT_REGISTERED));

    let mut bob = Registrant::new(&mut server, now, "bob", BOB);
    bob.register(&mut server, now);
    let request = alice.signed(Method::Connect, connect);
    let notification = ask(&mut server, now, ALICE, &request);
    assert_eq!(notification.to, at(BOB));
    let message = Message::parse(&notification.payload).unwrap();
    assert!(message.is(Class::Request, Method::Notify));
    assert_eq!(message.nonce(), Some(&bob.cookie[..]));
    // A retransmission before the answer begins no second introduction.
    server.handle_datagram(now, 0, at(ALICE), &request);
    assert!(drain(&mut server).is_empty());
    // Only bob can answer the notification.
    let acknowledgement = Builder::success(&message).seal(&[2; 80]).finish();
    server.handle_datagram(now, 0, at("198.51.100.9:40000"), &acknowledgement);
    assert!(drain(&mut server).is_empty());
    let answer = ask(&mut server, now, BOB, &acknowledgement);
    assert_eq!(answer.to, at(ALICE));
    assert_eq!(server.stats().introduced, 1);
    // A lost answer is repeated; a second acknowledgement changes nothing.
    server.handle_datagram(now, 0, at(BOB), &acknowledgement);
    assert!(drain(&mut server).is_empty());
    assert_eq!(ask(&mut server, now, ALICE, &request), answer);
}

#[test]
fn each_datagram_is_counted_once() {
    let now = Instant::now();
    let message = |class, method| Builder::new(class, method, [5; 12]);
    let seal = message(Class::Success, Method::Notify).seal(&[2; 80]);
    let unknown = |method| Builder::request(method, [5; 12]).raw(Attribute::EvenPort, &[]);
    let register = || Builder::request(Method::Register, [5; 12]);
    let counted = |bytes: &[u8]| {
        let mut server = whole_server(now);
        server.handle_datagram(now, 0, at(ALICE), bytes);
        let stats = server.stats();
        let all = [
            ("bindings", stats.bindings),
            ("refused", stats.refused),
            ("too short", stats.too_short),
            ("garbage", stats.garbage),
            ("ignored", stats.ignored),
        ];
        let counted = all.into_iter().filter(|(_, count)| *count > 0);
        (counted.collect(), drain(&mut server).len())
    };
    for (what, bytes, counter, answers) in [
        (
            "binding",
            stun::binding_request([5; 12], None),
            "bindings",
            1,
        ),
        (
            "binding indication",
            message(Class::Indication, Method::Binding).finish(),
            "ignored",
            0,
        ),
        (
            "binding success",
            message(Class::Success, Method::Binding).finish(),
            "ignored",
            0,
        ),
        (
            "register error",
            message(Class::Error, Method::Register).finish(),
            "ignored",
            0,
        ),
        (
            "notify request",
            message(Class::Request, Method::Notify).finish(),
            "ignored",
            0,
        ),
        ("an answer to no notify", seal.finish(), "ignored", 0),
        (
            "unknown attribute",
            unknown(Method::Binding).finish(),
            "refused",
            1,
        ),
        (
            "the same of ours",
            unknown(Method::Register).pad_to(300).finish(),
            "refused",
            1,
        ),
        (
            "the same, short",
            unknown(Method::Register).finish(),
            "too short",
            0,
        ),
        (
            "without a cookie",
            register().pad_to(300).finish(),
            "refused",
            1,
        ),
        ("the same, short", register().finish(), "too short", 0),
        ("no message", b"no message at all".to_vec(), "garbage", 0),
    ] {
        let expected: (Vec<(&str, u64)>, usize) = (vec![(counter, 1)], answers);
        assert_eq!(counted(&bytes), expected, "{what}");
    }
}

#[test]
fn an_owner_whose_clock_went_back_is_told_the_last_sequence_and_nobody_else_is() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    alice.sequence = 100;
    assert_eq!(alice.register(&mut server, now), None);
    let mut refusal = |alice: &mut Registrant, sequence| {
        alice.sequence = sequence;
        let request = alice.register_request(90);
        let answer = ask(&mut server, now, alice.from, &request).payload;
        let answer = Message::parse(&answer).unwrap();
        (answer.error(), answer.sequence())
    };
    assert_eq!(refusal(&mut alice, 3), (Some(code::FORBIDDEN), Some(101)));
    assert_eq!(
        refusal(&mut alice, 101),
        (None, None),
        "she goes on above it"
    );
    alice.key = Identity::from_secret(&[9; 32]);
    assert_eq!(refusal(&mut alice, 3), (Some(code::NAME_TAKEN), None));
}

#[test]
fn a_flood_with_forged_sources_does_not_limit_a_client_that_has_proved_its_own() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let request = stun::binding_request([3; 12], None);
    for n in 0..2 * RATE {
        let forged = format!("203.0.113.{}:{}", n % 256, 1024 + n);
        server.handle_datagram(now, 0, at(&forged), &request);
    }
    drain(&mut server);
    assert!(server.stats().limited > 0);
    assert_eq!(alice.register(&mut server, now), None);
    // A cookie of another's is worth as little as none.
    let stolen = Builder::request(Method::Binding, [4; 12]).nonce(&alice.cookie);
    server.handle_datagram(now, 0, at(BOB), &stolen.finish());
    assert_eq!(drain(&mut server).len(), 0);
    // And who has one is limited, too.
    let own = Builder::request(Method::Binding, [5; 12]).nonce(&alice.cookie);
    let own = own.finish();
    for _ in 0..2 * RATE {
        server.handle_datagram(now, 0, at(ALICE), &own);
    }
    assert!(drain(&mut server).len() <= RATE as usize);
}

#[test]
fn a_flood_from_one_network_does_not_limit_another() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let request = stun::binding_request([3; 12], None);
    for _ in 0..2 * RATE {
        server.handle_datagram(now, 0, at(ALICE), &request);
    }
    assert_eq!(drain(&mut server).len(), RATE as usize);
    assert_eq!(server.stats().limited, u64::from(RATE));
    server.handle_datagram(now, 0, at("198.51.100.1:5"), &request);
    assert_eq!(drain(&mut server).len(), 1);
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let attributes = vec![
        Attribute::Name,
        Attribute::PeerName,
        Attribute::PublicKey,
        Attribute::Sequence,
        Attribute::Nonce,
        Attribute::Seal,
        Attribute::Signature,
        Attribute::Work,
        Attribute::Rotation,
        Attribute::Lifetime,
        Attribute::ChangeRequest,
        Attribute::ResponsePort,
        Attribute::Bounced,
        Attribute::Fresh,
        Attribute::ServerKey,
        Attribute::EvenPort, // required, and unknown to all but the relay
    ];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(b"alice".to_vec()),
        Just(vec![0; 64]),
        Just(vec![0; 32]),
    ];
    any_message(attributes, value).prop_map(Builder::finish)
}

proptest! {
    /// Whatever a client without a cookie sends: no panic, no state, no packet to
    /// another address, and no answer longer than the request, except the minimal
    /// answers of plain STUN.
    #[test]
    fn a_client_without_a_cookie_gets_a_short_answer_and_leaves_no_state(requests in proptest::collection::vec(any_request(), 1..6)) {
        let now = Instant::now();
        let mut server = whole_server(now);
        for request in requests {
            let binding = Message::parse(&request).is_ok_and(|m| m.method() == Method::Binding);
            let sender = server.handle_datagram(now, 0, at(ALICE), &request);
            prop_assert_eq!(sender, Sender::Unproved);
            for answer in drain(&mut server) {
                prop_assert_eq!(answer.to.ip(), at(ALICE).ip());
                prop_assert!(binding || answer.payload.len() <= request.len());
                prop_assert!(answer.payload.len() <= 96);
            }
        }
        prop_assert_eq!(server.registered(now), 0);
        prop_assert_eq!(server.poll_timeout(), None);
    }

    #[test]
    fn what_is_not_stun_is_counted_as_garbage(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(Message::parse(&bytes).is_err());
        let now = Instant::now();
        let mut server = whole_server(now);
        server.handle_datagram(now, 0, at(ALICE), &bytes);
        prop_assert!(server.poll_transmit().is_none());
        prop_assert_eq!(server.stats().garbage, 1);
    }
}

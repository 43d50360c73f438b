//! An offer is for now: sent again by anybody, also by the rendezvous, it comes to
//! nothing; and a callee that takes no old offer is found by its callers all the same.

mod wire;

use std::time::Duration;

use peer_proto::client::Event;
use session::proof::Subject;
use stun::{Builder, Message, Method, code};
use wire::{ALICE, BOB, Wire, client, server_key};

/// A notification that the rendezvous makes of another: everything is as it was but
/// the transaction.
fn again(notification: &[u8], transaction: u8) -> Vec<u8> {
    let message = Message::parse(notification).unwrap();
    Builder::request(Method::Notify, [transaction; 12])
        .nonce(message.nonce().unwrap())
        .name(message.name().unwrap())
        .peer_name(message.peer_name().unwrap())
        .public_key(&message.public_key().unwrap())
        .peer_address(message.peer_address().unwrap())
        .fresh(&message.fresh().unwrap())
        .seal(message.seal().unwrap())
        .server_key(&server_key().public())
        .sign(|part| Subject::Notification.sign(&server_key(), part))
        .finish()
}

#[test]
fn a_plain_call_takes_one_request_for_the_key_and_one_for_the_introduction() {
    let mut wire = Wire::new();
    wire.exchange();
    let before = wire.requests[ALICE].len();
    assert_eq!(before, 2, "the cookie, and the registration");
    let callee = wire.look_up();
    wire.connect(callee);
    let introduced = wire.accept().unwrap();
    assert_eq!(introduced.payload, b"alice's candidates");
    assert!(wire.is_introduced());
    let methods: Vec<Method> = wire.requests[ALICE][before..]
        .iter()
        .map(|request| Message::parse(request).unwrap().method())
        .collect();
    assert_eq!(methods, [Method::Lookup, Method::Connect]);
}

#[test]
fn a_retransmission_is_answered_again_and_a_replay_is_not() {
    let mut wire = Wire::new();
    wire.exchange();
    let callee = wire.look_up();
    wire.connect(callee);
    assert!(wire.accept().is_some());
    let notification = wire.notified[BOB][0].clone();
    // The server has not received the answer: it is the same once more.
    let first = wire.inject(BOB, &notification);
    assert_eq!(first.len(), 1);
    assert_eq!(wire.inject(BOB, &notification), first);
    // The rendezvous makes a new invitation of it.
    assert!(wire.inject(BOB, &again(&notification, 1)).is_empty());
    assert!(wire.invitation().is_none());
    // Somebody has kept it.
    wire.pass(Duration::from_secs(5));
    assert!(wire.inject(BOB, &notification).is_empty());
    // The nonce is no longer valid, and bob has forgotten the transaction.
    for n in 2..40 {
        wire.pass(Duration::from_secs(2));
        assert!(wire.inject(BOB, &again(&notification, n)).is_empty(), "{n}");
    }
    assert!(wire.inject(BOB, &notification).is_empty());
    assert!(wire.invitation().is_none());
}

#[test]
fn an_offer_that_bob_has_never_seen_is_worth_nothing_once_its_nonce_is_old() {
    let mut wire = Wire::new();
    wire.exchange();
    let callee = wire.look_up();
    // The rendezvous keeps alice's offer to itself.
    wire.connect(callee);
    let kept = wire.notified[BOB].remove(0);
    let mut other = Wire::new();
    other.exchange();
    assert_eq!(
        other.inject(BOB, &kept),
        Vec::<Vec<u8>>::new(),
        "control: it comes to a bob who has not seen it"
    );
    assert!(other.invitation().is_some(), "control: in time");
    let mut other = Wire::new();
    other.exchange();
    other.pass(Duration::from_secs(61));
    assert!(other.inject(BOB, &kept).is_empty());
    assert!(other.invitation().is_none());
}

#[test]
fn a_callee_that_restarts_after_it_was_looked_up_is_looked_up_again_at_once() {
    let mut wire = Wire::new();
    wire.exchange();
    let callee = wire.look_up();
    let known = Some(server_key().public());
    wire.clients[BOB] = client(BOB, wire.now, known, 3);
    wire.exchange();
    wire.connect(callee); // No time passes.
    assert!(wire.accept().is_some());
    assert!(wire.is_introduced());
    let unavailable = |event: &Event| matches!(event, Event::PeerUnavailable { .. });
    assert!(!wire.has(ALICE, unavailable));
}

#[test]
fn a_callee_with_another_key_by_then_is_reported_and_gets_nothing() {
    let mut wire = Wire::new();
    wire.exchange();
    let mut callee = wire.look_up();
    callee.fresh = [1; 8];
    callee.key = wire::eve().public();
    wire.connect(callee);
    let keys = wire.events[ALICE].iter().filter_map(|event| match event {
        Event::Found { callee, .. } => Some(callee.key),
        _ => None,
    });
    let bob = wire::identity(BOB).public();
    assert_eq!(keys.collect::<Vec<_>>(), [bob, bob]);
    assert!(wire.invitation().is_none());
}

#[test]
fn a_caller_that_was_busy_for_long_looks_up_again_before_it_calls() {
    let mut wire = Wire::new();
    wire.exchange();
    let callee = wire.look_up();
    wire.pass(Duration::from_secs(100));
    let before = wire.requests[ALICE].len();
    wire.connect(callee);
    assert!(wire.accept().is_some());
    assert!(wire.is_introduced());
    let method = |request: &Vec<u8>| Message::parse(request).unwrap().method();
    let methods: Vec<Method> = wire.requests[ALICE][before..].iter().map(method).collect();
    assert_eq!(methods, [Method::Lookup, Method::Connect]);
}

#[test]
fn a_bob_who_has_taken_many_offers_takes_new_ones_under_another_nonce() {
    let mut wire = Wire::new();
    wire.exchange();
    let refused = |event: &Event| matches!(event, Event::PeerUnavailable { code, .. } if *code != code::PEER_SILENT);
    for n in 0..600 {
        let callee = wire.look_up();
        wire.connect(callee);
        assert!(wire.accept().is_some(), "{n}");
        assert!(wire.is_introduced(), "{n}");
        assert!(!wire.has(ALICE, refused), "{n}");
        wire.events[ALICE].clear();
        if n % 10 == 0 {
            wire.pass(Duration::from_millis(50));
        }
    }
}

#[test]
fn the_longest_offer_still_fits_into_a_notification() {
    let mut wire = Wire::new();
    wire.exchange();
    let callee = wire.look_up();
    let payload = vec![7; 700];
    wire.clients[ALICE].connect(wire.now, "bob", callee, payload);
    wire.exchange();
    assert!(wire.accept().is_some());
    assert!(wire.is_introduced());
    let longest = wire.requests[ALICE].iter().map(Vec::len).max();
    assert!(longest.unwrap() <= stun::MAX_DATAGRAM);
}

//! Bindings that a driver stores: what waits for it, and what a server is given back.

mod client;
mod registrant;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use client::{ALICE, BOB, at, drain, error_of, server};
use registrant::Registrant;
use rendezvous_proto::bindings::{Binding, Change};
use rendezvous_proto::server::Server;
use sansio::Transmit;
use session::identity::Identity;
use stun::{Builder, Class, Message, Method, code};

const HOUR: Duration = Duration::from_secs(3600);

/// How long a name stays bound when its registration has ended.
const HOLD: Duration = Duration::from_secs(24 * 3600);

fn durable(now: Instant, bindings: impl IntoIterator<Item = Binding>) -> Server {
    server(now, &["203.0.113.1:8848", "203.0.113.1:8849"]).with_bindings(now, bindings)
}

fn send(server: &mut Server, now: Instant, from: &str, request: &[u8]) -> Vec<Transmit> {
    server.handle_datagram(now, 0, at(from), request);
    drain(server)
}

fn changes(server: &mut Server) -> Vec<Change> {
    std::iter::from_fn(|| server.poll_change()).collect()
}

/// Registers, and stores what it changes.
fn register(server: &mut Server, now: Instant, who: &mut Registrant) -> (Vec<Change>, Option<u16>) {
    let request = who.register_request(90);
    let mut answers = send(server, now, who.from, &request);
    let changes = changes(server);
    server.changes_stored(changes.len() as u64);
    answers.extend(drain(server));
    assert_eq!(answers.len(), 1, "{answers:?}");
    (changes, error_of(&answers[0]))
}

fn bound(change: &Change) -> &Binding {
    match change {
        Change::Bound(binding) => binding,
        Change::Forgotten(name) => panic!("{name} is forgotten"),
    }
}

#[test]
fn nobody_is_told_of_a_name_before_it_is_stored() {
    let now = Instant::now();
    let mut server = durable(now, []);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let bob = Registrant::new(&mut server, now, "bob", BOB);
    let request = alice.register_request(90);
    assert_eq!(send(&mut server, now, ALICE, &request), []);
    let changes = changes(&mut server);
    assert_eq!(changes.len(), 1);
    let binding = bound(&changes[0]);
    assert_eq!((&*binding.name, binding.key), ("alice", alice.key.public()));
    assert_eq!(binding.network, at(ALICE).ip());
    assert!(binding.until >= now + HOLD);

    // Neither by a retransmission, nor by somebody who looks the name up.
    assert_eq!(send(&mut server, now, ALICE, &request), []);
    let lookup = Builder::request(Method::Lookup, [5; 12])
        .nonce(&bob.cookie)
        .peer_name("alice")
        .pad_to(300)
        .finish();
    assert_eq!(send(&mut server, now, BOB, &lookup), []);
    // Others are served meanwhile.
    let binding = stun::binding_request([6; 12], None);
    assert_eq!(send(&mut server, now, BOB, &binding).len(), 1);

    server.changes_stored(1);
    let answers = drain(&mut server);
    let told: Vec<_> = answers.iter().map(|answer| answer.to).collect();
    assert_eq!(told, [at(ALICE), at(ALICE), at(BOB)]);
    for answer in &answers {
        assert_eq!(
            Message::parse(&answer.payload).unwrap().class(),
            Class::Success
        );
    }
}

#[test]
fn an_answer_waits_for_what_was_changed_before_it_and_for_nothing_later() {
    let now = Instant::now();
    let mut server = durable(now, []);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let mut bob = Registrant::new(&mut server, now, "bob", BOB);
    for who in [&mut alice, &mut bob] {
        let request = who.register_request(90);
        assert_eq!(send(&mut server, now, who.from, &request), []);
    }
    for who in [ALICE, BOB] {
        server.changes_stored(1);
        let answers = drain(&mut server);
        assert_eq!((answers.len(), answers[0].to), (1, at(who)));
    }
}

#[test]
fn a_refresh_is_stored_once_an_hour_and_the_name_is_bound_for_as_long_as_it_has_to_be() {
    let start = Instant::now();
    let mut server = durable(start, []);
    let mut alice = Registrant::new(&mut server, start, "alice", ALICE);
    let (mut stored, mut until) = (0, start);
    for minute in 0..300 {
        let now = start + Duration::from_secs(60 * minute);
        // A cookie does not last for hours.
        alice.cookie = Registrant::new(&mut server, now, "alice", ALICE).cookie;
        let (changes, refused) = register(&mut server, now, &mut alice);
        assert_eq!(refused, None);
        for change in &changes {
            (stored, until) = (stored + 1, bound(change).until);
        }
        assert!(until >= now + HOLD, "minute {minute}");
    }
    assert_eq!(stored, 5);
}

#[test]
fn a_name_that_was_stored_is_its_owners_and_not_registered() {
    let now = Instant::now();
    let mut before = durable(now, []);
    let mut alice = Registrant::new(&mut before, now, "alice", ALICE);
    let (changes, _) = register(&mut before, now, &mut alice);
    let stored = bound(&changes[0]).clone();

    let mut after = durable(now, [stored]);
    assert_eq!(after.registered(now), 0);
    let mut thief = Registrant::new(&mut after, now, "alice", BOB);
    thief.key = Identity::from_secret(&[9; 32]);
    let (changes, refused) = register(&mut after, now, &mut thief);
    assert_eq!((changes, refused), (vec![], Some(code::NAME_TAKEN)));
    let lookup = Builder::request(Method::Lookup, [5; 12])
        .nonce(&thief.cookie)
        .peer_name("alice")
        .pad_to(300)
        .finish();
    let answers = send(&mut after, now, BOB, &lookup);
    assert_eq!(error_of(&answers[0]), Some(code::NOT_REGISTERED));
    alice.cookie = Registrant::new(&mut after, now, "alice", ALICE).cookie;
    let (changes, refused) = register(&mut after, now, &mut alice);
    assert_eq!((changes, refused), (vec![], None), "it is stored already");
    assert_eq!(after.registered(now), 1);

    // For a day after the restart, and no longer.
    let mut later = durable(
        now,
        [Binding {
            name: "alice".into(),
            key: [7; 32],
            rotation: None,
            network: at(ALICE).ip(),
            until: now + HOUR,
        }],
    );
    let over = now + HOLD;
    let mut next = Registrant::new(&mut later, over, "alice", BOB);
    let (changes, refused) = register(&mut later, over, &mut next);
    assert_eq!(refused, None);
    assert_eq!(changes[0], Change::Forgotten("alice".into()));
    assert_eq!(bound(&changes[1]).key, next.key.public());
}

#[test]
fn names_can_be_reserved_and_released_while_the_server_runs() {
    let now = Instant::now();
    let mut server = durable(now, []);
    let mut thief = Registrant::new(&mut server, now, "alice", BOB);
    thief.key = Identity::from_secret(&[9; 32]);
    assert_eq!(register(&mut server, now, &mut thief).1, None);

    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let names = [("alice".to_owned(), alice.key.public())];
    server.set_reserved(now, names.into());
    let refused = register(&mut server, now, &mut thief).1;
    assert_eq!(
        refused,
        Some(code::NAME_TAKEN),
        "the operator has reserved it"
    );
    assert_eq!(register(&mut server, now, &mut alice).1, None);

    server.set_reserved(now, BTreeMap::new());
    let changes = changes(&mut server);
    assert_eq!(bound(&changes[0]).key, alice.key.public(), "she keeps it");
    server.changes_stored(1);
    let refused = register(&mut server, now, &mut thief).1;
    assert_eq!(refused, Some(code::NAME_TAKEN));
    assert_eq!(register(&mut server, now, &mut alice), (vec![], None));
}

#[test]
fn an_owner_stays_registered_when_its_name_is_reserved_and_released() {
    let now = Instant::now();
    let mut server = durable(now, []);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    assert_eq!(register(&mut server, now, &mut alice).1, None);

    let names = [("alice".to_owned(), alice.key.public())];
    for _ in 0..2 {
        server.set_reserved(now, names.clone().into());
        assert_eq!(server.registered(now), 1);
    }
    let made = changes(&mut server);
    assert_eq!(
        made,
        [Change::Forgotten("alice".into())],
        "the operator's file has it"
    );
    server.changes_stored(1);
    assert_eq!(register(&mut server, now, &mut alice), (vec![], None));

    server.set_reserved(now, BTreeMap::new());
    assert_eq!(server.registered(now), 1);
    let made = changes(&mut server);
    assert_eq!(bound(&made[0]).key, alice.key.public());
    assert_eq!(made.len(), 1);
}

#[test]
fn whoever_loses_its_name_to_a_reservation_takes_no_room() {
    let now = Instant::now();
    let mut server = durable(now, []);
    let mut thief = Registrant::new(&mut server, now, "alice", BOB);
    thief.key = Identity::from_secret(&[9; 32]);
    assert_eq!(register(&mut server, now, &mut thief).1, None);
    let alice = Identity::from_secret(&[5; 32]);
    server.set_reserved(now, [("alice".to_owned(), alice.public())].into());
    let made = changes(&mut server);
    assert_eq!(made, [Change::Forgotten("alice".into())]);
    assert_eq!(server.registered(now), 0);
    server.changes_stored(1);
    // Nobody has taken it up: it is free again.
    server.set_reserved(now, BTreeMap::new());
    let mut next = Registrant::new(&mut server, now, "alice", ALICE);
    assert_eq!(register(&mut server, now, &mut next).1, None);
}

#[test]
fn a_reserved_name_keeps_the_key_that_it_is_reserved_for() {
    let now = Instant::now();
    let reserved = Identity::from_secret(&[5; 32]);
    let stored = Binding {
        name: "alice".into(),
        key: [7; 32],
        rotation: None,
        network: at(ALICE).ip(),
        until: now + HOUR,
    };
    let mut server = server(now, &["203.0.113.1:8848", "203.0.113.1:8849"]);
    server.set_reserved(now, [("alice".to_owned(), reserved.public())].into());
    let mut server = server.with_bindings(now, [stored]);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    alice.key = reserved;
    let (changes, refused) = register(&mut server, now, &mut alice);
    assert_eq!(
        (changes, refused),
        (vec![], None),
        "the operator's file has it"
    );
}

//! The rendezvous against those who mean it no good.

mod asking;
mod strangers;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use asking::{ALICE, BOB, ask, at, drain, error_of, whole_server};
use proptest::prelude::*;
use strangers::any_message;
use traverse::identity::Identity;
use traverse::introduce::server::{RATE, Server};
use traverse::io::Transmit;
use wire::{Attribute, Builder, Class, Message, Method, code};

const ELSEWHERE: &str = "203.0.113.33:50000";

struct Someone {
    name: &'static str,
    from: &'static str,
    key: Identity,
    sequence: u64,
    cookie: Vec<u8>,
}

impl Someone {
    fn new(server: &mut Server, now: Instant, name: &'static str, from: &'static str) -> Self {
        let hello = Builder::request(Method::Register, [1; 12])
            .pad_to(300)
            .finish();
        let answer = ask(server, now, from, &hello);
        let answer = Message::parse(&answer.payload).unwrap();
        assert_eq!(answer.error(), Some(code::UNAUTHENTICATED));
        Someone {
            name,
            from,
            key: Identity::from_secret(&[name.len() as u8; 32]),
            sequence: 0,
            cookie: answer.nonce().unwrap().to_vec(),
        }
    }

    fn signed(&mut self, method: Method, fill: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
        self.sequence += 1;
        let request = Builder::request(method, [self.sequence as u8; 12])
            .nonce(&self.cookie)
            .name(self.name)
            .public_key(&self.key.public())
            .sequence(self.sequence);
        fill(request)
            .sign(|part| self.key.sign(part))
            .pad_to(640)
            .finish()
    }

    /// The same person behind another address, with a cookie of that one.
    fn moves(&mut self, server: &mut Server, now: Instant, to: &'static str) {
        let there = Someone::new(server, now, self.name, to);
        (self.from, self.cookie) = (there.from, there.cookie);
    }

    /// How many packets a registration brings about.
    fn registers(&mut self, server: &mut Server, now: Instant) -> usize {
        let request = self.signed(Method::Register, |request| request.lifetime(90));
        server.handle_input(now, 0, at(self.from), &request);
        drain(server).len()
    }

    fn register(&mut self, server: &mut Server, now: Instant) -> Option<u16> {
        let request = self.signed(Method::Register, |request| request.lifetime(90));
        error_of(&ask(server, now, self.from, &request))
    }
}

#[test]
fn no_cookie_no_state() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Someone::new(&mut server, now, "alice", ALICE);
    assert_eq!(server.registered(now), 0);
    // The same bytes from another address: the cookie is not of that one.
    let request = alice.signed(Method::Register, |request| request);
    let answer = ask(&mut server, now, BOB, &request);
    assert_eq!(error_of(&answer), Some(code::STALE_NONCE));
    assert_eq!(server.registered(now), 0);
    assert!(!server.remembers(0, at(BOB)));
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&answer), None);
    assert_eq!(server.registered(now), 1);
    assert!(server.remembers(0, at(ALICE)));
    // What else comes from her address may be anybody's.
    server.handle_input(now, 0, at(ALICE), b"no message");
    assert!(!server.remembers(0, at(ALICE)));
}

#[test]
fn a_name_is_bound_to_its_key_and_requests_are_not_replayed() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Someone::new(&mut server, now, "alice", ALICE);
    let request = alice.signed(Method::Register, |request| request);
    assert_eq!(error_of(&ask(&mut server, now, ALICE, &request)), None);
    // Its answer may have been lost: the same once more changes nothing.
    assert_eq!(error_of(&ask(&mut server, now, ALICE, &request)), None);
    alice.register(&mut server, now);
    let replayed = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&replayed), Some(code::FORBIDDEN));

    let mut thief = Someone::new(&mut server, now, "alice", BOB);
    thief.key = Identity::from_secret(&[66; 32]);
    assert_eq!(thief.register(&mut server, now), Some(code::NAME_TAKEN));
    // Nor can it log her off, nor speak for her with her public key.
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
fn only_the_registered_are_introduced_and_only_to_the_registered() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Someone::new(&mut server, now, "alice", ALICE);
    let connect = |request: Builder| request.peer_name("bob").seal(&[1; 100]);
    let request = alice.signed(Method::Connect, connect);
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&answer), Some(code::NOT_REGISTERED));
    alice.register(&mut server, now);
    let request = alice.signed(Method::Connect, connect);
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&answer), Some(code::NOT_REGISTERED));

    let mut bob = Someone::new(&mut server, now, "bob", BOB);
    bob.register(&mut server, now);
    let request = alice.signed(Method::Connect, connect);
    let notification = ask(&mut server, now, ALICE, &request);
    assert_eq!(notification.to, at(BOB));
    let message = Message::parse(&notification.payload).unwrap();
    assert!(message.is(Class::Request, Method::Notify));
    assert_eq!(message.nonce(), Some(&bob.cookie[..]));
    // Asked again before the answer: no second introduction.
    server.handle_input(now, 0, at(ALICE), &request);
    assert!(drain(&mut server).is_empty());
    // Only bob can answer for bob.
    let acknowledgement = Builder::success(&message).seal(&[2; 80]).finish();
    server.handle_input(now, 0, at("198.51.100.9:40000"), &acknowledgement);
    assert!(drain(&mut server).is_empty());
    let answer = ask(&mut server, now, BOB, &acknowledgement);
    assert_eq!(answer.to, at(ALICE));
    assert_eq!(server.stats().introduced, 1);
    // A lost answer is repeated, and a second acknowledgement changes nothing.
    server.handle_input(now, 0, at(BOB), &acknowledgement);
    assert!(drain(&mut server).is_empty());
    assert_eq!(ask(&mut server, now, ALICE, &request), answer);
}

/// alice asks for bob, who has a new address before he has heard of it.
fn asked_for_and_moved(server: &mut Server, now: Instant) -> (Someone, Someone, Transmit) {
    let mut alice = Someone::new(server, now, "alice", ALICE);
    alice.register(server, now);
    let mut bob = Someone::new(server, now, "bob", BOB);
    bob.register(server, now);
    let request = alice.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    let lost = ask(server, now, ALICE, &request);
    assert_eq!(lost.to, at(BOB));
    bob.moves(server, now, ELSEWHERE);
    (alice, bob, lost)
}

#[test]
fn a_target_with_a_new_address_is_notified_there() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let (_, mut bob, lost) = asked_for_and_moved(&mut server, now);
    let now = now + Duration::from_millis(500);
    server.handle_timeout(now);
    drain(&mut server);
    let request = bob.signed(Method::Register, |r| r.lifetime(90));
    server.handle_input(now, 0, at(ELSEWHERE), &request);
    let sent = drain(&mut server);
    assert_eq!(sent.len(), 2, "an answer, and one notification: {sent:?}");
    assert!(sent.iter().all(|transmit| transmit.to == at(ELSEWHERE)));
    let again = Message::parse(&sent[1].payload).unwrap();
    assert!(again.is(Class::Request, Method::Notify));
    assert_eq!(again.nonce(), Some(&bob.cookie[..]), "of the new address");
    let lost = Message::parse(&lost.payload).unwrap();
    assert_eq!(again.transaction(), lost.transaction(), "told only once");
    assert_eq!(
        (again.name(), again.seal(), again.peer_address()),
        (lost.name(), lost.seal(), lost.peer_address())
    );
    // From now on bob's answer has to come from there, too.
    let acknowledgement = Builder::success(&again).seal(&[2; 80]).finish();
    server.handle_input(now, 0, at(BOB), &acknowledgement);
    assert!(drain(&mut server).is_empty());
    let answer = ask(&mut server, now, ELSEWHERE, &acknowledgement);
    assert_eq!(answer.to, at(ALICE));
    let answer = Message::parse(&answer.payload).unwrap();
    assert_eq!(answer.peer_address(), Some(at(ELSEWHERE)));
}

#[test]
fn a_notification_follows_its_target_once_and_no_longer_than_the_caller_waits() {
    let start = Instant::now();
    let mut server = whole_server(start);
    let (_, mut bob, _) = asked_for_and_moved(&mut server, start);
    let now = start + Duration::from_millis(2000);
    assert_eq!(bob.registers(&mut server, now), 2);
    assert_eq!(bob.registers(&mut server, now), 1, "a refresh");
    bob.moves(&mut server, now, BOB);
    assert_eq!(bob.registers(&mut server, now), 1, "once");
    let mut sent = Vec::new();
    for step in 0..=400 {
        let now = now + Duration::from_millis(step * 10);
        server.handle_timeout(now);
        let all = drain(&mut server).into_iter();
        sent.extend(all.map(|transmit| (transmit.to, (now - start).as_millis())));
    }
    let elsewhere = |after| (at(ELSEWHERE), after);
    let expected = [
        elsewhere(2100),
        elsewhere(2300),
        elsewhere(2600),
        (at(ALICE), 3000),
    ];
    assert_eq!(sent, expected);
    server.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn notifications_follow_nobody_else_and_none_who_leaves() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let (_, mut bob, _) = asked_for_and_moved(&mut server, now);
    let mut thief = Someone::new(&mut server, now, "bob", ELSEWHERE);
    thief.key = Identity::from_secret(&[66; 32]);
    assert_eq!(thief.register(&mut server, now), Some(code::NAME_TAKEN));
    // bob's signature with the cookie of an address that he is not at.
    let cookie = std::mem::replace(&mut bob.cookie, vec![7; 16]);
    assert_eq!(bob.register(&mut server, now), Some(code::STALE_NONCE));
    bob.cookie = cookie;
    let leave = bob.signed(Method::Register, |r| r.lifetime(0));
    assert_eq!(error_of(&ask(&mut server, now, ELSEWHERE, &leave)), None);
    let now = now + Duration::from_millis(100);
    server.handle_timeout(now);
    let to: Vec<SocketAddr> = drain(&mut server).iter().map(|sent| sent.to).collect();
    assert_eq!(to, [at(BOB)]);
}

/// alice has asked for bob, and one of them does something else before he has
/// heard of it: whom bob's registration elsewhere still tells him of.
fn told_elsewhere(
    before: impl FnOnce(&mut Server, Instant, &mut Someone, &mut Someone),
) -> (Vec<Option<String>>, Server) {
    let now = Instant::now();
    let mut server = whole_server(now);
    let (mut alice, mut bob, _) = asked_for_and_moved(&mut server, now);
    before(&mut server, now, &mut alice, &mut bob);
    let request = bob.signed(Method::Register, |r| r.lifetime(90));
    server.handle_input(now, 0, at(ELSEWHERE), &request);
    let sent = drain(&mut server);
    let told = sent.iter().filter_map(|transmit| {
        let message = Message::parse(&transmit.payload).unwrap();
        let notification = message.is(Class::Request, Method::Notify);
        notification.then(|| message.name().map(str::to_owned))
    });
    (told.collect(), server)
}

#[test]
fn nobody_is_told_of_a_caller_who_has_left() {
    let (told, _) = told_elsewhere(|_, _, _, _| {});
    assert_eq!(told, [Some("alice".into())], "control");
    let (told, mut server) = told_elsewhere(|server, now, alice, _| {
        let leave = alice.signed(Method::Register, |r| r.lifetime(0));
        assert_eq!(error_of(&ask(server, now, ALICE, &leave)), None);
    });
    assert_eq!(told, []);
    // Nor where he was, nor is she told that he is silent.
    server.handle_timeout(Instant::now() + Duration::from_secs(60));
    assert!(drain(&mut server).is_empty());
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn nobody_is_told_of_a_caller_who_is_elsewhere_now() {
    let (told, _) = told_elsewhere(|server, now, alice, _| {
        alice.moves(server, now, "203.0.113.17:50000");
        assert_eq!(alice.registers(server, now), 1);
    });
    assert_eq!(told, []);
}

#[test]
fn who_leaves_takes_nobody_elses_call_along() {
    let (told, _) = told_elsewhere(|server, now, _, _| {
        let mut carol = Someone::new(server, now, "carol", "198.51.100.9:40000");
        assert_eq!(carol.register(server, now), None);
        let leave = carol.signed(Method::Register, |r| r.lifetime(0));
        assert_eq!(error_of(&ask(server, now, carol.from, &leave)), None);
    });
    assert_eq!(told, [Some("alice".into())]);
}

#[test]
fn a_silent_target_is_asked_again_and_then_given_up() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Someone::new(&mut server, now, "alice", ALICE);
    alice.register(&mut server, now);
    let mut bob = Someone::new(&mut server, now, "bob", BOB);
    bob.register(&mut server, now);
    let request = alice.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    server.handle_input(now, 0, at(ALICE), &request);
    let mut to_bob = drain(&mut server).len();
    let mut told = None;
    for step in 1..=400 {
        let now = now + Duration::from_millis(step * 10);
        server.handle_timeout(now);
        for transmit in drain(&mut server) {
            if transmit.to == at(BOB) {
                to_bob += 1;
            } else {
                told = Some((step * 10, error_of(&transmit)));
            }
        }
    }
    assert_eq!((to_bob, told), (9, Some((3000, Some(code::PEER_SILENT)))));
    // Everything about it is forgotten in the end.
    server.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn everything_that_comes_is_counted_once() {
    let now = Instant::now();
    let message = |class, method| Builder::new(class, method, [5; 12]);
    let seal = message(Class::Success, Method::Notify).seal(&[2; 80]);
    let unknown = |method| Builder::request(method, [5; 12]).raw(Attribute::EvenPort, &[]);
    let register = || Builder::request(Method::Register, [5; 12]);
    let counted = |bytes: &[u8]| {
        let mut server = whole_server(now);
        server.handle_input(now, 0, at(ALICE), bytes);
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
            wire::binding_request([5; 12], None),
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
fn a_flood_from_one_neighbourhood_does_not_drown_another() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let request = wire::binding_request([3; 12], None);
    for _ in 0..2 * RATE {
        server.handle_input(now, 0, at(ALICE), &request);
    }
    assert_eq!(drain(&mut server).len(), RATE as usize);
    assert_eq!(server.stats().limited, u64::from(RATE));
    server.handle_input(now, 0, at("198.51.100.1:5"), &request);
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
        Attribute::Lifetime,
        Attribute::ChangeRequest,
        Attribute::ResponsePort,
        Attribute::Bounced,
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
    /// Whatever a stranger sends: no panic, no state, no packet to anybody
    /// else's address, and no answer longer than the request, but for the
    /// minimal answers of plain STUN.
    #[test]
    fn strangers_get_little(requests in proptest::collection::vec(any_request(), 1..6)) {
        let now = Instant::now();
        let mut server = whole_server(now);
        for request in requests {
            let binding = Message::parse(&request).is_ok_and(|m| m.method() == Method::Binding);
            server.handle_input(now, 0, at(ALICE), &request);
            prop_assert!(!server.remembers(0, at(ALICE)));
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
    fn garbage_is_counted(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assume!(Message::parse(&bytes).is_err());
        let now = Instant::now();
        let mut server = whole_server(now);
        server.handle_input(now, 0, at(ALICE), &bytes);
        prop_assert!(server.poll_transmit().is_none());
        prop_assert_eq!(server.stats().garbage, 1);
    }
}

//! How the rendezvous tells a target of a caller: where, how often, how long.

mod asking;
mod someone;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use asking::{ALICE, BOB, ask, at, drain, error_of, whole_server};
use rendezvous_proto::server::Server;
use sansio::{Protocol, Transmit};
use session::identity::Identity;
use someone::Someone;
use stun::{Builder, Class, Message, Method, code};

const ELSEWHERE: &str = "203.0.113.33:50000";

impl Someone {
    /// The same person behind another address, with a cookie of that one.
    fn moves(&mut self, server: &mut Server, now: Instant, to: &'static str) {
        let there = Someone::new(server, now, self.name, to);
        (self.from, self.cookie) = (there.from, there.cookie);
    }

    /// How many packets a registration brings about.
    fn registers(&mut self, server: &mut Server, now: Instant) -> usize {
        let request = self.signed(Method::Register, |request| request.lifetime(90));
        server.handle_datagram(now, 0, at(self.from), &request);
        drain(server).len()
    }
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
    server.handle_datagram(now, 0, at(ELSEWHERE), &request);
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
    server.handle_datagram(now, 0, at(BOB), &acknowledgement);
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
    server.handle_datagram(now, 0, at(ELSEWHERE), &request);
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
    server.handle_datagram(now, 0, at(ALICE), &request);
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

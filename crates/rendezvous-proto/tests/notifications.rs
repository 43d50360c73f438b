//! How the rendezvous notifies a callee: where, how often, for how long.

mod client;
mod registrant;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::{ALICE, BOB, ask, at, drain, error_of, whole_server};
use registrant::Registrant;
use rendezvous_proto::server::Server;
use sansio::{Protocol, Transmit};
use session::identity::Identity;
use stun::{Builder, Class, Message, Method, code};

const ELSEWHERE: &str = "203.0.113.33:50000";

impl Registrant {
    /// The same client at another address, with a cookie of that address.
    fn moves(&mut self, server: &mut Server, now: Instant, to: &'static str) {
        let there = Registrant::new(server, now, self.name, to);
        (self.from, self.cookie) = (there.from, there.cookie);
    }

    /// Registers, and returns the number of packets that the server sends.
    fn registers(&mut self, server: &mut Server, now: Instant) -> usize {
        let request = self.signed(Method::Register, |request| request.lifetime(90));
        server.handle_datagram(now, 0, at(self.from), &request);
        drain(server).len()
    }
}

/// alice asks for bob. The notification is lost: bob has a new address.
fn call_and_move(server: &mut Server, now: Instant) -> (Registrant, Registrant, Transmit) {
    let mut alice = Registrant::new(server, now, "alice", ALICE);
    alice.register(server, now);
    let mut bob = Registrant::new(server, now, "bob", BOB);
    bob.register(server, now);
    let request = alice.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    let lost = ask(server, now, ALICE, &request);
    assert_eq!(lost.to, at(BOB));
    bob.moves(server, now, ELSEWHERE);
    (alice, bob, lost)
}

#[test]
fn a_callee_with_a_new_address_is_notified_there() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let (_, mut bob, lost) = call_and_move(&mut server, now);
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
    assert_eq!(
        again.transaction(),
        lost.transaction(),
        "the same introduction"
    );
    assert_eq!(
        (again.name(), again.seal(), again.peer_address()),
        (lost.name(), lost.seal(), lost.peer_address())
    );
    // From now on bob's answer has to come from there.
    let acknowledgement = Builder::success(&again).seal(&[2; 80]).finish();
    server.handle_datagram(now, 0, at(BOB), &acknowledgement);
    assert!(drain(&mut server).is_empty());
    let answer = ask(&mut server, now, ELSEWHERE, &acknowledgement);
    assert_eq!(answer.to, at(ALICE));
    let answer = Message::parse(&answer.payload).unwrap();
    assert_eq!(answer.peer_address(), Some(at(ELSEWHERE)));
}

#[test]
fn a_notification_follows_its_callee_once_and_no_longer_than_the_caller_waits() {
    let start = Instant::now();
    let mut server = whole_server(start);
    let (_, mut bob, _) = call_and_move(&mut server, start);
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
fn a_notification_does_not_follow_another_key_another_address_or_a_callee_that_leaves() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let (_, mut bob, _) = call_and_move(&mut server, now);
    let mut thief = Registrant::new(&mut server, now, "bob", ELSEWHERE);
    thief.key = Identity::from_secret(&[66; 32]);
    assert_eq!(thief.register(&mut server, now), Some(code::NAME_TAKEN));
    // bob's signature, with a cookie of another address.
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

/// alice has asked for bob, whose notification is lost. Then `before` happens,
/// and bob registers elsewhere: the callers of whom he is notified there.
fn notified_elsewhere(
    before: impl FnOnce(&mut Server, Instant, &mut Registrant, &mut Registrant),
) -> (Vec<Option<String>>, Server) {
    let now = Instant::now();
    let mut server = whole_server(now);
    let (mut alice, mut bob, _) = call_and_move(&mut server, now);
    before(&mut server, now, &mut alice, &mut bob);
    let request = bob.signed(Method::Register, |r| r.lifetime(90));
    server.handle_datagram(now, 0, at(ELSEWHERE), &request);
    let sent = drain(&mut server);
    let callers = sent.iter().filter_map(|transmit| {
        let message = Message::parse(&transmit.payload).unwrap();
        let notification = message.is(Class::Request, Method::Notify);
        notification.then(|| message.name().map(str::to_owned))
    });
    (callers.collect(), server)
}

#[test]
fn a_caller_that_has_left_is_not_announced() {
    let (callers, _) = notified_elsewhere(|_, _, _, _| {});
    assert_eq!(callers, [Some("alice".into())], "control");
    let (callers, mut server) = notified_elsewhere(|server, now, alice, _| {
        let leave = alice.signed(Method::Register, |r| r.lifetime(0));
        assert_eq!(error_of(&ask(server, now, ALICE, &leave)), None);
    });
    assert_eq!(callers, []);
    // bob is not notified at his old address, and alice is not told that he is silent.
    server.handle_timeout(Instant::now() + Duration::from_secs(60));
    assert!(drain(&mut server).is_empty());
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn a_caller_that_has_moved_is_not_announced() {
    let (callers, _) = notified_elsewhere(|server, now, alice, _| {
        alice.moves(server, now, "203.0.113.17:50000");
        assert_eq!(alice.registers(server, now), 1);
    });
    assert_eq!(callers, []);
}

#[test]
fn a_client_that_leaves_ends_no_other_introduction() {
    let (callers, _) = notified_elsewhere(|server, now, _, _| {
        let mut carol = Registrant::new(server, now, "carol", "198.51.100.9:40000");
        assert_eq!(carol.register(server, now), None);
        let leave = carol.signed(Method::Register, |r| r.lifetime(0));
        assert_eq!(error_of(&ask(server, now, carol.from, &leave)), None);
    });
    assert_eq!(callers, [Some("alice".into())]);
}

#[test]
fn a_silent_callee_is_notified_nine_times_and_then_given_up() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    alice.register(&mut server, now);
    let mut bob = Registrant::new(&mut server, now, "bob", BOB);
    bob.register(&mut server, now);
    let request = alice.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    server.handle_datagram(now, 0, at(ALICE), &request);
    let mut to_bob = drain(&mut server).len();
    let mut answer = None;
    for step in 1..=400 {
        let now = now + Duration::from_millis(step * 10);
        server.handle_timeout(now);
        for transmit in drain(&mut server) {
            if transmit.to == at(BOB) {
                to_bob += 1;
            } else {
                answer = Some((step * 10, error_of(&transmit)));
            }
        }
    }
    assert_eq!((to_bob, answer), (9, Some((3000, Some(code::PEER_SILENT)))));
    // Everything about it is forgotten in the end.
    server.handle_timeout(now + Duration::from_secs(60));
    assert_eq!(server.poll_timeout(), None);
}

#[test]
fn a_callee_that_does_not_accept_tells_the_caller_why_at_once() {
    for refusal in [code::BUSY, code::USER_ASKED, code::FORBIDDEN] {
        let now = Instant::now();
        let mut server = whole_server(now);
        let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
        alice.register(&mut server, now);
        Registrant::new(&mut server, now, "bob", BOB).register(&mut server, now);
        let connect = |request: Builder| request.peer_name("bob").seal(&[1; 100]);
        let request = alice.signed(Method::Connect, connect);
        let notification = ask(&mut server, now, ALICE, &request);
        let notification = Message::parse(&notification.payload).unwrap();
        let answer = Builder::error(&notification, refusal).finish();
        let told = ask(&mut server, now, BOB, &answer);
        assert_eq!((told.to, error_of(&told)), (at(ALICE), Some(refusal)));
        assert!(told.payload.len() <= request.len());
        // bob is not notified again, and alice's next request begins anew.
        server.handle_timeout(now + Duration::from_secs(1));
        assert!(drain(&mut server).is_empty());
        let again = alice.signed(Method::Connect, connect);
        assert_eq!(ask(&mut server, now, ALICE, &again).to, at(BOB));
    }
}

#[test]
fn the_answer_is_not_sent_again_for_a_shorter_request() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    alice.register(&mut server, now);
    let mut bob = Registrant::new(&mut server, now, "bob", BOB);
    bob.register(&mut server, now);
    let request = alice.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    let notify = ask(&mut server, now, ALICE, &request).payload;
    let notify = Message::parse(&notify).unwrap();
    let acknowledgement = Builder::success(&notify).seal(&[2; 80]).finish();
    let answer = ask(&mut server, now, BOB, &acknowledgement);
    assert_eq!(
        ask(&mut server, now, ALICE, &request),
        answer,
        "it was lost"
    );
    let transaction = Message::parse(&request).unwrap().transaction();
    let short = Builder::request(Method::Connect, transaction).finish();
    server.handle_datagram(now, 0, at(ALICE), &short);
    assert!(drain(&mut server).is_empty());
}

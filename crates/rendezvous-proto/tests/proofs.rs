//! What the server proves by its own key, and to whom.

mod client;
mod registrant;

use std::time::{Duration, Instant};

use client::{ALICE, BOB, ask, at, drain, whole_server};
use registrant::{FRESH, Registrant};
use rendezvous_proto::server::Server;
use sansio::Protocol;
use session::identity::Identity;
use session::proof::Subject;
use stun::{Builder, Class, Message, Method, code};

fn key() -> Identity {
    Identity::from_secret(&[77; 32])
}

fn server(now: Instant) -> Server {
    whole_server(now).with_key(key())
}

/// Whether the server's key has signed that message as the answer to that request.
fn is_proved(answer: &[u8], request: &[u8]) -> bool {
    let answer = Message::parse(answer).unwrap();
    let signed = answer.signed();
    let proved = signed.is_some_and(|(part, signature)| {
        Subject::Answer(request).is_signed(&key().public(), &part, &signature)
    });
    assert_eq!(answer.server_key().is_some(), proved);
    proved
}

#[test]
fn an_answer_is_proved_to_the_request_that_asks_and_to_no_other() {
    let now = Instant::now();
    let mut server = server(now);
    let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
    let mut bob = Registrant::new(&mut server, now, "bob", BOB);
    bob.register(&mut server, now);
    let lookup = |name: &str, cookie: &[u8]| {
        let request = Builder::request(Method::Lookup, [3; 12]).nonce(cookie);
        request.peer_name(name).ask_proof().pad_to(640).finish()
    };
    let register = |alice: &mut Registrant, ask: bool| {
        alice.signed(Method::Register, |request| match ask {
            true => request.lifetime(90).ask_proof(),
            false => request.lifetime(90),
        })
    };
    let requests = [
        (register(&mut alice, true), None),
        (lookup("bob", &alice.cookie), None),
        (lookup("carol", &alice.cookie), Some(code::NOT_REGISTERED)),
        (
            alice.signed(Method::Connect, |r| r.peer_name("bob").ask_proof()),
            Some(code::BAD_REQUEST),
        ),
    ];
    for (request, error) in requests {
        let answer = ask(&mut server, now, ALICE, &request).payload;
        assert_eq!(Message::parse(&answer).unwrap().error(), error);
        assert!(is_proved(&answer, &request), "{error:?}");
        assert!(answer.len() <= request.len());
        // Another's request with the same transaction id gets no answer that
        // would pass for this one's.
        let other = lookup("mallory", &alice.cookie);
        let other = ask(&mut server, now, ALICE, &other).payload;
        assert!(!is_proved_for(&other, &request));
    }
    let request = register(&mut alice, false);
    let answer = ask(&mut server, now, ALICE, &request).payload;
    assert!(!is_proved(&answer, &request), "nobody has asked");
    // What was looked up is what bob has registered.
    let answer = ask(&mut server, now, ALICE, &lookup("bob", &alice.cookie)).payload;
    let answer = Message::parse(&answer).unwrap();
    let expected = (Some(bob.key.public()), Some(FRESH));
    assert_eq!((answer.public_key(), answer.fresh()), expected);
}

fn is_proved_for(answer: &[u8], request: &[u8]) -> bool {
    let (part, signature) = Message::parse(answer).unwrap().signed().unwrap();
    Subject::Answer(request).is_signed(&key().public(), &part, &signature)
}

#[test]
fn a_client_without_a_cookie_is_not_worth_a_signature() {
    let now = Instant::now();
    let mut server = server(now);
    let alice = Registrant::new(&mut server, now, "alice", ALICE);
    let ask_with = |cookie: Option<&[u8]>, method| {
        let request = Builder::request(method, [3; 12]);
        let request = cookie.into_iter().fold(request, Builder::nonce);
        request.peer_name("bob").ask_proof().pad_to(640).finish()
    };
    for method in [
        Method::Register,
        Method::Lookup,
        Method::Connect,
        Method::Probe,
    ] {
        for (from, cookie) in [(ALICE, None), (BOB, Some(&alice.cookie[..]))] {
            let request = ask_with(cookie, method);
            let answer = ask(&mut server, now, from, &request).payload;
            assert!(Message::parse(&answer).unwrap().error().is_some());
            assert!(!is_proved(&answer, &request), "{method:?} {cookie:?}");
        }
    }
    let request = ask_with(Some(&alice.cookie), Method::Lookup);
    let answer = ask(&mut server, now, ALICE, &request).payload;
    assert!(is_proved(&answer, &request), "control");
}

#[test]
fn a_notification_is_proved_to_a_callee_that_has_asked_and_so_are_the_callers_answers() {
    let now = Instant::now();
    for asks in [true, false] {
        let mut server = server(now);
        let mut alice = Registrant::new(&mut server, now, "alice", ALICE);
        alice.register(&mut server, now);
        let mut bob = Registrant::new(&mut server, now, "bob", BOB);
        let request = bob.signed(Method::Register, |request| match asks {
            true => request.ask_proof(),
            false => request,
        });
        ask(&mut server, now, BOB, &request);
        let mut connect = || {
            alice.signed(Method::Connect, |r| {
                r.peer_name("bob").ask_proof().seal(&[1; 100])
            })
        };
        let silent = connect();
        let notification = ask(&mut server, now, ALICE, &silent).payload;
        let message = Message::parse(&notification).unwrap();
        assert!(message.is(Class::Request, Method::Notify));
        assert_eq!(message.nonce(), Some(&bob.cookie[..]));
        assert_eq!(message.fresh(), Some(FRESH), "as the caller has bound it");
        let signed = message.signed();
        let proved = signed.is_some_and(|(part, signature)| {
            Subject::Notification.is_signed(&key().public(), &part, &signature)
        });
        assert_eq!(proved, asks);
        assert!(notification.len() <= silent.len());

        let answered = connect();
        let notification = ask(&mut server, now, ALICE, &answered).payload;
        let notification = Message::parse(&notification).unwrap();
        let accepts = Builder::success(&notification).seal(&[2; 80]).finish();
        let answer = ask(&mut server, now, BOB, &accepts).payload;
        assert!(is_proved(&answer, &answered));
        // Its retransmission gets the same bytes.
        assert_eq!(ask(&mut server, now, ALICE, &answered).payload, answer);

        server.handle_timeout(now + Duration::from_secs(3));
        let given_up = drain(&mut server);
        let given_up: Vec<_> = given_up.iter().filter(|t| t.to == at(ALICE)).collect();
        let [given_up] = given_up[..] else {
            panic!("one answer: {given_up:?}")
        };
        assert!(is_proved(&given_up.payload, &silent));
    }
}

#[test]
fn a_name_is_not_registered_without_a_nonce_for_offers() {
    let now = Instant::now();
    let mut server = server(now);
    let alice = Registrant::new(&mut server, now, "alice", ALICE);
    let register = |fresh: Option<&[u8; 8]>| {
        let request = Builder::request(Method::Register, [9; 12])
            .nonce(&alice.cookie)
            .name("alice")
            .public_key(&alice.key.public())
            .sequence(9);
        let request = fresh.into_iter().fold(request, Builder::fresh);
        request
            .sign(|part| alice.key.sign(part))
            .pad_to(640)
            .finish()
    };
    let answer = ask(&mut server, now, ALICE, &register(None)).payload;
    assert_eq!(
        Message::parse(&answer).unwrap().error(),
        Some(code::BAD_REQUEST)
    );
    assert_eq!(server.registered(now), 0);
    let answer = ask(&mut server, now, ALICE, &register(Some(&FRESH))).payload;
    assert_eq!(Message::parse(&answer).unwrap().error(), None);
}

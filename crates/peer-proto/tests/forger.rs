//! Somebody on the way between a client and its rendezvous, who reads everything and
//! sends what he likes, before the server's own answer comes.

mod wire;

use std::time::{Duration, Instant};

use peer_proto::client::{Event, OtherKey};
use session::identity::Identity;
use session::proof::Subject;
use stun::{Builder, Class, Message, Method, code};
use wire::{ALICE, BOB, Wire, client, eve, server, server_key};

/// An answer to that request that says what the forger likes.
fn lie(request: &Message<'_>) -> Builder {
    Builder::success(request)
        .xor_mapped("198.51.100.66:6".parse().unwrap())
        .lifetime(90)
        .public_key(&eve().public())
        .fresh(&[6; 8])
        .peer_address("198.51.100.66:6".parse().unwrap())
        .seal(&[6; 64])
}

fn signed(message: Builder, shown: [u8; 32], by: &Identity, request: &[u8]) -> Vec<u8> {
    let message = message.server_key(&shown);
    let subject = Subject::Answer(request);
    message.sign(|part| subject.sign(by, part)).finish()
}

/// Everything that can be made without the server's secret.
fn forgeries(request: &[u8], answer: &[u8]) -> Vec<Vec<u8>> {
    let (Ok(ours), genuine) = (Message::parse(request), Message::parse(answer).unwrap()) else {
        return forged_notifications(answer);
    };
    let known = server_key().public();
    let mut altered = answer.to_vec();
    if let Some(byte) = altered.get_mut(30) {
        *byte ^= 1;
    }
    let other = Builder::request(ours.method(), ours.transaction()).finish();
    let mut forged = vec![
        lie(&ours).finish(),
        signed(lie(&ours), eve().public(), &eve(), request),
        signed(lie(&ours), known, &eve(), request),
        // The server's own signature of the answer to another request.
        signed(lie(&ours), known, &server_key(), &other),
        altered,
    ];
    if genuine.signed().is_some() {
        // Something is added to what the server has signed.
        let mut longer = answer.to_vec();
        longer.extend([0x80, 0x2c, 0, 8, 0, 1, 0, 6, 198, 51, 100, 66]);
        let length = (longer.len() - 20) as u16;
        longer[2..4].copy_from_slice(&length.to_be_bytes());
        forged.push(longer);
    }
    for error in [
        code::BAD_REQUEST,
        code::FORBIDDEN,
        code::NOT_REGISTERED,
        code::NAME_TAKEN,
        code::INSUFFICIENT_CAPACITY,
    ] {
        forged.push(Builder::error(&ours, error).sequence(1 << 60).finish());
        let error = Builder::error(&ours, error).sequence(1 << 60);
        forged.push(signed(error, eve().public(), &eve(), request));
    }
    forged.retain(|bytes| Message::parse(bytes).is_ok());
    forged
}

/// The same for a notification: a caller that is the forger.
fn forged_notifications(notification: &[u8]) -> Vec<Vec<u8>> {
    let genuine = Message::parse(notification).unwrap();
    let forged = || {
        Builder::request(Method::Notify, [6; 12])
            .nonce(genuine.nonce().unwrap())
            .name("eve")
            .peer_name("bob")
            .public_key(&eve().public())
            .peer_address("198.51.100.66:6".parse().unwrap())
            .fresh(&genuine.fresh().unwrap())
            .seal(genuine.seal().unwrap())
    };
    let by_eve = |shown: [u8; 32]| {
        let forged = forged().server_key(&shown);
        let signed = forged.sign(|part| Subject::Notification.sign(&eve(), part));
        signed.finish()
    };
    vec![
        forged().finish(),
        by_eve(eve().public()),
        by_eve(server_key().public()),
    ]
}

/// What alice and bob learn, and how many requests each has sent.
fn run(forge: fn(&[u8], &[u8]) -> Vec<Vec<u8>>) -> (Wire, String) {
    let mut wire = Wire::new();
    wire.forge = forge;
    wire.exchange();
    let callee = wire.look_up();
    wire.connect(callee);
    let introduced = wire.accept().expect("bob is called");
    assert_eq!(introduced.peer, "alice");
    assert!(wire.is_introduced());
    wire.pass(Duration::from_secs(40));
    let learned = wire.events.iter().map(|events| {
        let told = events.iter().map(|event| match event {
            Event::Introduced(i) => format!("introduced to {} at {}", i.peer, i.address),
            Event::Found { peer, callee, .. } => format!("{peer} is {:?}", callee.key),
            event => format!("{event:?}"),
        });
        told.collect::<Vec<_>>()
    });
    let counts: Vec<usize> = wire.requests.iter().map(Vec::len).collect();
    let learned = format!("{:?} {counts:?}", learned.collect::<Vec<_>>());
    (wire, learned)
}

#[test]
fn forged_answers_and_notifications_change_nothing() {
    let (_, undisturbed) = run(|_, _| Vec::new());
    let (_, disturbed) = run(forgeries);
    assert_eq!(disturbed, undisturbed);
}

/// Asks for another cookie in the server's place.
fn false_challenges(request: &[u8], answer: &[u8]) -> Vec<Vec<u8>> {
    let Ok(request) = Message::parse(request) else {
        return Vec::new();
    };
    let same = Message::parse(answer).unwrap().error() == Some(code::UNAUTHENTICATED);
    let error = Builder::error(&request, code::STALE_NONCE);
    let nonce = request.transaction(); // another each time
    let forged = error.nonce(&[&nonce[..], &[b'f'; 20]].concat()).finish();
    if same { Vec::new() } else { vec![forged] }
}

#[test]
fn a_false_demand_for_another_cookie_does_not_keep_the_servers_answer_away() {
    let mut wire = Wire::new();
    wire.forge = false_challenges;
    wire.exchange();
    assert!(wire.is_registered(ALICE) && wire.is_registered(BOB));
    wire.pass(Duration::from_secs(35));
    let callee = wire.look_up();
    wire.connect(callee);
    assert!(wire.accept().is_some(), "bob knows the server's cookie");
    assert!(wire.is_introduced());
    // Two refreshes each, at most twice as many requests as without the forger.
    let counts: Vec<usize> = wire.requests.iter().map(Vec::len).collect();
    assert!(counts.iter().all(|count| *count < 30), "{counts:?}");
}

#[test]
fn where_only_another_server_answers_that_is_told_and_the_right_one_is_still_taken() {
    let mut wire = Wire::new();
    let know = Some(server_key().public());
    wire.server = server(wire.now).with_key(eve());
    wire.pass(Duration::from_millis(2900));
    let told = |event: &Event| !matches!(event, Event::OtherAddress(_));
    assert!(!wire.has(ALICE, told), "{:?}", wire.events);
    assert_eq!(wire.clients[ALICE].server_key(), know);
    wire.pass(Duration::from_millis(400));
    let other = OtherKey {
        expected: server_key().public(),
        got: Some(eve().public()),
    };
    let [Event::OtherServerKey(told)] = wire.events[ALICE][..] else {
        panic!("{:?}", wire.events);
    };
    assert_eq!(told, other);
    assert_eq!(wire.clients[ALICE].other_server_key(), Some(other));
    // It is told once, and nobody is flooded.
    let before = wire.requests[ALICE].len();
    wire.pass(Duration::from_secs(32));
    assert_eq!(wire.events[ALICE].len(), 1);
    let sent = wire.requests[ALICE].len() - before;
    assert!((9..=11).contains(&sent), "{sent}");
    wire.server = server(wire.now).with_key(server_key());
    wire.pass(Duration::from_secs(4));
    assert!(wire.is_registered(ALICE));
    assert_eq!(wire.clients[ALICE].other_server_key(), None);
}

#[test]
fn a_server_that_has_lost_its_key_is_not_taken_for_the_known_one() {
    let now = Instant::now();
    let known = Some(server_key().public());
    let mut wire = Wire::of(now, server(now), vec![client(ALICE, now, known, 1)]);
    wire.pass(Duration::from_secs(4));
    let [Event::OtherServerKey(other)] = wire.events[ALICE][..] else {
        panic!("{:?}", wire.events);
    };
    assert_eq!(other.got, None);
}

#[test]
fn the_first_key_that_proves_itself_is_known_from_then_on() {
    let now = Instant::now();
    let with_key = server(now).with_key(server_key());
    let mut wire = Wire::of(now, with_key, vec![client(ALICE, now, None, 1)]);
    // The forger's answers come first, and only show the server's key.
    wire.forge = |request, _| {
        let request = Message::parse(request).unwrap();
        let key = server_key().public();
        vec![lie(&request).server_key(&key).sign(|_| [6; 64]).finish()]
    };
    wire.exchange();
    let proved = |event: &Event| {
        let key = server_key().public();
        matches!(event, Event::ServerProved(proved) if *proved == key)
    };
    assert!(wire.has(ALICE, proved));
    assert!(wire.is_registered(ALICE));
    assert_eq!(wire.events[ALICE].len(), 2, "{:?}", wire.events);
    wire.forge = forgeries;
    wire.pass(Duration::from_secs(40));
    assert_eq!(wire.events[ALICE].len(), 2, "{:?}", wire.events);
}

#[test]
fn a_server_without_a_key_is_taken_where_none_is_known_and_that_is_told_once() {
    let now = Instant::now();
    let mut wire = Wire::of(now, server(now), vec![client(ALICE, now, None, 1)]);
    wire.pass(Duration::from_secs(40));
    let keyless = |event: &&Event| matches!(event, Event::ServerKeyless);
    assert_eq!(wire.events[ALICE].iter().filter(keyless).count(), 1);
    assert!(wire.is_registered(ALICE));
    assert_eq!(wire.events[ALICE].len(), 2, "{:?}", wire.events);
    // The server gets a key.
    wire.server = server(wire.now).with_key(server_key());
    wire.pass(Duration::from_secs(20));
    assert_eq!(
        wire.clients[ALICE].server_key(),
        Some(server_key().public())
    );
}

#[test]
fn no_answer_of_the_servers_is_for_the_class_of_another_message() {
    // A notification's signature does not make an answer, and the other way round.
    let request = Builder::request(Method::Lookup, [1; 12]).finish();
    let message = Builder::new(Class::Success, Method::Lookup, [1; 12]);
    let bytes = message
        .sign(|part| Subject::Notification.sign(&server_key(), part))
        .finish();
    let (part, signature) = Message::parse(&bytes).unwrap().signed().unwrap();
    let key = server_key().public();
    assert!(!Subject::Answer(&request).is_signed(&key, &part, &signature));
    assert!(Subject::Notification.is_signed(&key, &part, &signature));
}

//! The rendezvous against those who mean it no good.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use traverse::identity::Identity;
use traverse::introduce::server::{Config, RATE, Server};
use traverse::io::Transmit;
use wire::{Attribute, Builder, Change, Class, Icmp, Message, Method, code};

const ALICE: &str = "203.0.113.17:40000";
const BOB: &str = "203.0.113.33:40000";
const ELSEWHERE: &str = "203.0.113.33:50000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn server(now: Instant, addresses: &[&str]) -> Server {
    let config = Config {
        addresses: addresses.iter().map(|text| at(text)).collect(),
        secret: [9; 32],
        rate: RATE,
        most_names: 100,
    };
    Server::new(config, now)
}

fn whole_server(now: Instant) -> Server {
    let four = [
        "203.0.113.1:8848",
        "203.0.113.1:8849",
        "203.0.113.2:8848",
        "203.0.113.2:8849",
    ];
    server(now, &four)
}

fn drain(server: &mut Server) -> Vec<Transmit> {
    std::iter::from_fn(|| server.poll_transmit()).collect()
}

/// One request, one answer.
fn ask(server: &mut Server, now: Instant, from: &str, request: &[u8]) -> Transmit {
    server.handle_input(now, 0, at(from), request);
    let mut answers = drain(server);
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

fn error_of(answer: &Transmit) -> Option<u16> {
    Message::parse(&answer.payload).unwrap().error()
}

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
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(error_of(&answer), None);
    assert_eq!(server.registered(now), 1);
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
fn behaviour_discovery_answers_from_where_it_was_asked_to() {
    let now = Instant::now();
    let mut server = whole_server(now);
    for (ip, port, via) in [
        (false, false, 0),
        (false, true, 1),
        (true, false, 2),
        (true, true, 3),
    ] {
        let request = wire::binding_request([3; 12], Some(Change { ip, port }));
        let answer = ask(&mut server, now, ALICE, &request);
        assert_eq!(answer.socket, via);
        let message = Message::parse(&answer.payload).unwrap();
        assert_eq!(message.mapped(), Some(at(ALICE)));
        assert_eq!(message.other_address(), Some(at("203.0.113.2:8849")));
        assert_eq!(
            message.response_origin().is_some_and(|o| o.port() == 8849),
            port
        );
    }
}

#[test]
fn with_one_address_the_server_says_what_it_cannot() {
    let now = Instant::now();
    let mut server = server(now, &["203.0.113.1:8848", "203.0.113.1:8849"]);
    let change = |ip, port| wire::binding_request([3; 12], Some(Change { ip, port }));
    let answer = ask(&mut server, now, ALICE, &change(true, true));
    assert_eq!(error_of(&answer), Some(code::UNKNOWN_ATTRIBUTE));
    let answer = ask(&mut server, now, ALICE, &change(false, true));
    assert_eq!(answer.socket, 1);
    let message = Message::parse(&answer.payload).unwrap();
    assert_eq!(message.other_address(), None);
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
    let method = proptest::sample::select(Method::ALL.to_vec());
    let class = proptest::sample::select(vec![
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ]);
    let attribute = proptest::sample::select(vec![
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
    ]);
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(b"alice".to_vec()),
        Just(vec![0; 64]),
        Just(vec![0; 32]),
    ];
    let attributes = proptest::collection::vec((attribute, value), 0..8);
    (method, class, attributes).prop_map(|(method, class, attributes)| {
        let mut message = Builder::new(class, method, [4; 12]);
        for (attribute, value) in attributes {
            message = message.raw(attribute, &value);
        }
        message.finish()
    })
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

/// A Binding request as RFC 3489 has it, with a CHANGE-REQUEST.
fn classic(change: u8) -> Vec<u8> {
    let mut request = vec![0, 1, 0, 8];
    request.extend(*b"no cookie inside");
    request.extend([0, 3, 0, 4, 0, 0, 0, change]);
    request
}

#[test]
fn the_old_dialect_is_answered_from_where_it_asks() {
    let now = Instant::now();
    let mut server = whole_server(now);
    for (change, socket) in [(0, 0), (2, 1), (4, 2), (6, 3)] {
        let answer = ask(&mut server, now, ALICE, &classic(change));
        assert_eq!((answer.socket, answer.to), (socket, at(ALICE)));
        assert_eq!(answer.payload[..2], [1, 1]);
        // SOURCE-ADDRESS is where it is sent from, CHANGED-ADDRESS where the
        // request did not go, whatever was asked for.
        let (source, changed) = (&answer.payload[32..44], &answer.payload[44..56]);
        assert_eq!(source[11], 1 + u8::from(change & 4 != 0));
        assert_eq!(changed[..2], [0, 5]);
        assert_eq!(changed[11], 2);
    }
    assert_eq!(server.stats().bindings, 4);
}

#[test]
fn one_address_refuses_in_the_old_dialect_too_and_never_reflects() {
    let now = Instant::now();
    let mut lonely = server(now, &["203.0.113.1:8848", "203.0.113.1:8849"]);
    for (change, kind) in [(0, [1, 1]), (2, [1, 1]), (4, [1, 0x11])] {
        let answer = ask(&mut lonely, now, ALICE, &classic(change));
        assert_eq!((answer.to, &answer.payload[..2]), (at(ALICE), &kind[..]));
    }
    let mut reflect = vec![0, 1, 0, 12];
    reflect.extend(*b"no cookie inside");
    reflect.extend([0, 2, 0, 8, 0, 1, 0, 9, 192, 0, 2, 9]);
    let answer = ask(&mut lonely, now, ALICE, &reflect);
    assert_eq!(
        (answer.to, &answer.payload[..2]),
        (at(ALICE), &[1, 0x11][..])
    );
}

const PORT_UNREACHABLE: Icmp = Icmp { kind: 3, code: 3 };

/// What the server says to `from` of the answers with these transactions:
/// `None` that it does not know.
fn bounced(
    server: &mut Server,
    now: Instant,
    from: &str,
    about: &[[u8; 12]],
) -> Option<Option<Icmp>> {
    let request = Builder::request(Method::Binding, [1; 12]).bounced(about);
    let request = request.finish();
    let plain = wire::binding_request([1; 12], None);
    let more = ask(server, now, from, &request).payload;
    let less = ask(server, now, from, &plain).payload;
    assert!(more.len() - less.len() <= request.len() - plain.len());
    let answer = Message::parse(&more).unwrap();
    answer.bounced().map(|_| answer.icmp())
}

/// An answer of the server's, as an ICMP error quotes it.
fn answer_with(transaction: [u8; 12]) -> Vec<u8> {
    let message = Builder::new(Class::Success, Method::Binding, transaction);
    message.xor_mapped(at(ALICE)).finish()
}

#[test]
fn an_icmp_error_is_told_to_whom_it_concerns_and_to_nobody_else() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let told = |server: &mut Server, from, id| bounced(server, now, from, &[[9; 12], id]);
    server.handle_icmp(now, at(ALICE), PORT_UNREACHABLE, &answer_with([5; 12]));
    assert_eq!(
        told(&mut server, ALICE, [5; 12]),
        Some(Some(PORT_UNREACHABLE))
    );
    assert_eq!(told(&mut server, ALICE, [6; 12]), Some(None), "of another");
    for stranger in [BOB, "203.0.113.17:40001"] {
        assert_eq!(told(&mut server, stranger, [5; 12]), Some(None));
    }
    // Who does not ask is told nothing, nor who wants it sent elsewhere.
    let elsewhere = Builder::request(Method::Binding, [1; 12])
        .bounced(&[[5; 12]])
        .raw(Attribute::ResponsePort, &[0x12, 0x34]);
    for request in [
        wire::binding_request([1; 12], None),
        elsewhere.finish(),
        Builder::request(Method::Binding, [1; 12])
            .bounced(&[])
            .finish(),
    ] {
        let answer = ask(&mut server, now, ALICE, &request);
        let answer = Message::parse(&answer.payload).unwrap();
        assert_eq!((answer.bounced(), answer.icmp()), (None, None));
    }
}

#[test]
fn a_forged_icmp_error_does_not_hide_the_true_one() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let forged = Icmp { kind: 3, code: 13 };
    let told = |server: &mut Server| bounced(server, now, ALICE, &[[5; 12]]);
    // Not about an answer, of another kind, or of another transaction.
    for (icmp, quoted) in [
        (forged, wire::binding_request([5; 12], None)),
        (forged, answer_with([4; 12])),
        (Icmp { kind: 3, code: 4 }, answer_with([5; 12])),
        (Icmp { kind: 11, code: 0 }, answer_with([5; 12])),
    ] {
        server.handle_icmp(now, at(ALICE), icmp, &quoted);
        assert_eq!(told(&mut server), Some(None), "{icmp:?}");
    }
    // A router that quotes next to nothing is believed until one says more.
    server.handle_icmp(now, at(ALICE), forged, &[]);
    assert_eq!(told(&mut server), Some(Some(forged)));
    server.handle_icmp(now, at(ALICE), PORT_UNREACHABLE, &answer_with([5; 12]));
    server.handle_icmp(now, at(ALICE), forged, &answer_with([5; 12])[..7]);
    assert_eq!(told(&mut server), Some(Some(PORT_UNREACHABLE)));
    let later = now + Duration::from_secs(10);
    assert_eq!(bounced(&mut server, later, ALICE, &[[5; 12]]), Some(None));
}

#[test]
fn a_flood_of_icmp_errors_makes_the_server_silent_but_not_wrong() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let flood = |server: &mut Server, addresses: u32| {
        for n in 0..addresses {
            let to = SocketAddr::new(std::net::IpAddr::V4((n << 8).into()), 1);
            server.handle_icmp(now, to, PORT_UNREACHABLE, &answer_with([5; 12]));
        }
    };
    server.handle_icmp(now, at(ALICE), PORT_UNREACHABLE, &answer_with([5; 12]));
    flood(&mut server, 4095);
    let alice = |server: &mut Server, now| bounced(server, now, ALICE, &[[5; 12]]);
    assert_eq!(alice(&mut server, now), Some(Some(PORT_UNREACHABLE)));
    flood(&mut server, 4096);
    assert_eq!(alice(&mut server, now), None, "it had to forget hers");
    let later = now + Duration::from_secs(10);
    assert_eq!(alice(&mut server, later), Some(None));
}

proptest! {
    /// Whatever an ICMP error quotes, nothing is sent and nobody is known.
    #[test]
    fn icmp_makes_the_server_send_nothing(kind: u8, code: u8, quoted in proptest::collection::vec(any::<u8>(), 0..60)) {
        let now = Instant::now();
        let mut server = whole_server(now);
        server.handle_icmp(now, at(ALICE), Icmp { kind, code }, &quoted);
        prop_assert!(server.poll_transmit().is_none());
        prop_assert_eq!((server.registered(now), server.poll_timeout()), (0, None));
    }
}

#[test]
fn over_tcp_it_tells_the_mapping_and_nothing_else() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let from = at(ALICE);
    assert!(server.stream_opened(from));
    let request = wire::binding_request([7; 12], None);
    let answer = server.handle_stream(now, 0, from, &request).unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.mapped(), Some(from));
    assert_eq!(answer.response_origin(), Some(at("203.0.113.1:8848")));
    assert_eq!(answer.other_address(), Some(at("203.0.113.2:8849")));
    let elsewhere = wire::binding_request(
        [7; 12],
        Some(Change {
            ip: true,
            port: true,
        }),
    );
    let answer = server.handle_stream(now, 0, from, &elsewhere).unwrap();
    assert_eq!(Message::parse(&answer).unwrap().error(), Some(420));
    let lookup = Builder::request(Method::Lookup, [7; 12]).peer_name("bob");
    for bytes in [&lookup.finish()[..], b"no message"] {
        assert_eq!(server.handle_stream(now, 0, from, bytes), None);
    }
    assert!(drain(&mut server).is_empty(), "nothing of it goes by UDP");
    let answered = (0..2 * RATE).filter(|_| server.handle_stream(now, 0, from, &request).is_some());
    assert!(answered.count() < RATE as usize);
    let room = (0..100).filter(|_| server.stream_opened(from)).count();
    assert_eq!(room, 63);
}

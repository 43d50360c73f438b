//! The rendezvous as a STUN server: behaviour discovery, ICMP errors about its
//! answers, and Binding by TCP.

mod client;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::{ALICE, BOB, ask, at, drain, error_of, server, whole_server};
use proptest::prelude::*;
use rendezvous_proto::server::{RATE, Server};
use sansio::{IcmpError, Input, Protocol};
use stun::{Attribute, Builder, Change, Class, Icmp, Message, Method, code};

#[test]
fn a_change_request_is_answered_from_the_socket_that_it_asks_for() {
    let now = Instant::now();
    let mut server = whole_server(now);
    for (ip, port, via) in [
        (false, false, 0),
        (false, true, 1),
        (true, false, 2),
        (true, true, 3),
    ] {
        let request = stun::binding_request([3; 12], Some(Change { ip, port }));
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
fn a_binding_may_be_as_long_as_a_packet_of_1500_bytes_and_nothing_else() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let long = |method| Builder::request(method, [3; 12]).pad_to(1472).finish();
    let answer = ask(&mut server, now, ALICE, &long(Method::Binding));
    let message = Message::parse(&answer.payload).unwrap();
    assert_eq!(message.mapped(), Some(at(ALICE)));
    let from = at(ALICE);
    server.handle_input(now, Input::datagram(0, from, &long(Method::Lookup)));
    assert!(
        server.poll_transmit().is_none(),
        "a Lookup as long is dropped"
    );
}

#[test]
fn with_one_address_a_change_of_address_is_refused() {
    let now = Instant::now();
    let mut server = server(now, &["203.0.113.1:8848", "203.0.113.1:8849"]);
    let change = |ip, port| stun::binding_request([3; 12], Some(Change { ip, port }));
    let answer = ask(&mut server, now, ALICE, &change(true, true));
    assert_eq!(error_of(&answer), Some(code::UNKNOWN_ATTRIBUTE));
    let answer = ask(&mut server, now, ALICE, &change(false, true));
    assert_eq!(answer.socket, 1);
    let message = Message::parse(&answer.payload).unwrap();
    assert_eq!(message.other_address(), None);
}

#[test]
fn the_refusal_of_unknown_attributes_is_no_longer_than_a_binding_answer() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let plain = stun::binding_request([3; 12], None);
    let success = ask(&mut server, now, ALICE, &plain).payload;
    for unknown in 1..20 {
        let request = (0..unknown)
            .fold(Builder::request(Method::Binding, [3; 12]), |request, _| {
                request.raw(Attribute::EvenPort, &[])
            });
        let request = request.finish();
        let answer = ask(&mut server, now, ALICE, &request);
        assert_eq!(error_of(&answer), Some(code::UNKNOWN_ATTRIBUTE));
        assert!(answer.payload.len() <= success.len(), "{unknown}");
    }
    assert_eq!(server.stats().refused, 19);
}

#[test]
fn a_binding_with_credentials_is_answered_as_one_without() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let plain = ask(
        &mut server,
        now,
        ALICE,
        &stun::binding_request([3; 12], None),
    );
    let key = stun::turn::long_term_key("alice", "realm", "secret");
    let request = Builder::request(Method::Binding, [3; 12])
        .username("alice")
        .realm("realm")
        .nonce(b"nonce")
        .raw(Attribute::Userhash, &[0; 32])
        .raw(Attribute::PasswordAlgorithm, &[0, 1, 0, 0])
        .finish_long_term(&key);
    let answer = ask(&mut server, now, ALICE, &request);
    assert_eq!(answer.payload, plain.payload);
}

#[test]
fn a_value_of_a_wrong_length_is_refused() {
    let now = Instant::now();
    let mut server = whole_server(now);
    for (attribute, value) in [
        (Attribute::ChangeRequest, &[0, 0, 6][..]),
        (Attribute::ChangeRequest, &[]),
        (Attribute::ResponsePort, &[9]),
        (Attribute::Lifetime, &[0, 0, 0]),
    ] {
        let request = Builder::request(Method::Binding, [3; 12]).raw(attribute, value);
        let request = request.finish();
        let answer = ask(&mut server, now, ALICE, &request);
        assert_eq!(error_of(&answer), Some(code::BAD_REQUEST), "{attribute:?}");
        assert_eq!((answer.socket, answer.to), (0, at(ALICE)));
        assert!(answer.payload.len() <= request.len() + 4, "{attribute:?}");
        let id = server.stream_opened(now, 0, at(ALICE));
        let by_tcp = server.stream_received(now, id, &request).unwrap();
        let refused = Message::parse(&by_tcp).unwrap().error();
        assert_eq!(refused, Some(code::BAD_REQUEST), "{attribute:?}");
    }
}

/// A Binding request of RFC 3489 with a CHANGE-REQUEST.
fn classic(change: u8) -> Vec<u8> {
    let mut request = vec![0, 1, 0, 8];
    request.extend(*b"no cookie inside");
    request.extend([0, 3, 0, 4, 0, 0, 0, change]);
    request
}

#[test]
fn a_change_request_of_rfc_3489_is_answered_from_the_socket_that_it_asks_for() {
    let now = Instant::now();
    let mut server = whole_server(now);
    for (change, socket) in [(0, 0), (2, 1), (4, 2), (6, 3)] {
        let answer = ask(&mut server, now, ALICE, &classic(change));
        assert_eq!((answer.socket, answer.to), (socket, at(ALICE)));
        assert_eq!(answer.payload[..2], [1, 1]);
        // SOURCE-ADDRESS is that of the answer; CHANGED-ADDRESS differs in both
        // parts from the address that received the request.
        let (source, changed) = (&answer.payload[32..44], &answer.payload[44..56]);
        assert_eq!(source[11], 1 + u8::from(change & 4 != 0));
        assert_eq!(changed[..2], [0, 5]);
        assert_eq!(changed[11], 2);
    }
    assert_eq!(server.stats().bindings, 4);
}

#[test]
fn with_rfc_3489_a_change_of_address_and_a_response_address_are_refused() {
    let now = Instant::now();
    let mut server = server(now, &["203.0.113.1:8848", "203.0.113.1:8849"]);
    for (change, kind) in [(0, [1, 1]), (2, [1, 1]), (4, [1, 0x11])] {
        let answer = ask(&mut server, now, ALICE, &classic(change));
        assert_eq!((answer.to, &answer.payload[..2]), (at(ALICE), &kind[..]));
    }
    let mut reflect = vec![0, 1, 0, 12];
    reflect.extend(*b"no cookie inside");
    reflect.extend([0, 2, 0, 8, 0, 1, 0, 9, 192, 0, 2, 9]);
    let answer = ask(&mut server, now, ALICE, &reflect);
    assert_eq!(
        (answer.to, &answer.payload[..2]),
        (at(ALICE), &[1, 0x11][..])
    );
}

const PORT_UNREACHABLE: Icmp = Icmp { kind: 3, code: 3 };

fn icmp_error(server: &mut Server, now: Instant, to: SocketAddr, icmp: Icmp, quoted: &[u8]) {
    let error = IcmpError {
        socket: 0,
        to,
        offender: to.ip(),
        icmp,
        quoted,
    };
    server.handle_input(now, Input::Icmp(error));
}

/// What the server reports to a client about some answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Report {
    Error(Icmp),
    NoError,
    Unknown,
}

fn report(server: &mut Server, now: Instant, from: &str, about: &[[u8; 12]]) -> Report {
    let request = Builder::request(Method::Binding, [1; 12]).bounced(about);
    let request = request.finish();
    let plain = stun::binding_request([1; 12], None);
    let more = ask(server, now, from, &request).payload;
    let less = ask(server, now, from, &plain).payload;
    assert!(more.len() - less.len() <= request.len() - plain.len());
    let answer = Message::parse(&more).unwrap();
    match (answer.bounced(), answer.icmp()) {
        (Some(_), Some(icmp)) => Report::Error(icmp),
        (Some(_), None) => Report::NoError,
        (None, _) => Report::Unknown,
    }
}

/// A Binding answer, as an ICMP error quotes it.
fn answer_with(transaction: [u8; 12]) -> Vec<u8> {
    let message = Builder::new(Class::Success, Method::Binding, transaction);
    message.xor_mapped(at(ALICE)).finish()
}

#[test]
fn an_icmp_error_is_reported_to_the_client_of_that_answer_and_to_no_other() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let reported = |server: &mut Server, from, id| report(server, now, from, &[[9; 12], id]);
    icmp_error(
        &mut server,
        now,
        at(ALICE),
        PORT_UNREACHABLE,
        &answer_with([5; 12]),
    );
    assert_eq!(
        reported(&mut server, ALICE, [5; 12]),
        Report::Error(PORT_UNREACHABLE)
    );
    assert_eq!(
        reported(&mut server, ALICE, [6; 12]),
        Report::NoError,
        "another answer"
    );
    for other in [BOB, "203.0.113.17:40001"] {
        assert_eq!(reported(&mut server, other, [5; 12]), Report::NoError);
    }
    // Nothing is reported that is not asked for, or to another RESPONSE-PORT.
    let elsewhere = Builder::request(Method::Binding, [1; 12])
        .bounced(&[[5; 12]])
        .raw(Attribute::ResponsePort, &[0x12, 0x34]);
    for request in [
        stun::binding_request([1; 12], None),
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
fn a_forged_icmp_error_does_not_hide_the_real_one() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let forged = Icmp { kind: 3, code: 13 };
    let reported = |server: &mut Server| report(server, now, ALICE, &[[5; 12]]);
    // Not about an answer, of another kind, or of another transaction.
    for (icmp, quoted) in [
        (forged, stun::binding_request([5; 12], None)),
        (forged, answer_with([4; 12])),
        (Icmp { kind: 3, code: 4 }, answer_with([5; 12])),
        (Icmp { kind: 11, code: 0 }, answer_with([5; 12])),
    ] {
        icmp_error(&mut server, now, at(ALICE), icmp, &quoted);
        assert_eq!(reported(&mut server), Report::NoError, "{icmp:?}");
    }
    // An error that quotes no transaction counts until one that does.
    icmp_error(&mut server, now, at(ALICE), forged, &[]);
    assert_eq!(reported(&mut server), Report::Error(forged));
    icmp_error(
        &mut server,
        now,
        at(ALICE),
        PORT_UNREACHABLE,
        &answer_with([5; 12]),
    );
    icmp_error(
        &mut server,
        now,
        at(ALICE),
        forged,
        &answer_with([5; 12])[..7],
    );
    assert_eq!(reported(&mut server), Report::Error(PORT_UNREACHABLE));
    let later = now + Duration::from_secs(10);
    assert_eq!(
        report(&mut server, later, ALICE, &[[5; 12]]),
        Report::NoError
    );
}

#[test]
fn after_a_flood_of_icmp_errors_the_server_reports_nothing_but_nothing_wrong() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let flood = |server: &mut Server, addresses: u32| {
        for n in 0..addresses {
            let to = SocketAddr::new(std::net::IpAddr::V4((n << 8).into()), 1);
            icmp_error(server, now, to, PORT_UNREACHABLE, &answer_with([5; 12]));
        }
    };
    icmp_error(
        &mut server,
        now,
        at(ALICE),
        PORT_UNREACHABLE,
        &answer_with([5; 12]),
    );
    flood(&mut server, 4095);
    let alice = |server: &mut Server, now| report(server, now, ALICE, &[[5; 12]]);
    assert_eq!(alice(&mut server, now), Report::Error(PORT_UNREACHABLE));
    flood(&mut server, 4096);
    assert_eq!(
        alice(&mut server, now),
        Report::Unknown,
        "it was forgotten early"
    );
    let later = now + Duration::from_secs(10);
    assert_eq!(alice(&mut server, later), Report::NoError);
}

proptest! {
    /// Whatever an ICMP error quotes, the server sends nothing and registers nothing.
    #[test]
    fn an_icmp_error_makes_the_server_send_nothing(kind: u8, code: u8, quoted in proptest::collection::vec(any::<u8>(), 0..60)) {
        let now = Instant::now();
        let mut server = whole_server(now);
        icmp_error(&mut server, now, at(ALICE), Icmp { kind, code }, &quoted);
        prop_assert!(server.poll_transmit().is_none());
        prop_assert_eq!((server.registered(now), server.poll_timeout()), (0, None));
    }
}

#[test]
fn by_tcp_a_binding_is_answered_and_nothing_else() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let from = at(ALICE);
    let mut ask = |bytes: &[u8]| {
        let id = server.stream_opened(now, 0, from);
        let answer = server.stream_received(now, id, bytes);
        let ended = server.poll_closed_stream();
        assert_eq!(answer.is_none(), ended == Some(id), "{answer:?}");
        server.stream_closed(id);
        server.poll_closed_stream();
        answer
    };
    let request = stun::binding_request([7; 12], None);
    let answer = ask(&request).unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.mapped(), Some(from));
    assert_eq!(answer.response_origin(), Some(at("203.0.113.1:8848")));
    assert_eq!(answer.other_address(), Some(at("203.0.113.2:8849")));
    let two = ask(&request.repeat(2)).unwrap();
    assert_eq!(two, ask(&request).unwrap().repeat(2));
    let elsewhere = stun::binding_request(
        [7; 12],
        Some(Change {
            ip: true,
            port: true,
        }),
    );
    let answer = ask(&elsewhere).unwrap();
    assert_eq!(Message::parse(&answer).unwrap().error(), Some(420));
    let nowhere_else = stun::binding_request([7; 12], Some(Change::default()));
    assert_eq!(ask(&nowhere_else), ask(&request));
    let lookup = Builder::request(Method::Lookup, [7; 12]).peer_name("bob");
    for bytes in [&lookup.finish()[..], b"no message"] {
        assert_eq!(ask(bytes), None);
    }
    let answered = (0..2 * RATE).filter(|_| ask(&request).is_some());
    assert!(answered.count() < RATE as usize);
    assert!(drain(&mut server).is_empty(), "nothing is sent by UDP");
}

#[test]
fn a_flood_of_forged_datagrams_does_not_limit_a_client_that_has_connected_by_tcp() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let request = stun::binding_request([7; 12], None);
    for _ in 0..2 * RATE {
        server.handle_datagram(now, 0, at("203.0.113.18:9"), &request);
    }
    let id = server.stream_opened(now, 0, at(ALICE));
    assert!(server.stream_received(now, id, &request).is_some());
}

#[test]
fn connections_of_sixteen_prefixes_keep_no_other_out() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let from = |net: u32, port: u32| at(&format!("198.51.{net}.7:{}", 1000 + port));
    let first = server.stream_opened(now, 0, from(0, 0));
    for n in 1..1024 {
        server.stream_opened(now, 0, from(n / 64, n));
    }
    assert_eq!(server.poll_closed_stream(), None);
    let later = now + Duration::from_secs(1);
    let alice = server.stream_opened(later, 0, at(ALICE));
    assert_eq!(server.poll_closed_stream(), Some(first), "idle for longest");
    assert_eq!(server.stats().made_room, 1);
    let request = stun::binding_request([7; 12], None);
    assert!(server.stream_received(later, alice, &request).is_some());
    assert_eq!(server.stream_received(later, first, &request), None);
    // Half a message each keeps them open for ten seconds.
    let second = server.stream_opened(later, 0, from(20, 1));
    assert!(
        server
            .stream_received(later, second, &request[..9])
            .is_some()
    );
    while server.poll_closed_stream().is_some() {}
    server.handle_timeout(later + Duration::from_secs(10));
    assert_eq!(server.poll_closed_stream(), Some(second));
}

//! The rendezvous as a STUN server: what it tells of mappings, of ICMP errors
//! about its answers, and by TCP.

mod asking;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use asking::{ALICE, BOB, ask, at, drain, error_of, server, whole_server};
use proptest::prelude::*;
use rendezvous_proto::server::{RATE, Server};
use sansio::{IcmpError, Input, Protocol};
use stun::{Attribute, Builder, Change, Class, Icmp, Message, Method, code};

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
fn with_one_address_the_server_says_what_it_cannot() {
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
fn who_wants_what_is_unknown_is_told_so_and_it_is_no_better_amplifier_than_binding() {
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

fn bounced(
    server: &mut Server,
    now: Instant,
    from: &str,
    about: &[[u8; 12]],
) -> Option<Option<Icmp>> {
    let request = Builder::request(Method::Binding, [1; 12]).bounced(about);
    let request = request.finish();
    let plain = stun::binding_request([1; 12], None);
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
    icmp_error(
        &mut server,
        now,
        at(ALICE),
        PORT_UNREACHABLE,
        &answer_with([5; 12]),
    );
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
fn a_forged_icmp_error_does_not_hide_the_true_one() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let forged = Icmp { kind: 3, code: 13 };
    let told = |server: &mut Server| bounced(server, now, ALICE, &[[5; 12]]);
    // Not about an answer, of another kind, or of another transaction.
    for (icmp, quoted) in [
        (forged, stun::binding_request([5; 12], None)),
        (forged, answer_with([4; 12])),
        (Icmp { kind: 3, code: 4 }, answer_with([5; 12])),
        (Icmp { kind: 11, code: 0 }, answer_with([5; 12])),
    ] {
        icmp_error(&mut server, now, at(ALICE), icmp, &quoted);
        assert_eq!(told(&mut server), Some(None), "{icmp:?}");
    }
    // A router that quotes next to nothing is believed until one says more.
    icmp_error(&mut server, now, at(ALICE), forged, &[]);
    assert_eq!(told(&mut server), Some(Some(forged)));
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
        icmp_error(&mut server, now, at(ALICE), Icmp { kind, code }, &quoted);
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
    let request = stun::binding_request([7; 12], None);
    let answer = server.handle_stream(now, 0, from, &request).unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.mapped(), Some(from));
    assert_eq!(answer.response_origin(), Some(at("203.0.113.1:8848")));
    assert_eq!(answer.other_address(), Some(at("203.0.113.2:8849")));
    let elsewhere = stun::binding_request(
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

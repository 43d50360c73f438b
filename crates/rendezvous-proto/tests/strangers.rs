//! No prefix takes what others need: calls to one callee, and the relay.

mod client;
mod registrant;
mod relaying;

use std::time::{Duration, Instant};

use client::{ask, at, drain, error_of, whole_server};
use registrant::Registrant;
use relaying::{TurnClient, World};
use rendezvous_proto::relay::Limits;
use rendezvous_proto::server::{RATE, Server, Standing};
use stun::{Builder, Message, Method, code};

/// A registered client of that name and address.
fn registered(
    server: &mut Server,
    now: Instant,
    name: &'static str,
    from: &'static str,
) -> Registrant {
    let mut client = Registrant::new(server, now, name, from);
    client.key = session::identity::Identity::from_secret(&[from.len() as u8; 32]);
    assert_eq!(client.register(server, now), None);
    client
}

/// What a call makes the server send: destinations and error codes.
fn call(
    server: &mut Server,
    now: Instant,
    caller: &mut Registrant,
) -> Vec<(std::net::SocketAddr, Option<u16>)> {
    let request = caller.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    server.handle_datagram(now, 0, at(caller.from), &request);
    let sent = drain(server).into_iter();
    sent.map(|transmit| (transmit.to, error_of(&transmit)))
        .collect()
}

#[test]
fn one_prefix_does_not_keep_others_from_calling_somebody() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let bob = registered(&mut server, now, "bob", "192.0.2.1:1");
    let at_bob = (at(bob.from), None);
    let mut mallory = registered(&mut server, now, "mallory", "198.51.100.7:7");
    for _ in 0..4 {
        assert_eq!(call(&mut server, now, &mut mallory), [at_bob]);
    }
    let quota = (at(mallory.from), Some(code::QUOTA_REACHED));
    assert_eq!(call(&mut server, now, &mut mallory), [quota]);
    // Three more such prefixes, and all sixteen places are taken.
    for (name, from) in [
        ("m2", "198.51.101.7:7"),
        ("m3", "198.51.102.7:7"),
        ("m4", "198.51.103.7:7"),
    ] {
        let mut other = registered(&mut server, now, name, from);
        for _ in 0..4 {
            assert_eq!(call(&mut server, now, &mut other), [at_bob]);
        }
    }
    let mut alice = registered(&mut server, now, "alice", "203.0.113.17:9");
    assert_eq!(
        call(&mut server, now, &mut alice),
        [quota, at_bob],
        "the first call ends, with an answer to its caller"
    );
    assert_eq!(server.stats().made_room, 1);
}

#[test]
fn the_clients_of_one_prefix_have_a_share_of_the_relay() {
    let limits = Limits {
        total: 8,
        per_name: 9,
        per_address: 1,
        ..Limits::default()
    };
    let mut world = World::new(limits, &[]);
    let mut errors = Vec::new();
    for from in [
        "198.51.100.1:1",
        "198.51.100.2:1",
        "198.51.100.3:1",
        "198.51.100.4:1",
        "198.51.100.5:1",
        "198.51.101.5:1",
    ] {
        let mut client = TurnClient::new(&mut world, "mallory", from);
        errors.push(client.allocate(&mut world).err());
    }
    let quota = Some(code::QUOTA_REACHED);
    assert_eq!(errors, [None, None, None, None, quota, None]);
}

#[test]
fn in_a_full_relay_the_prefix_with_most_allocations_gives_one_up() {
    let limits = Limits {
        total: 5,
        per_name: 9,
        per_address: 9,
        ..Limits::default()
    };
    let mut world = World::new(limits, &[]);
    let froms = ["198.51.100.1:1", "198.51.100.1:2", "198.51.100.1:3"];
    let mut big: Vec<TurnClient> = froms
        .into_iter()
        .map(|from| {
            let mut client = TurnClient::new(&mut world, "mallory", from);
            client.allocate(&mut world).unwrap();
            client
        })
        .collect();
    for from in ["198.51.101.1:1", "198.51.101.1:2"] {
        let mut client = TurnClient::new(&mut world, "eve", from);
        client.allocate(&mut world).unwrap();
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(big[0].permit(&mut world, "192.0.2.9:9"), None);
    assert_eq!(big[2].permit(&mut world, "192.0.2.9:9"), None);
    let mut alice = TurnClient::new(&mut world, "alice", "203.0.113.17:9");
    assert!(alice.allocate(&mut world).is_ok());
    assert_eq!((world.relay().allocations(), world.open.len()), (5, 5));
    let gone = Some(code::ALLOCATION_MISMATCH);
    assert_eq!(big[1].permit(&mut world, "192.0.2.9:9"), gone, "silent");
    assert_eq!(big[0].permit(&mut world, "192.0.2.9:9"), None);
    // Two, two and one: whoever has fewer by one alone takes nothing away.
    let full = Err(code::INSUFFICIENT_CAPACITY);
    assert_eq!(big[1].allocate(&mut world), full);
    let mut alice = TurnClient::new(&mut world, "alice", "203.0.113.17:10");
    assert_eq!(alice.allocate(&mut world), full);
}

#[test]
fn a_flood_of_forged_datagrams_does_not_limit_a_client_of_the_relay() {
    let mut world = World::new(Limits::default(), &[]);
    let mut alice = TurnClient::new(&mut world, "alice", "203.0.113.17:9");
    let binding = stun::binding_request([7; 12], None);
    for n in 0..2 * RATE {
        world.send(&format!("203.0.113.18:{n}"), &binding);
    }
    assert!(alice.allocate(&mut world).is_ok());
    assert_eq!(alice.permit(&mut world, "192.0.2.9:9"), None);
}

#[test]
fn forged_bindings_keep_nobody_of_their_prefix_from_getting_a_cookie() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let binding = stun::binding_request([7; 12], None);
    for port in 1..=2 * RATE as u16 {
        server.handle_datagram(
            now,
            0,
            (std::net::Ipv4Addr::new(203, 0, 113, 9), port).into(),
            &binding,
        );
    }
    drain(&mut server);
    assert!(server.stats().limited > 0);
    let mut alice = Registrant::new(&mut server, now, "alice", "203.0.113.17:9");
    assert_eq!(alice.register(&mut server, now), None);
}

#[test]
fn a_flood_from_more_prefixes_than_any_table_has_limits_neither_newcomers_nor_clients() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = registered(&mut server, now, "alice", "203.0.113.17:9");
    let binding = stun::binding_request([7; 12], None);
    for n in 0..40_000u32 {
        let forged = std::net::Ipv4Addr::from_bits(0x0100_0007 + (n << 8));
        for port in 1..=8 {
            server.handle_datagram(now, 0, (forged, port).into(), &binding);
        }
        drain(&mut server);
    }
    assert_eq!(server.stats().limited, 0);
    assert_eq!(alice.register(&mut server, now), None);
    let hello = Builder::request(Method::Register, [1; 12]).pad_to(300);
    let answer = ask(&mut server, now, "192.0.2.1:5", &hello.finish());
    let answer = Message::parse(&answer.payload).unwrap();
    assert_eq!(answer.error(), Some(code::UNAUTHENTICATED));
}

#[test]
fn a_sender_is_known_by_a_cookie_an_allocation_or_an_answer_that_is_waited_for() {
    let now = Instant::now();
    let mut server = whole_server(now);
    let mut alice = registered(&mut server, now, "alice", "203.0.113.17:9");
    let bob = registered(&mut server, now, "bob", "192.0.2.1:1");
    let standing =
        |server: &Server, from: &str, bytes: &[u8]| server.standing(now, 0, at(from), bytes);
    let binding = stun::binding_request([7; 12], None);
    assert_eq!(standing(&server, alice.from, &binding), Standing::Other);
    assert_eq!(
        standing(&server, alice.from, b"no message"),
        Standing::Other
    );
    let hello = Builder::request(Method::Register, [1; 12]).finish();
    assert_eq!(standing(&server, alice.from, &hello), Standing::Newcomer);
    let refresh = alice.register_request(90);
    assert_eq!(standing(&server, alice.from, &refresh), Standing::Known);
    assert_eq!(
        standing(&server, bob.from, &refresh),
        Standing::Newcomer,
        "forged"
    );
    let request = alice.signed(Method::Connect, |r| r.peer_name("bob").seal(&[1; 100]));
    let notification = ask(&mut server, now, alice.from, &request).payload;
    let notification = Message::parse(&notification).unwrap();
    let answer = Builder::success(&notification).seal(&[2; 80]).finish();
    assert_eq!(standing(&server, bob.from, &answer), Standing::Known);
    assert_eq!(standing(&server, alice.from, &answer), Standing::Other);
    assert_eq!(ask(&mut server, now, bob.from, &answer).to, at(alice.from));
    assert_eq!(standing(&server, bob.from, &answer), Standing::Other);

    let mut world = World::new(Limits::default(), &[]);
    let mut carol = TurnClient::new(&mut world, "carol", "203.0.113.17:9");
    let allocate = carol.request(Method::Allocate, Builder::udp);
    let known =
        |world: &World, bytes: &[u8]| world.server.standing(world.now, 0, at(carol.from), bytes);
    assert_eq!(
        known(&world, &allocate),
        Standing::Known,
        "by the relay's nonce"
    );
    assert_eq!(known(&world, b"no message"), Standing::Other);
    assert_eq!(world.ask_error(carol.from, &allocate), None);
    assert_eq!(known(&world, b"no message"), Standing::Known);
}

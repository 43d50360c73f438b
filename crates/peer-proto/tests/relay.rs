//! The TURN client against the relay of the rendezvous.

#[path = "../../rendezvous-proto/tests/relaying/mod.rs"]
mod relaying;

use std::net::SocketAddr;
use std::time::Duration;

use peer_proto::relay::{self, Client, Event, Failure, Input};
use relaying::{ALICE, BOB, SERVER, UNIX, World, at, limits};
use sansio::Protocol;
use session::credentials::{Challenge, Credentials, Secret};
use stun::{Builder, Class, Method, code, turn};

struct Peer {
    from: &'static str,
    client: Client,
    events: Vec<Event>,
    heard: Vec<(SocketAddr, Vec<u8>)>,
}

impl Peer {
    fn new(world: &mut World, name: &str, from: &'static str) -> Self {
        let credentials = world.credentials(name);
        Self::with(world, credentials, from)
    }

    fn with(world: &mut World, credentials: Credentials, from: &'static str) -> Self {
        let config = relay::Config {
            server: world.address,
            username: credentials.username,
            password: credentials.password,
            challenge: None,
        };
        Peer {
            from,
            client: Client::new(&config, [1; 32], world.now),
            events: Vec::new(),
            heard: Vec::new(),
        }
    }
}

/// Drives the peers until nobody has anything to send for `time`.
fn run(world: &mut World, peers: &mut [&mut Peer], time: Duration) {
    let end = world.now + time;
    loop {
        let mut transmits = world.work();
        for peer in peers.iter_mut() {
            while let Some(bytes) = peer.client.poll_transmit() {
                transmits.extend(world.send(peer.from, &bytes));
            }
            peer.events
                .extend(std::iter::from_fn(|| peer.client.poll_event()));
        }
        if !transmits.is_empty() {
            for transmit in transmits {
                let peer = peers.iter_mut().find(|peer| at(peer.from) == transmit.to);
                let Some(peer) = peer else { continue };
                let input = peer
                    .client
                    .handle_input(world.now, world.address, &transmit.payload);
                if let Input::Relayed {
                    peer: from,
                    payload,
                } = input
                {
                    peer.heard.push((from, payload));
                }
            }
            continue;
        }
        let next = peers.iter().filter_map(|peer| peer.client.poll_timeout());
        let next = next.chain(world.server.poll_timeout()).min();
        let Some(next) = next.filter(|next| *next <= end) else {
            world.now = end;
            return;
        };
        world.now = world.now.max(next);
        world.server.handle_timeout(world.now);
        for peer in peers.iter_mut() {
            peer.client.handle_timeout(world.now);
        }
    }
}

fn soon() -> Duration {
    Duration::from_millis(500)
}

#[test]
fn two_clients_talk_through_their_relayed_addresses() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    let mut bob = Peer::new(&mut world, "bob", BOB);
    run(&mut world, &mut [&mut alice, &mut bob], soon());
    let (a, b) = (
        alice.client.relayed().unwrap(),
        bob.client.relayed().unwrap(),
    );
    assert_eq!(
        alice.events,
        [Event::Allocated {
            relayed: a,
            mapped: Some(at(ALICE)),
            lifetime: Duration::from_secs(600),
        }]
    );
    assert_eq!(
        alice.client.send_to(world.now, b, b"too early"),
        Err(relay::SendError::NotPermitted)
    );
    alice.client.permit(world.now, b.ip());
    bob.client.bind_channel(world.now, a);
    run(&mut world, &mut [&mut alice, &mut bob], soon());
    assert!(bob.events.contains(&Event::ChannelBound(a)));

    let from_alice = alice.client.send_to(world.now, b, b"hello").unwrap();
    let from_bob = bob.client.send_to(world.now, a, b"hi").unwrap();
    assert_eq!(from_alice.len(), turn::INDICATION_OVERHEAD + 8);
    assert_eq!(from_bob.len(), turn::CHANNEL_OVERHEAD + 2);
    for (who, bytes) in [(ALICE, from_alice), (BOB, from_bob)] {
        for transmit in world.send(who, &bytes) {
            let peer = if transmit.to == at(ALICE) {
                &mut alice
            } else {
                &mut bob
            };
            let input = peer
                .client
                .handle_input(world.now, at(SERVER), &transmit.payload);
            let Input::Relayed {
                peer: from,
                payload,
            } = input
            else {
                panic!("{input:?}")
            };
            peer.heard.push((from, payload));
        }
    }
    assert_eq!(alice.heard, [(b, b"hi".to_vec())]);
    assert_eq!(bob.heard, [(a, b"hello".to_vec())]);
    assert!(
        world.to_peers.is_empty(),
        "a packet to the relay itself has left it"
    );
}

#[test]
fn a_relayed_address_is_of_the_servers_address_family() {
    let server = at("[2001:db8::1]:8848");
    let mut world = World::at(server, limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", "[2001:db8:1::2]:40000");
    let peer = at("[2001:db8:2::2]:9");
    alice.client.bind_channel(world.now, peer);
    run(&mut world, &mut [&mut alice], soon());
    let relayed = alice.client.relayed().unwrap();
    assert_eq!(relayed.ip(), server.ip());
    let bytes = alice.client.send_to(world.now, peer, b"hello").unwrap();
    world.send(alice.from, &bytes);
    assert_eq!(world.to_peers, [(relayed.port(), peer, b"hello".to_vec())]);
}

#[test]
fn an_allocation_is_refreshed_for_hours_and_given_back_at_once() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    alice.client.bind_channel(world.now, at("198.51.100.7:9"));
    run(&mut world, &mut [&mut alice], soon());
    let relayed = alice.client.relayed().unwrap();
    // Longer than the credentials, the nonces, the allocation, the permission
    // and the channel live.
    run(&mut world, &mut [&mut alice], Duration::from_secs(4 * 3600));
    assert_eq!(alice.client.relayed(), Some(relayed));
    let payload = alice
        .client
        .send_to(world.now, at("198.51.100.7:9"), b"still")
        .unwrap();
    assert_eq!(payload.len(), 4 + 5);
    world.send(ALICE, &payload);
    let sent = (relayed.port(), at("198.51.100.7:9"), b"still".to_vec());
    assert_eq!(world.to_peers, [sent]);
    world.peer_sends(relayed, "198.51.100.7:9", b"yes");
    run(&mut world, &mut [&mut alice], soon());
    assert_eq!(alice.heard, [(at("198.51.100.7:9"), b"yes".to_vec())]);

    alice.client.close(world.now);
    run(&mut world, &mut [&mut alice], soon());
    assert_eq!(world.relay().allocations(), 0);
    assert!(world.open.is_empty());
    assert_eq!(alice.events.last(), Some(&Event::Failed(Failure::Closed)));
    assert_eq!(alice.client.poll_timeout(), None);
}

#[test]
fn an_allocation_that_is_made_while_closing_is_given_back() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    let hello = alice.client.poll_transmit().unwrap();
    let challenge = world.ask(ALICE, &hello);
    alice.client.handle_input(world.now, at(SERVER), &challenge);
    alice.client.close(world.now);
    run(&mut world, &mut [&mut alice], Duration::from_millis(900));
    assert_eq!(world.relay().stats().allocations, 1);
    assert_eq!((world.relay().allocations(), world.open.len()), (0, 0));
    assert_eq!(alice.events, [Event::Failed(Failure::Closed)]);
    // Where nobody answers, it does not wait for long.
    let mut bob = Peer::new(&mut world, "bob", BOB);
    let start = world.now;
    bob.client.close(world.now);
    while let Some(next) = bob.client.poll_timeout() {
        world.now = next;
        bob.client.handle_timeout(next);
    }
    assert_eq!(
        bob.client.poll_event(),
        Some(Event::Failed(Failure::Closed))
    );
    assert_eq!(world.now - start, Duration::from_secs(1));
}

#[test]
fn an_idle_client_sends_only_keepalives() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    run(&mut world, &mut [&mut alice], soon());
    let (mut keepalives, end) = (0, world.now + Duration::from_secs(120));
    for turn in 0.. {
        let next = alice.client.poll_timeout().unwrap();
        if next >= end {
            break;
        }
        assert!(turn < 100, "handle_timeout is asked for again and again");
        alice.client.handle_timeout(next);
        while let Some(bytes) = alice.client.poll_transmit() {
            let message = stun::Message::parse(&bytes).unwrap();
            assert!(message.is(Class::Indication, Method::Binding));
            assert!(world.send(ALICE, &bytes).is_empty());
            keepalives += 1;
        }
    }
    assert!((7..=8).contains(&keepalives), "{keepalives}");
}

#[test]
fn the_reason_for_having_no_relayed_address_is_told() {
    let failure = |world: &mut World, credentials: Credentials| {
        let mut peer = Peer::with(world, credentials, BOB);
        run(world, &mut [&mut peer], Duration::from_secs(60));
        assert_eq!(peer.client.poll_timeout(), None);
        peer.events
    };
    let mut world = World::new(limits(), &[]);
    let mut wrong = world.credentials("bob");
    wrong.password.push('x');
    let no = |code| [Event::Failed(Failure::Refused(code))];
    assert_eq!(failure(&mut world, wrong), no(401));
    let expired = Secret::new("north").issue("bob", UNIX - 1);
    assert_eq!(failure(&mut world, expired), no(401));
    world.taken = (50000..=50009).collect();
    let good = world.credentials("bob");
    assert_eq!(failure(&mut world, good.clone()), no(508));
    // There is no TURN server at all.
    let mut deaf = World::new(limits(), &[]);
    let mut peer = Peer::with(&mut deaf, good, BOB);
    let start = deaf.now;
    while let Some(next) = peer.client.poll_timeout() {
        deaf.now = next;
        peer.client.handle_timeout(next);
    }
    assert_eq!(
        peer.client.poll_event(),
        Some(Event::Failed(Failure::Silent))
    );
    assert!(
        deaf.now - start < Duration::from_secs(12),
        "{:?}",
        deaf.now - start
    );
}

#[test]
fn refused_peers_and_a_lost_allocation_are_told() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    alice.client.bind_channel(world.now, at("192.168.1.2:9"));
    run(&mut world, &mut [&mut alice], soon());
    let refused = Event::Refused(at("192.168.1.2:9").ip());
    assert_eq!(alice.events.last(), Some(&refused));
    alice.client.permit(world.now, at(BOB).ip());
    run(&mut world, &mut [&mut alice], soon());
    assert_eq!(alice.events.last(), Some(&Event::Permitted(at(BOB).ip())));

    // A server that was started anew with the same secret.
    let later = World::new(limits(), &[]);
    world.server = later.server;
    run(&mut world, &mut [&mut alice], Duration::from_secs(300));
    let lost = Event::Failed(Failure::Refused(code::ALLOCATION_MISMATCH));
    assert_eq!(alice.events.last(), Some(&lost));
}

#[test]
fn a_repeated_first_answer_is_ignored() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    let first = alice.client.poll_transmit().unwrap();
    let challenge = world.ask(ALICE, &first);
    alice.client.handle_input(world.now, at(SERVER), &challenge);
    // The nonce has expired between the two copies of the request.
    let first = stun::Message::parse(&first).unwrap().transaction();
    let again = Builder::new(Class::Error, Method::Allocate, first)
        .error_code(code::UNAUTHENTICATED)
        .realm("pinhole")
        .nonce(b"another nonce");
    alice
        .client
        .handle_input(world.now, at(SERVER), &again.finish());
    run(&mut world, &mut [&mut alice], Duration::from_secs(5));
    assert!(alice.client.relayed().is_some(), "{:?}", alice.events);
    assert_eq!(world.relay().stats().refused, 1);
}

#[test]
fn packets_for_other_users_of_the_socket_are_left_alone() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    run(&mut world, &mut [&mut alice], soon());
    let answer = Builder::new(Class::Success, Method::Register, [1; 12]).finish();
    let heard = |peer: &mut Peer, from: &str, bytes: &[u8]| {
        peer.client.handle_input(world.now, at(from), bytes)
    };
    assert_eq!(heard(&mut alice, SERVER, &answer), Input::NotOurs);
    assert_eq!(heard(&mut alice, SERVER, b"\x40"), Input::Consumed);
    assert_eq!(heard(&mut alice, SERVER, b"quic"), Input::NotOurs);
    let data = Builder::indication(Method::Data, [1; 12])
        .peer(at(BOB))
        .data(b"x");
    let data = data.finish();
    // One is not from the server; one is from a peer that is not permitted.
    assert_eq!(heard(&mut alice, BOB, &data), Input::NotOurs);
    assert_eq!(heard(&mut alice, SERVER, &data), Input::Consumed);
    // An error answer to another request is ignored.
    let error = Builder::new(Class::Error, Method::Refresh, [8; 12]).error_code(437);
    assert_eq!(heard(&mut alice, SERVER, &error.finish()), Input::Consumed);
    assert!(alice.client.relayed().is_some());
}

/// The client's next request, answered with that lifetime.
fn grant(client: &mut Client, now: std::time::Instant, lifetime: u32) -> Option<Method> {
    let request = client.poll_transmit()?;
    let request = stun::Message::parse(&request).unwrap();
    let key = turn::long_term_key("alice", "pinhole", "secret");
    let answer = Builder::success(&request).relayed(at("198.51.100.1:50000"));
    let answer = answer.lifetime(lifetime).finish_long_term(&key);
    client.handle_input(now, at(SERVER), &answer);
    Some(request.method())
}

#[test]
fn an_allocation_is_refreshed_within_the_lifetime_that_the_server_grants() {
    for lifetime in [60, 120, 180, 600, 3600] {
        let start = std::time::Instant::now();
        let config = relay::Config {
            server: at(SERVER),
            username: "alice".into(),
            password: "secret".into(),
            challenge: Some(Challenge {
                realm: "pinhole".into(),
                nonce: vec![7; 20],
            }),
        };
        let mut client = Client::new(&config, [3; 32], start);
        assert_eq!(grant(&mut client, start, lifetime), Some(Method::Allocate));
        let (mut granted, mut refreshes) = (start, 0);
        while refreshes < 5 {
            let now = client.poll_timeout().unwrap();
            client.handle_timeout(now);
            if grant(&mut client, now, lifetime) == Some(Method::Refresh) {
                let since = (now - granted).as_secs();
                assert!(since < u64::from(lifetime), "{since} s of {lifetime}");
                assert!(since >= u64::from(lifetime) / 2, "{since} s of {lifetime}");
                (granted, refreshes) = (now, refreshes + 1);
            }
        }
    }
}

#[test]
fn an_answer_that_does_not_know_our_password_allocates_nothing() {
    let mut world = World::new(limits(), &[]);
    let mut alice = Peer::new(&mut world, "alice", ALICE);
    let challenge = {
        let first = alice.client.poll_transmit().unwrap();
        world.ask(ALICE, &first)
    };
    alice.client.handle_input(world.now, at(SERVER), &challenge);
    let request = alice.client.poll_transmit().unwrap();
    let request = stun::Message::parse(&request).unwrap();
    let forged = Builder::success(&request).relayed(at(BOB)).lifetime(600);
    let key = turn::long_term_key("alice", "pinhole", "guess");
    for answer in [
        Builder::success(&request).relayed(at(BOB)).finish(),
        forged.finish_long_term(&key),
    ] {
        alice.client.handle_input(world.now, at(SERVER), &answer);
        assert_eq!(alice.client.relayed(), None);
    }
}

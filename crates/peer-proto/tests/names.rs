//! Names under load and names with a new key: what a client does about them.

mod world;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer_proto::client::{Client, Config, Event as ClientEvent};
use peer_proto::endpoint::{Config as EndpointConfig, Endpoint, Event};
use rendezvous_proto::server::{self, RATE, Server};
use sansio::{Input, Protocol};
use session::identity::Identity;
use session::rotation::Rotation;
use sim::Profile;
use stun::{Builder, Message, Method, code};
use world::{Setup, World, identity};

const A_WHILE: Duration = Duration::from_secs(5);

/// alice and bob, behind NATs; `set` sets them up.
fn two(set: impl FnOnce(&mut Setup<'_>, &mut Setup<'_>)) -> World {
    let mut world = World::new(1);
    let mut alice = Setup::new("alice", "192.168.1.2:41000", Some("bob"));
    let mut bob = Setup::new("bob", "192.168.2.2:42000", None);
    set(&mut alice, &mut bob);
    for (outer, seed, setup) in [("203.0.113.17", 1, alice), ("203.0.113.33", 2, bob)] {
        let home = world.router(outer, Profile::named("port-restricted").unwrap());
        world.peer(home, seed, setup);
    }
    world.run(A_WHILE);
    world
}

fn pinned(peer: &str, key: &str) -> HashMap<String, [u8; 32]> {
    HashMap::from([(peer.to_owned(), identity(key).public())])
}

/// The keys that this peer has followed, and those that it has refused.
fn keys(world: &World, peer: usize) -> (Vec<[u8; 32]>, Vec<[u8; 32]>) {
    let (mut followed, mut refused) = (Vec::new(), Vec::new());
    for (_, event) in &world.peers[peer].events {
        match event {
            Event::KeyRotated { now, .. } => followed.push(*now),
            Event::KeyChanged { now, .. } => refused.push(*now),
            _ => {}
        }
    }
    (followed, refused)
}

#[test]
fn a_caller_that_has_pinned_the_old_key_follows_its_signature_and_connects() {
    let world = two(|alice, bob| {
        alice.known = pinned("bob", "bob before");
        bob.replaces = Some("bob before");
    });
    let now = identity("bob").public();
    assert_eq!(keys(&world, 0), (vec![now], vec![]));
    assert!(
        world.peers[0].path().is_some(),
        "{:?}",
        world.peers[0].events
    );
}

#[test]
fn a_callee_that_has_pinned_the_old_key_follows_its_signature_and_answers() {
    let world = two(|alice, bob| {
        bob.known = pinned("alice", "alice before");
        alice.replaces = Some("alice before");
    });
    let now = identity("alice").public();
    assert_eq!(keys(&world, 1), (vec![now], vec![]));
    assert!(
        world.peers[1].path().is_some(),
        "{:?}",
        world.peers[1].events
    );
}

#[test]
fn a_peer_that_has_pinned_another_key_than_the_one_that_signed_treats_it_as_changed() {
    let world = two(|alice, bob| {
        alice.known = pinned("bob", "somebody else");
        bob.replaces = Some("bob before");
    });
    let now = identity("bob").public();
    assert_eq!(keys(&world, 0), (vec![], vec![now]));
    assert!(world.peers[0].path().is_none());
    let world = two(|alice, bob| {
        bob.known = pinned("alice", "somebody else");
        alice.replaces = Some("alice before");
    });
    assert_eq!(keys(&world, 1).0, Vec::<[u8; 32]>::new());
    assert!(world.peers[1].path().is_none());
}

#[test]
fn a_server_that_makes_up_a_signature_moves_no_pin() {
    let now = Instant::now();
    let server: SocketAddr = SERVER.parse().unwrap();
    let client = config("alice", 1);
    let mut endpoint = Endpoint::new(
        EndpointConfig {
            known: pinned("bob", "bob"),
            peer: Some("bob".into()),
            ..EndpointConfig::new(client)
        },
        now,
    );
    let (eve, nonce) = (identity("eve"), [b'a'; 32]);
    let mut forged = *Rotation::new(&eve, "bob", &eve.public()).as_bytes();
    forged[..32].copy_from_slice(&identity("bob").public());
    let mut looked_up = false;
    while let Some(request) = endpoint.poll_transmit() {
        let request = Message::parse(&request.payload).unwrap();
        let answer = match (request.method(), request.nonce()) {
            (Method::Register, None) => {
                Builder::error(&request, code::UNAUTHENTICATED).nonce(&nonce)
            }
            (Method::Lookup, Some(_)) => {
                looked_up = true;
                Builder::success(&request)
                    .public_key(&eve.public())
                    .fresh(&[5; 8])
                    .rotation(&forged)
            }
            _ => continue,
        };
        let answer = answer.finish();
        endpoint.handle_input(now, Input::datagram(0, server, &answer));
    }
    assert!(looked_up);
    let events: Vec<Event> = std::iter::from_fn(|| endpoint.poll_event()).collect();
    assert!(
        matches!(events[..], [Event::ServerKeyless, Event::KeyChanged { .. }]),
        "{events:?}"
    );
}

const SERVER: &str = "203.0.113.1:8848";

fn config(name: &str, seed: u8) -> Config {
    Config {
        server: SERVER.parse().unwrap(),
        name: name.into(),
        identity: Identity::from_secret(&[seed; 32]),
        sequence: 1,
        relay: false,
        seed: [seed; 32],
        server_key: None,
    }
}

fn client(name: &str, seed: u8, now: Instant) -> Client {
    Client::new(config(name, seed), now)
}

fn server(now: Instant, most_names: usize) -> Server {
    let config = server::Config {
        addresses: vec![SERVER.parse().unwrap()],
        secret: [9; 32],
        rate: RATE,
        most_names,
    };
    Server::new(config, now)
}

/// Exchanges messages and lets the client work, while time stands still.
fn settle(client: &mut Client, server: &mut Server, now: Instant, from: SocketAddr) {
    for _ in 0..2000 {
        while let Some(request) = client.poll_transmit() {
            server.handle_datagram(now, 0, from, &request);
            while let Some(answer) = server.poll_transmit() {
                client.handle_input(now, &Message::parse(&answer.payload).unwrap());
            }
        }
        match client.poll_timeout() {
            Some(at) if at <= now => client.handle_timeout(now),
            _ => return,
        }
    }
    panic!("the client has not come to rest");
}

fn events(client: &mut Client) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

#[test]
fn under_load_a_new_name_is_registered_for_a_proof_of_work() {
    let now = Instant::now();
    let mut server = server(now, 8);
    let mut worked = 0;
    for n in 0..8u8 {
        let from = SocketAddr::from(([198, 51, n, 1], 40000));
        let mut client = client(&format!("peer-{n}"), n + 1, now);
        settle(&mut client, &mut server, now, from);
        let events = events(&mut client);
        let wanted = |event: &&ClientEvent| matches!(event, ClientEvent::WorkWanted { .. });
        worked += events.iter().filter(wanted).count();
        let last = events.last();
        assert!(
            matches!(last, Some(ClientEvent::Registered { .. })),
            "{n}: {events:?}"
        );
        // A bound name costs nothing.
        client.refresh(now + Duration::from_secs(1));
        settle(&mut client, &mut server, now + Duration::from_secs(1), from);
        assert!(self::events(&mut client).is_empty());
    }
    assert_eq!((worked, server.registered(now)), (2, 8));
}

/// The answer of a server that asks for that much work.
fn lie(request: &[u8], bits: u8, nonce: &[u8]) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    let lie = Builder::error(&request, code::WORK_REQUIRED);
    lie.work(&[bits]).nonce(nonce).finish()
}

#[test]
fn an_absurd_difficulty_is_refused_and_a_great_one_does_not_block_the_client() {
    let now = Instant::now();
    let mut client = client("alice", 1, now);
    let request = client.poll_transmit().unwrap();
    let absurd = lie(&request, 40, &[b'a'; 32]);
    client.handle_input(now, &Message::parse(&absurd).unwrap());
    let told = events(&mut client);
    let refused = matches!(told[..], [ClientEvent::Refused(code::WORK_REQUIRED)]);
    assert!(refused, "{told:?}");
    assert!(client.poll_timeout().unwrap() > now, "it does not work");

    let later = client.poll_timeout().unwrap();
    client.handle_timeout(later);
    let request = client.poll_transmit().unwrap();
    let great = lie(&request, 21, &[b'b'; 32]);
    client.handle_input(later, &Message::parse(&great).unwrap());
    // It works in many steps, between which it asks others.
    let mut steps = 0;
    while steps < 20 && client.poll_timeout().is_some_and(|at| at <= later) {
        client.handle_timeout(later);
        steps += 1;
        if steps == 10 {
            client.look_up(later, "bob");
            let request = client.poll_transmit().unwrap();
            let method = Message::parse(&request).unwrap().method();
            assert_eq!(method, Method::Lookup);
        }
    }
    assert_eq!(steps, 20);
}

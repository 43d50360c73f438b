//! A client whose clock went back: its SEQUENCE starts below the last one that the
//! server has seen of its key.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer_proto::client::{Client, Config, Event};
use rendezvous_proto::server::{self, RATE, Server};
use sansio::Protocol;
use session::identity::Identity;
use stun::Message;

const ALICE: &str = "203.0.113.17:40000";

fn server(now: Instant) -> Server {
    let config = server::Config {
        addresses: vec!["203.0.113.1:8848".parse().unwrap()],
        secret: [9; 32],
        rate: RATE,
        most_names: 10,
    };
    Server::new(config, now)
}

/// What a client that begins with this SEQUENCE learns in one exchange of all
/// messages, without a timer.
fn begin(server: &mut Server, now: Instant, sequence: u64) -> Vec<Event> {
    let alice: SocketAddr = ALICE.parse().unwrap();
    let config = Config {
        server: "203.0.113.1:8848".parse().unwrap(),
        server_key: None,
        name: "alice".into(),
        identity: Identity::from_secret(&[1; 32]),
        sequence,
        relay: false,
        seed: [2; 32],
    };
    let mut client = Client::new(config, now);
    let mut messages = 0;
    while let Some(request) = client.poll_transmit() {
        messages += 1;
        assert!(messages < 20, "they go on and on");
        server.handle_datagram(now, 0, alice, &request);
        while let Some(answer) = server.poll_transmit() {
            client.handle_input(now, &Message::parse(&answer.payload).unwrap());
        }
    }
    std::iter::from_fn(|| client.poll_event()).collect()
}

#[test]
fn it_registers_above_the_last_sequence_that_the_server_has_seen() {
    let start = Instant::now();
    let mut server = server(start);
    for (seconds, sequence) in [(0, 1_000_000), (1, 7), (2, 8)] {
        let events = begin(&mut server, start + Duration::from_secs(seconds), sequence);
        let registered = |event: &Event| matches!(event, Event::Registered { .. });
        assert!(events.iter().any(registered), "{sequence}: {events:?}");
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Refused(_)))
        );
    }
}

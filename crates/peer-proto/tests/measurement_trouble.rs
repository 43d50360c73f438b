//! A second address of the rendezvous that is silent, slow or answers nonsense, and a NAT
//! whose measurement never ends: a direct path is delayed by no more than a round trip.

mod world;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use peer_proto::endpoint::Wish;
use sansio::{Input, Protocol, Transmit};
use sim::{Network, Profile};
use stun::{Builder, Message};
use world::{Setup, World, at, ip};

const LIMIT: Duration = Duration::from_secs(30);
const SECOND_ADDRESS: &str = "203.0.113.2:8849";
const HOP: Duration = Duration::from_millis(10);

/// From alice through her router and the core to the rendezvous, and back.
const ROUND_TRIP: Duration = Duration::from_millis(60);

/// What is the matter with the second address.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Nothing,
    Silent,
    /// It answers half a second late.
    Slow,
    /// Not STUN.
    Garbage,
    /// Answers to other transactions.
    OtherTransaction,
    /// An answer without an address.
    NoAddress,
    /// An error.
    Refuses,
}

struct Second {
    trouble: Trouble,
    answers: VecDeque<(Instant, SocketAddr, Vec<u8>)>,
    now: Instant,
}

impl Second {
    fn answer(&self, from: SocketAddr, request: &Message<'_>) -> Option<Vec<u8>> {
        let answer = Builder::success(request);
        Some(match self.trouble {
            Trouble::Nothing | Trouble::Slow => answer.xor_mapped(from).finish(),
            Trouble::Silent => return None,
            Trouble::Garbage => vec![0xff; 40],
            Trouble::OtherTransaction => {
                let other = stun::binding_request([9; 12], None);
                let other = Message::parse(&other).ok()?;
                Builder::success(&other).xor_mapped(from).finish()
            }
            Trouble::NoAddress => answer.finish(),
            Trouble::Refuses => Builder::error(request, 500).finish(),
        })
    }
}

impl Protocol for Second {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagram(datagram) = input else {
            return;
        };
        let Ok(request) = Message::parse(datagram.payload) else {
            return;
        };
        if let Some(answer) = self.answer(datagram.from, &request) {
            let late = match self.trouble {
                Trouble::Slow => Duration::from_millis(500),
                _ => Duration::ZERO,
            };
            self.now = now;
            self.answers.push_back((now + late, datagram.from, answer));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.answers.front().map(|(at, ..)| *at)
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let due = self.answers.front().is_some_and(|(at, ..)| *at <= self.now);
        let (_, to, answer) = due.then(|| self.answers.pop_front())??;
        Some(Transmit::new(0, to, answer))
    }
}

/// alice calls bob, who has been there for a second; from when she has a path.
fn time_to_path(kind: &str, trouble: Trouble, measuring: bool) -> Duration {
    let mut world = World::with_server_at(1, &[ip("203.0.113.1")]);
    world.network.set_latency(Network::CORE, HOP);
    let homes = ["203.0.113.17", "203.0.113.33"]
        .map(|outer| world.router(outer, Profile::named(kind).unwrap()));
    let now = world.network.now();
    let second = Second {
        trouble,
        answers: VecDeque::new(),
        now,
    };
    for (n, name, peer) in [(1, "alice", Some("bob")), (2, "bob", None)] {
        let address = format!("192.168.{n}.2:41000");
        let setup = Setup {
            from: (n == 2).then_some("alice"),
            relay: Wish::Never,
            measuring,
            ..Setup::new(name, &address, peer)
        };
        world.peer(homes[usize::from(n) - 1], n, setup);
    }
    world.other(at(SECOND_ADDRESS), second);
    world.run(LIMIT);
    let connected = world.peers[0].connected_at();
    let told = &world.peers[0].events;
    connected.unwrap_or_else(|| panic!("{kind}, {trouble:?}: {told:#?}")) - now
}

#[test]
fn no_trouble_of_the_second_address_delays_a_direct_path_by_more_than_a_round_trip() {
    for kind in ["full-cone", "restricted", "port-restricted"] {
        let without = time_to_path(kind, Trouble::Nothing, false);
        for trouble in [
            Trouble::Silent,
            Trouble::Slow,
            Trouble::Garbage,
            Trouble::OtherTransaction,
            Trouble::NoAddress,
            Trouble::Refuses,
        ] {
            let took = time_to_path(kind, trouble, false);
            assert!(
                took <= without + ROUND_TRIP,
                "{kind}, {trouble:?}: {took:?}, without trouble {without:?}"
            );
        }
    }
}

#[test]
fn a_measurement_that_never_ends_delays_no_plain_path() {
    for kind in ["full-cone", "restricted", "port-restricted", "masquerade"] {
        let without = time_to_path(kind, Trouble::Nothing, false);
        let took = time_to_path(kind, Trouble::Nothing, true);
        assert_eq!(took, without, "{kind}");
    }
}

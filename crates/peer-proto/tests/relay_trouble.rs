//! A relay that refuses, is silent, is slow, or knows our address already: it delays no
//! direct path by more than a round trip, and it is named where only a relay would do.

mod world;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use peer_proto::endpoint::{Event, Wish};
use peer_proto::relay::{self, Failure};
use sansio::{Input, Protocol, Transmit};
use sim::{Network, Profile};
use stun::{Builder, Class, Message, Method, code, turn};
use world::{Setup, World, at};

const LIMIT: Duration = Duration::from_secs(30);
const RELAY: &str = "203.0.113.5:3478";
const HOP: Duration = Duration::from_millis(10);

/// From alice through her router and the core to the rendezvous, and back.
const ROUND_TRIP: Duration = Duration::from_millis(60);

/// A TURN server that has something the matter with it.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Each Allocate that is authenticated gets this error code.
    Refuses(u16),
    /// Like 437, for the address that we ask from first.
    KnowsFirstAddress,
    Silent,
    /// It answers a second late.
    Slow,
}

struct BrokenRelay {
    trouble: Trouble,
    first: Option<std::net::SocketAddr>,
    answers: VecDeque<(Instant, Transmit)>,
    now: Instant,
}

impl BrokenRelay {
    fn answer(&mut self, from: std::net::SocketAddr, message: &Message<'_>) -> Option<Vec<u8>> {
        let error = |code| {
            let answer = Builder::error(message, code);
            answer.realm("broken").nonce(b"nonce").finish()
        };
        if message.username().is_none() {
            return Some(error(code::UNAUTHENTICATED));
        }
        let first = *self.first.get_or_insert(from);
        match (self.trouble, message.method()) {
            (Trouble::Refuses(code), _) => Some(error(code)),
            (Trouble::KnowsFirstAddress, _) if from == first => {
                Some(error(code::ALLOCATION_MISMATCH))
            }
            (_, Method::Allocate) => {
                let key = turn::long_term_key("alice", "broken", "secret");
                let answer = Builder::success(message).relayed(at("203.0.113.5:50000"));
                Some(answer.xor_mapped(from).lifetime(600).finish_long_term(&key))
            }
            _ => None,
        }
    }
}

impl Protocol for BrokenRelay {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        let Input::Datagram(datagram) = input else {
            return;
        };
        let Ok(message) = Message::parse(datagram.payload) else {
            return;
        };
        if message.class() != Class::Request || matches!(self.trouble, Trouble::Silent) {
            return;
        }
        let late = match self.trouble {
            Trouble::Slow => Duration::from_secs(1),
            _ => Duration::ZERO,
        };
        if let Some(answer) = self.answer(datagram.from, &message) {
            let transmit = Transmit::new(0, datagram.from, answer);
            self.answers.push_back((now + late, transmit));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.answers.front().map(|(at, _)| *at)
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        let due = self.answers.front().is_some_and(|(at, _)| *at <= self.now);
        let (_, transmit) = due.then(|| self.answers.pop_front())??;
        Some(transmit)
    }
}

/// alice calls bob; her relay, if she wants one, has this trouble.
fn meet(kind: &str, wish: Wish, trouble: Trouble) -> World {
    let mut world = World::new(1);
    world.network.set_latency(Network::CORE, HOP);
    for (n, name, peer) in [(1, "alice", Some("bob")), (2, "bob", None)] {
        let outer = ["203.0.113.17", "203.0.113.33"][usize::from(n) - 1];
        let home = world.router(outer, Profile::named(kind).unwrap());
        let address = format!("192.168.{n}.2:41000");
        // bob knows the relay as well, or he would send nothing there. The caller allocates.
        let turn = relay::Config {
            server: at(RELAY),
            username: "alice".into(),
            password: "secret".into(),
            challenge: None,
        };
        let setup = Setup {
            from: (n == 2).then_some("alice"),
            relay: if n == 1 { wish } else { Wish::Allowed },
            turn: Some(turn),
            ..Setup::new(name, &address, peer)
        };
        world.peer(home, n, setup);
    }
    let now = world.network.now();
    world.other(
        at(RELAY),
        BrokenRelay {
            trouble,
            first: None,
            answers: VecDeque::new(),
            now,
        },
    );
    world.run(LIMIT);
    world
}

fn time_to_path(world: &World) -> Duration {
    let connected = world.peers[0].connected_at();
    let start = world.peers[0].sent[0].0;
    connected.expect("no path") - start
}

#[test]
fn no_trouble_of_the_relay_delays_a_direct_path_by_more_than_a_round_trip() {
    let without = time_to_path(&meet("port-restricted", Wish::Never, Trouble::Silent));
    for trouble in [
        Trouble::Refuses(486),
        Trouble::Refuses(508),
        Trouble::Refuses(code::ALLOCATION_MISMATCH),
        Trouble::KnowsFirstAddress,
        Trouble::Silent,
        Trouble::Slow,
    ] {
        let world = meet("port-restricted", Wish::Allowed, trouble);
        let took = time_to_path(&world);
        assert!(!world.peers[0].path().unwrap().relayed, "{trouble:?}");
        assert!(
            took <= without + ROUND_TRIP,
            "{trouble:?}: {took:?}, without a relay {without:?}"
        );
    }
}

#[test]
fn where_only_the_relay_is_wanted_its_refusal_is_the_cause_and_is_told_at_once() {
    for (trouble, code, failure) in [
        (
            Trouble::Refuses(486),
            "RELAY_REFUSED",
            Failure::Refused(486),
        ),
        (
            Trouble::Refuses(508),
            "RELAY_REFUSED",
            Failure::Refused(508),
        ),
        (
            Trouble::Refuses(437),
            "RELAY_REFUSED",
            Failure::Refused(437),
        ),
        (Trouble::Silent, "RELAY_SILENT", Failure::Silent),
    ] {
        let world = meet("symmetric", Wish::Only, trouble);
        let alice = &world.peers[0];
        let cause = alice.cause().map(|cause| cause.code());
        assert_eq!(cause, Some(code), "{trouble:?}: {:#?}", alice.events);
        let told = |event: &Event| match event {
            Event::NoRelay { relay, failure } => Some((*relay, *failure)),
            _ => None,
        };
        let told = Vec::from_iter(alice.events.iter().filter_map(|(_, event)| told(event)));
        assert_eq!(told, [(at(RELAY), failure)]);
    }
}

#[test]
fn another_address_of_ours_is_used_where_the_relay_knows_the_first_one() {
    let world = meet("symmetric", Wish::Allowed, Trouble::KnowsFirstAddress);
    let to_relay = |transmit: &Transmit| transmit.to == at(RELAY);
    let alice = &world.peers[0];
    let sent = alice.sent.iter().filter(|(_, transmit)| to_relay(transmit));
    let sockets = std::collections::BTreeSet::from_iter(sent.map(|(_, it)| it.socket));
    assert_eq!(sockets.len(), 2, "{sockets:?}");
    // bob is told of the relayed address, and probes it.
    let relayed = at("203.0.113.5:50000");
    let mut of_bob = world.peers[1].sent.iter();
    assert!(of_bob.any(|(_, transmit)| transmit.to == relayed));
}

#[test]
fn a_relayed_address_that_comes_late_is_told() {
    let world = meet("symmetric", Wish::Allowed, Trouble::Slow);
    let relayed = at("203.0.113.5:50000");
    let mut of_bob = world.peers[1].sent.iter();
    assert!(of_bob.any(|(_, transmit)| transmit.to == relayed));
}

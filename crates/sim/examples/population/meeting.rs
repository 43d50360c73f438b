//! One pair: two homes, a core, a rendezvous that relays; the brains are those
//! that the tools run.

#[path = "../../../peer-proto/tests/world/rendezvous.rs"]
mod rendezvous;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::Dependence::EndpointIndependent;
use nat::plan::{Limits, Strategy};
use peer_proto::client;
use peer_proto::endpoint::{Config, Endpoint, Event, Strangers, Wish};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rendezvous_proto::server;
use sansio::{Input, Protocol, Transmit};
use session::identity::Identity;
use sim::{Network, Ports, Profile};

use self::rendezvous::{PORTS, Rendezvous};
use crate::people::{Pair, Person};

const S1: [u8; 4] = [203, 0, 113, 1];
const PORT: u16 = 8848;
/// No attempt takes longer: a spray of 2,000 probes at 200 a second, both ways,
/// and then some.
const LIMIT: Duration = Duration::from_secs(90);

/// What came of it, at the caller's.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What was planned.
    pub planned: Strategy,
    /// What carries the data in the end; `None` if nothing does.
    pub path: Option<Way>,
    /// From the introduction to the first path, which may be a relayed one.
    pub usable: Option<Duration>,
    /// From the introduction to the path that it is in the end.
    pub settled: Option<Duration>,
    /// Probes of both sides.
    pub probes: u32,
    /// Why not, if it failed.
    pub cause: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    Relayed,
}

/// Lets them try.
pub fn meet(pair: &Pair, loss: f64, neighbours: f64, limits: Limits) -> Outcome {
    let start = Instant::now();
    let mut network = Network::new(start, pair.seed);
    network.set_loss(loss);
    let mut rendezvous = serve(&mut network);
    let people = [(&pair.caller, 1), (&pair.target, 2)];
    let mut crowds = Vec::new();
    let [mut caller, mut target] = people.map(|(person, home)| {
        // The way from the NAT to the core, which takes its time; a LAN does not.
        let [provider, outer] = [2, 1].map(|n| IpAddr::from([203, 0, 113, 16 * home + n]));
        let plain = Profile {
            translates: false,
            ..Profile::new(EndpointIndependent, EndpointIndependent)
        };
        let access = network.add_router(Network::CORE, provider, plain);
        network.set_latency(access, person.distance);
        let place = network.add_router(access, outer, person.nat.clone());
        let local = SocketAddr::from(([192, 168, home, 2], 40000 + u16::from(home)));
        let host = network.add_host(place, &[local.ip()]);
        network.bind(host, local);
        crowds.push((place, home));
        endpoint(person, home, local, pair.seed, limits, start)
    });
    // After the two, since brains are numbered like hosts.
    let mut crowds: Vec<Crowd> = people
        .iter()
        .zip(crowds)
        .map(|((person, _), (place, home))| {
            let local = SocketAddr::from(([192, 168, home, 3], 7));
            let host = network.add_host(place, &[local.ip()]);
            network.bind(host, local);
            let counts = matches!(person.nat.ports, Ports::Sequential { .. });
            let rate = if counts { neighbours } else { 0.0 };
            Crowd::new(pair.seed ^ u64::from(home), rate, start)
        })
        .collect();
    let mut told = [Told::default(), Told::default()];
    loop {
        let [one, other] = crowds.as_mut_slice() else {
            unreachable!("there are two homes")
        };
        let mut brains: [&mut dyn Protocol; 5] =
            [&mut rendezvous, &mut caller, &mut target, one, other];
        let more = network.step(&mut brains, start + LIMIT);
        let now = network.now();
        for (endpoint, told) in [&mut caller, &mut target].into_iter().zip(&mut told) {
            while let Some(event) = endpoint.poll_event() {
                told.hear(now, event);
            }
        }
        if !more || told.iter().all(|told| told.over) {
            break;
        }
    }
    let probes = caller.probes_sent() + target.probes_sent();
    let [told, _] = told;
    let since = |at: Option<Instant>| Some(at? - told.introduced?);
    Outcome {
        planned: told.planned.unwrap_or(Strategy::None),
        path: told.path,
        usable: since(told.first),
        settled: since(told.last),
        probes,
        cause: match (told.path, told.cause) {
            (Some(_), _) => "",
            (None, Some(cause)) => cause,
            (None, None) => "never introduced",
        },
    }
}

/// The server and its relay, whose sockets are open from the start.
fn serve(network: &mut Network) -> Rendezvous {
    let [s1, s2] = [1, 2].map(|last| IpAddr::from([203, 0, 113, last]));
    let host = network.add_host(Network::CORE, &[s1, s2]);
    let ports = |ip| [PORT, PORT + 1].map(|port| SocketAddr::new(ip, port));
    let addresses: Vec<SocketAddr> = [s1, s2].into_iter().flat_map(ports).collect();
    let relayed = PORTS.map(|port| SocketAddr::new(s1, port));
    for address in addresses.iter().copied().chain(relayed) {
        network.bind(host, address);
    }
    let config = server::Config {
        addresses,
        secret: [42; 32],
        rate: server::RATE,
        most_names: 2,
    };
    Rendezvous::new(config, network.now())
}

fn endpoint(
    person: &Person,
    home: u8,
    local: SocketAddr,
    seed: u64,
    limits: Limits,
    now: Instant,
) -> Endpoint {
    let mut bytes = [home; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let config = Config {
        client: client::Config {
            server: (S1, PORT).into(),
            server_key: Some(rendezvous::key().public()),
            name: ["", "alice", "bob"][usize::from(home)].into(),
            identity: Identity::from_secret(&[home; 32]),
            sequence: 1000,
            relay: false,
            seed: bytes,
        },
        hosts: vec![local],
        lan: true,
        peer: (home == 1).then(|| "bob".into()),
        from: (home == 2).then(|| "alice".into()),
        strangers: Strangers::Answer,
        most_attempts: 1,
        known: HashMap::new(),
        rotation: None,
        opener_ttl: Some(2),
        relay: Wish::Allowed,
        turn: None,
        measuring: false,
        attempt: Duration::from_secs(10),
        tcp: None,
        tcp_too: false,
        shares: false,
    };
    let mut endpoint = Endpoint::new(config, now);
    endpoint.describe(now, Some(person.nat.side(limits)));
    endpoint
}

/// What a peer has told of its attempt.
#[derive(Default)]
struct Told {
    introduced: Option<Instant>,
    planned: Option<Strategy>,
    first: Option<Instant>,
    last: Option<Instant>,
    path: Option<Way>,
    cause: Option<&'static str>,
    over: bool,
}

impl Told {
    fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Introduced { plan, .. } => {
                self.introduced = Some(now);
                self.planned = Some(plan.strategy);
            }
            Event::Connected { path, .. } => {
                self.first.get_or_insert(now);
                self.last = Some(now);
                self.path = Some(match path.relayed {
                    true => Way::Relayed,
                    false => Way::Direct,
                });
            }
            Event::Finished { .. } => self.over = true,
            Event::Failed { cause, .. } => {
                self.cause = Some(cause.code());
                self.over = true;
            }
            _ => {}
        }
    }
}

/// The others behind a NAT: each packet of theirs goes to somebody new, and so
/// takes a port.
struct Crowd {
    dice: ChaCha8Rng,
    rate: f64,
    next: Option<Instant>,
    count: u16,
    due: bool,
}

impl Crowd {
    fn new(seed: u64, rate: f64, start: Instant) -> Self {
        let mut crowd = Crowd {
            dice: ChaCha8Rng::seed_from_u64(seed),
            rate,
            next: None,
            count: 0,
            due: false,
        };
        crowd.wait(start);
        crowd
    }

    /// Poisson: the gaps are exponential.
    fn wait(&mut self, now: Instant) {
        let dice = (f64::from(self.dice.next_u32()) + 1.0) / 2f64.powi(32);
        let gap = (self.rate > 0.0).then(|| Duration::from_secs_f64(-dice.ln() / self.rate));
        self.next = gap.map(|gap| now + gap.max(Duration::from_micros(1)));
    }
}

impl Protocol for Crowd {
    fn handle_input(&mut self, _: Instant, _: Input<'_>) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.due = true;
        self.count = self.count.wrapping_add(1);
        self.wait(now);
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        std::mem::take(&mut self.due).then(|| Transmit {
            socket: 0,
            to: ([198, 51, 100, 7], self.count).into(),
            ttl: None,
            payload: Vec::new(),
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

//! A gateway that refuses, is silent, is slow, talks nonsense, or grants what is of no use: it delays
//! no direct path by more than a round trip.

mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gateway_proto::lease::{
    Action, Config, Event, Grant, Lease, MAX_LIFETIME, MappingProtocol, NoMapping,
};
use gateway_proto::message::map::{NatPmpMapping, nat_pmp_map};
use gateway_proto::message::{NAT_PMP_REQUEST, NatPmpAnswer};
use nat::plan::Limits;
use peer_proto::endpoint::{Event as Told, Wish};
use sim::{Network, Profile};
use world::{World, two_relayed_homes};

const LIMIT: Duration = Duration::from_secs(30);
const HOP: Duration = Duration::from_millis(10);

/// From alice through her router and the core to the rendezvous, and back.
const ROUND_TRIP: Duration = Duration::from_millis(60);

/// A request by NAT-PMP that gets no answer is given up after this time.
const PATIENCE: Duration = Duration::from_millis(1500);

const INSIDE: u16 = 41000;
const ANOTHER: u16 = 61000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    Refuses,
    Silent,
    /// Each answer takes two seconds.
    Slow,
    Nonsense,
    /// It grants another outside port than was asked for, and lets nothing in there. Where ports would
    /// have to be guessed without it, peers rely on it, so these pairs are not tried with it.
    AnotherPort,
    NoLifetime,
}

impl Trouble {
    /// What it answers, and when.
    fn answer(self, request: &[u8], outside: [u8; 4]) -> Option<(Duration, Vec<u8>)> {
        let head = |result: u8| vec![0, request[1] | 0x80, 0, result, 0, 0, 0, 1];
        let granted = |port: u16, seconds: u32| {
            let mut answer = head(0);
            match request[1] {
                0 => answer.extend(outside),
                _ => {
                    answer.extend(INSIDE.to_be_bytes());
                    answer.extend(port.to_be_bytes());
                    answer.extend(seconds.to_be_bytes());
                }
            }
            answer
        };
        let soon = Duration::from_millis(2);
        match self {
            Trouble::Refuses => Some((soon, head(2))),
            Trouble::Silent => None,
            Trouble::Slow => Some((Duration::from_secs(2), granted(ANOTHER, 7200))),
            Trouble::Nonsense => Some((soon, vec![0x5a; 61])),
            Trouble::AnotherPort => Some((soon, granted(ANOTHER, 7200))),
            Trouble::NoLifetime => Some((soon, granted(INSIDE, 0))),
        }
    }
}

/// A lease at that gateway.
struct AtGateway {
    lease: Lease,
    trouble: Trouble,
    outside: [u8; 4],
    /// The outcomes of what was asked, and when they come.
    coming: Vec<(Instant, Action, Result<Option<Grant>, NoMapping>)>,
}

impl AtGateway {
    fn new(trouble: Trouble, outside: [u8; 4]) -> AtGateway {
        let config = Config {
            protocols: vec![MappingProtocol::NatPmp],
            observed: vec![outside.into()],
            ..Config::default()
        };
        AtGateway {
            lease: Lease::new(config),
            trouble,
            outside,
            coming: Vec::new(),
        }
    }

    /// What comes of this, and after which time.
    fn ask(&self, action: Action) -> (Duration, Result<Option<Grant>, NoMapping>) {
        let request: &[u8] = match action {
            Action::Find(_) => &NAT_PMP_REQUEST,
            Action::Map { lifetime, .. } => {
                assert!(lifetime <= MAX_LIFETIME);
                &nat_pmp_map(INSIDE, INSIDE, lifetime.as_secs() as u32)
            }
            Action::Release(_) => &nat_pmp_map(INSIDE, 0, 0),
        };
        let Some((after, bytes)) = self.trouble.answer(request, self.outside) else {
            return (PATIENCE, Err(NoMapping::Silent));
        };
        let read = match action {
            Action::Find(_) => NatPmpAnswer::parse(&bytes).map(|it| (it.result, None)),
            _ => NatPmpMapping::parse(&bytes).map(|it| {
                let grant = Grant {
                    external: SocketAddr::from((self.outside, it.external)),
                    lifetime: Duration::from_secs(it.lifetime.into()),
                };
                (it.result, Some(grant))
            }),
        };
        match read {
            None => (PATIENCE, Err(NoMapping::Silent)),
            Some((0, grant)) => (after, Ok(grant)),
            Some((code, _)) => (after, Err(NoMapping::RefusedByGateway(code.to_string()))),
        }
    }

    /// Goes on to now; the mapping, each time that it changes.
    fn advance(&mut self, now: Instant) -> Vec<Option<SocketAddr>> {
        let (due, later) = std::mem::take(&mut self.coming)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.coming = later;
        let due: Vec<_> = due;
        for (_, action, outcome) in due {
            match (action, outcome) {
                (Action::Find(by), Ok(_)) => self.lease.handle_found(now, by),
                (Action::Find(by), Err(why)) => self.lease.handle_missing(now, by, why),
                (Action::Map { protocol, .. }, Ok(Some(grant))) => {
                    self.lease.handle_granted(now, protocol, grant);
                }
                (Action::Map { protocol, .. }, outcome) => {
                    let why = outcome.err().unwrap_or(NoMapping::Silent);
                    self.lease.handle_failed(now, protocol, why);
                }
                (Action::Release(_), _) => self.lease.handle_released(now),
            }
        }
        if self.lease.poll_timeout().is_some_and(|at| at <= now) {
            self.lease.handle_timeout(now);
        }
        while let Some(action) = self.lease.poll_action() {
            let (after, outcome) = self.ask(action);
            self.coming.push((now + after, action, outcome));
        }
        let events = std::iter::from_fn(|| self.lease.poll_event());
        let external = |event| match event {
            Event::Mapped(mapped) => Some(mapped.external),
            Event::Lost(_) | Event::Nothing(_) => None,
        };
        events.map(external).collect()
    }
}

/// alice calls bob; the gateway of one of them, if any, has this trouble. Also how often that peer was
/// given an outside port.
fn meet(
    (a, b): (&str, &str),
    limits: Option<Limits>,
    trouble: Option<(usize, Trouble)>,
) -> (World, usize) {
    let [a, b] = [a, b].map(|name| Profile::named(name).unwrap());
    let mut world = two_relayed_homes(1, (a, Wish::Never), (b, Wish::Never), limits);
    world.network.set_latency(Network::CORE, HOP);
    for home in world.homes.clone() {
        world.network.set_latencies(home, HOP, HOP);
    }
    let outside = [[203, 0, 113, 17], [203, 0, 113, 33]];
    let mut gateway = trouble.map(|(who, trouble)| (who, AtGateway::new(trouble, outside[who])));
    let (until, mut given) = (world.network.now() + LIMIT, 0);
    while world.network.now() < until && !world.has_ended() {
        let now = world.network.now();
        if let Some((who, gateway)) = &mut gateway {
            for external in gateway.advance(now) {
                given += usize::from(external.is_some());
                world.peers[*who].endpoint.opened(now, external);
            }
        }
        world.run(Duration::from_millis(1));
    }
    (world, given)
}

fn time_to_path(world: &World) -> Duration {
    let alice = &world.peers[0];
    let told = |event: &Told| matches!(event, Told::Failed { .. });
    assert!(!alice.events.iter().any(|(_, event)| told(event)));
    let connected = alice.connected_at();
    connected.unwrap_or_else(|| panic!("no path: {:#?}", alice.events)) - alice.sent[0].0
}

#[test]
fn no_trouble_of_a_gateway_delays_a_direct_path_by_more_than_a_round_trip() {
    // Packets enough for a guess within the time.
    let spray = Some(Limits {
        pps: 4000,
        probes: 4000,
        ..Limits::POLITE
    });
    for (pair, limits) in [
        (("port-restricted", "port-restricted"), None),
        (("full-cone", "symmetric"), None),
        (("port-restricted", "symmetric"), spray),
    ] {
        let without = time_to_path(&meet(pair, limits, None).0);
        for trouble in [
            Trouble::Refuses,
            Trouble::Silent,
            Trouble::Slow,
            Trouble::Nonsense,
            Trouble::AnotherPort,
            Trouble::NoLifetime,
        ] {
            let relied_on = trouble == Trouble::AnotherPort && limits.is_some();
            for who in [0, 1].into_iter().filter(|_| !relied_on) {
                let (world, given) = meet(pair, limits, Some((who, trouble)));
                let took = time_to_path(&world);
                assert!(
                    took <= without + ROUND_TRIP,
                    "{pair:?}, {trouble:?} at peer {who}: {took:?}, without {without:?}"
                );
                let may_be_given = trouble == Trouble::AnotherPort;
                assert_eq!(given > 0, may_be_given, "{pair:?}, {trouble:?}");
            }
        }
    }
}

//! A lease against a scripted gateway, under a virtual clock.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::MappingProtocol::{NatPmp, Pcp, UpnpIgd};
use super::{
    Action, Config, Event, Grant, LIFETIME, Lease, MAX_LIFETIME, Mapped, MappingProtocol,
    NoMapping, PAUSE_AFTER_FAILURE, State,
};

const OUTER: &str = "203.0.113.17:5000";

struct World {
    lease: Lease,
    now: Instant,
}

fn world(observed: &[&str]) -> World {
    let observed = observed.iter().map(|ip| ip.parse().unwrap()).collect();
    let config = Config {
        observed,
        ..Config::default()
    };
    World {
        lease: Lease::new(config),
        now: Instant::now(),
    }
}

fn grant(external: &str, seconds: u64) -> Grant {
    Grant {
        external: external.parse().unwrap(),
        lifetime: Duration::from_secs(seconds),
    }
}

impl World {
    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.lease.poll_action()).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.lease.poll_event()).collect()
    }

    /// The gateway speaks this protocol alone, is asked by it, and grants.
    fn hold(&mut self, protocol: MappingProtocol, seconds: u64) {
        self.actions();
        self.lease.handle_found(self.now, protocol);
        assert_eq!(self.actions(), [map(protocol, None)]);
        let granted = grant(OUTER, seconds);
        self.lease.handle_granted(self.now, protocol, granted);
        let mapped = Mapped {
            external: granted.external,
            protocol,
            lifetime: granted.lifetime,
        };
        assert_eq!(self.events(), [Event::Mapped(mapped)]);
    }

    fn sleep(&mut self) -> Duration {
        let next = self.lease.poll_timeout().expect("a timeout");
        let slept = next - self.now;
        self.now = next;
        self.lease.handle_timeout(next);
        slept
    }
}

fn map(protocol: MappingProtocol, external: Option<&str>) -> Action {
    Action::Map {
        protocol,
        external: external.map(|text| text.parse().unwrap()),
        lifetime: LIFETIME,
    }
}

#[test]
fn all_protocols_are_tried_at_once_and_the_first_that_answers_is_asked_for_the_mapping() {
    let mut world = world(&[]);
    let finds = MappingProtocol::ALL.map(Action::Find);
    assert_eq!(world.actions(), finds);
    world.hold(NatPmp, 7200);
    world.lease.handle_found(world.now, Pcp);
    world
        .lease
        .handle_missing(world.now, UpnpIgd, NoMapping::Silent);
    assert_eq!(world.actions(), []);
    assert_eq!(world.events(), []);
}

#[test]
fn after_a_refusal_the_next_protocol_is_asked_and_at_last_all_again() {
    let mut world = world(&[]);
    world.actions();
    world.lease.handle_found(world.now, Pcp);
    world.lease.handle_found(world.now, UpnpIgd);
    assert_eq!(world.actions(), [map(Pcp, None)]);
    let refused = NoMapping::RefusedByGateway("not authorised".to_owned());
    world.lease.handle_failed(world.now, Pcp, refused.clone());
    assert_eq!(world.actions(), [map(UpnpIgd, None)]);
    world
        .lease
        .handle_missing(world.now, NatPmp, NoMapping::Silent);
    assert_eq!(world.events(), []);
    world
        .lease
        .handle_failed(world.now, UpnpIgd, refused.clone());
    let why = vec![
        (Pcp, refused.clone()),
        (NatPmp, NoMapping::Silent),
        (UpnpIgd, refused),
    ];
    assert_eq!(world.events(), [Event::Nothing(why)]);
    assert_eq!(world.sleep(), PAUSE_AFTER_FAILURE);
    assert_eq!(world.actions(), MappingProtocol::ALL.map(Action::Find));
}

#[test]
fn a_mapping_whose_answer_may_be_lost_is_released_before_the_next_protocol_is_asked() {
    let mut world = world(&[]);
    world.actions();
    world.lease.handle_found(world.now, Pcp);
    world.lease.handle_found(world.now, NatPmp);
    world.actions();
    world.lease.handle_failed(world.now, Pcp, NoMapping::Silent);
    assert_eq!(world.actions(), [Action::Release(Pcp)]);
    world.lease.handle_released(world.now);
    assert_eq!(world.actions(), [map(NatPmp, None)]);
}

#[test]
fn a_mapping_is_renewed_after_half_its_lifetime() {
    let mut world = world(&[]);
    world.hold(Pcp, 100);
    for _ in 0..3 {
        assert_eq!(world.sleep(), Duration::from_secs(50));
        assert_eq!(world.actions(), [map(Pcp, Some(OUTER))]);
        world
            .lease
            .handle_granted(world.now, Pcp, grant(OUTER, 100));
        assert_eq!(world.events(), []);
    }
    world.sleep();
    let elsewhere = grant("203.0.113.18:5001", 100);
    world.lease.handle_granted(world.now, Pcp, elsewhere);
    assert!(
        matches!(world.events()[..], [Event::Mapped(Mapped { external, .. })] if external == elsewhere.external)
    );
}

#[test]
fn a_failed_renewal_is_repeated_until_the_lifetime_ends_and_then_all_protocols_are_tried() {
    let mut world = world(&[]);
    world.hold(Pcp, 100);
    let begin = world.now;
    let mut tries = 0;
    while world.events().is_empty() {
        world.sleep();
        tries += world.actions().contains(&map(Pcp, Some(OUTER))) as u32;
        world.now += Duration::from_millis(100);
        world.lease.handle_failed(world.now, Pcp, NoMapping::Silent);
    }
    let lived = (world.now - begin).as_secs();
    assert!((98..=100).contains(&lived), "{lived}");
    assert!((5..=9).contains(&tries), "{tries}");
    assert!(matches!(world.lease.state, State::Seeking));
}

#[test]
fn a_mapping_is_lost_at_the_end_of_its_lifetime_while_a_renewal_is_not_answered() {
    let mut world = world(&[]);
    world.hold(Pcp, 100);
    world.sleep();
    assert_eq!(world.sleep(), Duration::from_secs(50));
    assert_eq!(world.events(), [Event::Lost(NoMapping::Silent)]);
}

#[test]
fn a_grant_with_an_outside_address_that_is_not_public_is_rejected() {
    for claimed in [
        "100.64.1.2:5000",
        "192.168.0.2:5000",
        "0.0.0.0:5000",
        "127.0.0.1:5000",
        "239.1.2.3:5000",
        "[fe80::1]:5000",
        "[::]:5000",
    ] {
        let mut world = world(&[]);
        world.actions();
        world.lease.handle_found(world.now, Pcp);
        world.actions();
        world
            .lease
            .handle_granted(world.now, Pcp, grant(claimed, 100));
        assert_eq!(world.events(), [], "{claimed}");
        assert_eq!(world.actions(), [Action::Release(Pcp)]);
        let ip = claimed.parse::<SocketAddr>().unwrap().ip();
        assert_eq!(world.lease.failures, [(Pcp, NoMapping::NotPublic(ip))]);
    }
}

#[test]
fn a_grant_with_an_outside_address_that_a_server_saw_is_accepted_even_if_it_is_private() {
    let mut world = world(&["10.0.0.7"]);
    world.lease.handle_found(world.now, NatPmp);
    world
        .lease
        .handle_granted(world.now, NatPmp, grant("10.0.0.7:5000", 100));
    assert!(matches!(world.events()[..], [Event::Mapped(_)]));
}

#[test]
fn a_grant_with_a_lifetime_of_zero_is_rejected_and_a_long_lifetime_is_cut_to_a_day() {
    let mut empty = world(&[]);
    empty.lease.handle_found(empty.now, Pcp);
    empty.lease.handle_granted(empty.now, Pcp, grant(OUTER, 0));
    assert_eq!(empty.events(), []);
    let mut long = world(&[]);
    long.lease.handle_found(long.now, Pcp);
    long.lease
        .handle_granted(long.now, Pcp, grant(OUTER, u32::MAX.into()));
    assert_eq!(long.sleep(), MAX_LIFETIME / 2);
}

#[test]
fn closing_releases_the_mapping() {
    let mut world = world(&[]);
    world.hold(UpnpIgd, 100);
    world.lease.close();
    assert_eq!(world.actions(), [Action::Release(UpnpIgd)]);
    assert!(!world.lease.is_closed());
    world.lease.handle_released(world.now);
    assert!(world.lease.is_closed());
    assert_eq!(world.lease.poll_timeout(), None);
}

#[test]
fn closing_while_the_gateway_is_asked_releases_after_its_answer() {
    for answered in [true, false] {
        let mut world = world(&[]);
        world.lease.handle_found(world.now, Pcp);
        world.actions();
        world.lease.close();
        assert_eq!(world.actions(), []);
        assert!(!world.lease.is_closed());
        if answered {
            world
                .lease
                .handle_granted(world.now, Pcp, grant(OUTER, 100));
        } else {
            world.lease.handle_failed(world.now, Pcp, NoMapping::Silent);
        }
        assert_eq!(world.actions(), [Action::Release(Pcp)]);
        assert_eq!(world.events(), []);
    }
}

#[test]
fn closing_before_the_gateway_is_asked_leaves_nothing_to_do() {
    let mut world = world(&[]);
    world.lease.handle_found(world.now, Pcp);
    world.lease.close();
    assert_eq!(world.actions(), []);
    assert!(world.lease.is_closed());
    world.lease.handle_found(world.now, NatPmp);
    assert_eq!(world.actions(), []);
}

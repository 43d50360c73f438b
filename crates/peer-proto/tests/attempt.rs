//! What an attempt makes of packets that are not its peer's, and of ICMP errors.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::plan::Role;
use peer_proto::punch::schedule::PROBES;
use peer_proto::punch::{Agent, Config, Event, Target};
use sansio::{IcmpError, Via};
use session::seal::Keys;
use stun::{Builder, Message, Method};

/// The agent of a caller that knows the peer at these addresses.
fn agent(now: Instant, peer: SocketAddr, hosts: Vec<SocketAddr>) -> Agent {
    let config = Config {
        role: Role::Caller,
        keys: Keys {
            attempt: [1; 8],
            outgoing: stun::integrity_key(&[2; 32]),
            incoming: stun::integrity_key(&[3; 32]),
        },
        reflexive: peer,
        hosts,
        probes: &PROBES,
        lan_likely: false,
        opener_ttl: None,
        hold: Duration::ZERO,
        relayed: Vec::new(),
        relay_from: now,
        relay_only: false,
        direct_expected: true,
        burst: None,
        bursts_end: None,
        deadline: now + Duration::from_secs(10),
        seed: [0; 32],
    };
    Agent::new(config, now)
}

#[test]
fn a_wrong_mac_is_dropped_and_counted() {
    let (now, peer) = (Instant::now(), "203.0.113.33:40001".parse().unwrap());
    let from = Target {
        via: Via::Socket(0),
        to: peer,
    };
    let mut agent = agent(now, peer, Vec::new());
    for (attempt, secret, forged) in [([9; 8], 9, 0), ([1; 8], 9, 1), ([1; 8], 3, 1)] {
        let probe = Builder::request(Method::Probe, [secret; 12]).attempt(attempt);
        let probe = probe.finish_authentic(&stun::integrity_key(&[secret; 32]));
        let message = Message::parse(&probe).unwrap();
        let ours = agent.handle_input(now, from, &message);
        assert_eq!((ours, agent.forged()), (attempt == [1; 8], forged));
    }
}

#[test]
fn port_unreachable_is_noted_for_the_peers_address_alone() {
    let now = Instant::now();
    for (peer, host, port_unreachable, host_unreachable) in [
        ("203.0.113.33:40001", "192.168.1.2:41000", (3, 3), (3, 1)),
        ("[2001:db8::33]:40001", "[fd00::2]:41000", (1, 4), (1, 3)),
    ] {
        let [peer, host]: [SocketAddr; 2] = [peer, host].map(|text| text.parse().unwrap());
        for (to, (kind, code), refused) in [
            (peer, port_unreachable, Some(peer)),
            (peer, host_unreachable, None),
            // Another host of our own network may have that address.
            (host, port_unreachable, None),
        ] {
            let mut agent = agent(now, peer, vec![host]);
            agent.handle_icmp(&IcmpError {
                socket: 0,
                to,
                offender: to.ip(),
                icmp: stun::Icmp { kind, code },
                quoted: &[],
            });
            agent.handle_timeout(now + Duration::from_secs(11));
            let Some(Event::Failed(observed)) = agent.poll_event() else {
                panic!("it goes on");
            };
            assert_eq!(observed.refused, refused, "{to} {kind}/{code}");
        }
    }
}

//! What names an attempt and is not its peer's.

use std::time::{Duration, Instant};

use nat::plan::Role;
use peer_proto::punch::{Agent, Config, Target};
use sansio::Via;
use session::seal::Keys;
use stun::{Builder, Message, Method};

#[test]
fn a_wrong_mac_is_dropped_and_counted() {
    let (now, peer) = (Instant::now(), "203.0.113.33:40001".parse().unwrap());
    let config = Config {
        role: Role::Caller,
        keys: Keys {
            attempt: [1; 8],
            outgoing: stun::integrity_key(&[2; 32]),
            incoming: stun::integrity_key(&[3; 32]),
        },
        reflexive: peer,
        hosts: Vec::new(),
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
    let from = Target {
        via: Via::Socket(0),
        to: peer,
    };
    let mut agent = Agent::new(config, now);
    for (attempt, secret, forged) in [([9; 8], 9, 0), ([1; 8], 9, 1), ([1; 8], 3, 1)] {
        let probe = Builder::request(Method::Probe, [secret; 12]).attempt(attempt);
        let probe = probe.finish_authentic(&stun::integrity_key(&[secret; 32]));
        let message = Message::parse(&probe).unwrap();
        let ours = agent.handle_input(now, from, &message);
        assert_eq!((ours, agent.forged()), (attempt == [1; 8], forged));
    }
}

//! What the rules of this host itself drop of an attempt, where we may look: as root.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use capture::{Ports, Transport};
use netfilter::{Direction, Dropped, OwnRules};
use serde_json::{Value, json};

use crate::args::Args;
use crate::report::ms;

/// A watch on the host's own rules, and the ports of our sockets.
pub struct Firewall {
    rules: RefCell<Option<OwnRules>>,
    ports: Ports,
}

impl Firewall {
    /// Begins, if --share or --trace asks what happens to packets, and it is permitted.
    pub fn watch(args: &Args, ports: &Ports, start: Instant) -> Firewall {
        let wanted = args.share || args.trace.is_some();
        let rules = wanted.then(|| OwnRules::watch(start)).transpose();
        let rules = rules.inspect_err(|error| {
            tracing::debug!(%error, "cannot watch this host's own rules");
        });
        Firewall {
            rules: RefCell::new(rules.ok().flatten()),
            ports: ports.clone(),
        }
    }

    /// Ends the watch, and removes our table: the packets of our sockets that were dropped.
    pub fn end(&self) -> Blocked {
        let Some(rules) = self.rules.take() else {
            return Blocked::default();
        };
        let (mut packets, overrun) = rules.end();
        let ours = |port| self.ports.contains(Transport::Udp, port);
        packets.retain(|packet| ours(packet.local().port()));
        if overrun {
            // Then it is not known of which packets reports are missing.
            packets.clear();
        }
        Blocked { packets, overrun }
    }
}

/// The packets that the host's own rules have dropped.
#[derive(Default)]
pub struct Blocked {
    pub packets: Vec<Dropped>,
    overrun: bool,
}

/// Those of one flow, one way.
struct Flow {
    direction: Direction,
    local: SocketAddr,
    remote: SocketAddr,
    packets: usize,
    first: Duration,
}

impl Blocked {
    /// Says what was dropped, on stderr.
    pub fn tell(&self) {
        for flow in self.flows() {
            let (from, to) = match flow.direction {
                Direction::Out => (flow.local, flow.remote),
                Direction::In => (flow.remote, flow.local),
            };
            let packets = match flow.packets {
                1 => "1 packet".into(),
                many => format!("{many} packets"),
            };
            let way = way(flow.direction);
            cli::stderr::line(format_args!(
                "punch: LOCAL_FIREWALL: the rules of this host dropped {packets} from {from} to {to} on \
                 the way {way}, the first after {:.1} ms; see: nft list ruleset",
                ms(flow.first)
            ));
        }
        if self.overrun {
            cli::stderr::line(
                "punch: the kernel had more packets than could be read, so it is not known whether the \
                 rules of this host dropped some",
            );
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let flows = self.flows().into_iter().map(|flow| {
            json!({
                "direction": way(flow.direction),
                "local": flow.local,
                "remote": flow.remote,
                "packets": flow.packets,
                "first_ms": ms(flow.first),
            })
        });
        flows.collect()
    }

    fn flows(&self) -> Vec<Flow> {
        let mut flows: BTreeMap<_, Flow> = BTreeMap::new();
        for packet in &self.packets {
            let out = packet.direction == Direction::Out;
            let key = (out, packet.local(), packet.remote());
            let flow = flows.entry(key).or_insert(Flow {
                direction: packet.direction,
                local: packet.local(),
                remote: packet.remote(),
                packets: 0,
                first: packet.at,
            });
            flow.packets += 1;
        }
        let mut flows = Vec::from_iter(flows.into_values());
        flows.sort_by_key(|flow| flow.first);
        flows
    }
}

/// As reports spell it.
fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_flow_are_told_together() {
        let dropped = |at, direction, port| Dropped {
            at: Duration::from_millis(at),
            direction,
            src: SocketAddr::from(([192, 168, 1, 2], 4000)),
            dst: SocketAddr::from(([203, 0, 113, 33], port)),
            ttl: 64,
            payload: Vec::new(),
        };
        let out = Direction::Out;
        let packets = vec![dropped(3, out, 9), dropped(5, out, 7), dropped(8, out, 9)];
        let blocked = Blocked {
            packets,
            overrun: false,
        };
        let told = blocked.to_json();
        assert_eq!(told[0]["remote"], "203.0.113.33:9");
        assert_eq!(
            (&told[0]["packets"], &told[0]["first_ms"]),
            (&json!(2), &json!(3.0))
        );
        assert_eq!(told[1]["remote"], "203.0.113.33:7");
        assert_eq!(told.as_array().unwrap().len(), 2);
    }
}

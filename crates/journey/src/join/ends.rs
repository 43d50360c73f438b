//! The end of a journey: one cause.

use std::fmt::Display;
use std::net::SocketAddr;

use stun::IcmpReason;

use super::history::{Before, History};
use super::track::{Draft, Pass, Report};
use crate::packet::{Body, Packet};
use crate::watched::{LOSS, NO_LISTENER};
use crate::{Direction, End, How, Vantage};

/// How the journey with this number ended.
pub(super) fn end(nodes: &[Vantage], drafts: &[Draft], id: usize, history: &History) -> End {
    let draft = &drafts[id];
    let view = View {
        nodes,
        draft,
        history,
    };
    let answer = draft
        .answers
        .iter()
        .find_map(|id| view.answer(&drafts[*id]));
    match (&draft.report, answer) {
        (Some(Report::Dropped { node, prefix }), answer) => view.dropped(*node, prefix, answer),
        (Some(Report::Held { node }), _) => view.held(*node),
        (Some(Report::Lost { link, why }), _) => {
            let text = match why.as_str() {
                "loss" => format!("lost on the link of {link}, which loses some"),
                "queue" => format!("dropped on the link of {link}: its queue was full"),
                "mtu" => format!("dropped on the link of {link}: larger than its MTU"),
                "down" => format!("lost on the link of {link}, which is down"),
                why => format!("lost on the link of {link}: {why}"),
            };
            view.ended(How::Lost, draft.last().node, Some(why), text)
        }
        (_, Some(answer)) => view.answered(&answer),
        (Some(Report::Arrived { node, prefix }), None) if prefix == NO_LISTENER => {
            view.no_listener(*node, "")
        }
        (Some(Report::Arrived { node, .. }), None) => view.delivered(*node),
        (None, None) => view.silent(),
    }
}

/// An ICMP error, or a reset, about the packet.
struct Answer {
    /// The node that sent it.
    node: usize,
    /// `None`: a reset.
    reason: Option<IcmpReason>,
    to: SocketAddr,
}

struct View<'a> {
    nodes: &'a [Vantage],
    draft: &'a Draft,
    history: &'a History,
}

impl View<'_> {
    fn name(&self, node: usize) -> &str {
        &self.nodes[node].name
    }

    fn ended(&self, how: How, node: usize, reason: Option<&str>, text: String) -> End {
        End {
            how,
            node: self.name(node).to_owned(),
            reason: reason.map(str::to_owned),
            text,
        }
    }

    fn answer(&self, draft: &Draft) -> Option<Answer> {
        let first = &draft.passes[0];
        let packet = Packet::read(&draft.bytes, draft.len)?;
        let reason = match &packet.body {
            Body::Icmp(message) => Some(message.icmp.reason(packet.src.ip())?),
            _ => None,
        };
        Some(Answer {
            node: first.node,
            reason,
            to: first.dst,
        })
    }

    /// Where the packet came in last.
    fn came_to(&self, node: usize) -> &Pass {
        let mut passes = self.draft.passes.iter().rev();
        let here = passes.find(|pass| pass.node == node && pass.direction == Direction::In);
        here.unwrap_or(self.draft.last())
    }

    fn has_address(&self, node: usize, address: std::net::IpAddr) -> bool {
        let mut interfaces = self.nodes[node].interfaces.iter();
        interfaces.any(|interface| interface.addresses.contains(&address))
    }

    fn delivered(&self, node: usize) -> End {
        let text = format!("delivered to a socket of {}", self.name(node));
        self.ended(How::Delivered, node, None, text)
    }

    fn no_listener(&self, node: usize, says: &str) -> End {
        let port = self.came_to(node).dst.port();
        let (name, protocol) = (self.name(node), self.draft.protocol.to_uppercase());
        let text = format!("no socket of {name} has {protocol} port {port}{says}");
        self.ended(How::NoListener, node, None, text)
    }

    /// It never came to an interface.
    fn held(&self, node: usize) -> End {
        let (name, to) = (self.name(node), self.draft.last().dst.ip());
        if self.nodes[node].sought.contains(&to) {
            let text = format!("never left {name}: no host of its network answers for {to} (ARP)");
            return self.ended(How::Unknown, node, Some("NO_NEIGHBOUR"), text);
        }
        let text = format!("dropped by a rule of {name} itself, on its way out");
        self.ended(How::Dropped, node, Some("LOCAL_FIREWALL"), text)
    }

    /// An ICMP error or a reset says what became of it.
    fn answered(&self, answer: &Answer) -> End {
        let (node, name) = (answer.node, self.name(answer.node));
        let to = answer.to.ip();
        let pass = self.came_to(node);
        let own = self.has_address(node, pass.dst.ip());
        let outside = self
            .history
            .has_used(node, self.draft.protocol, pass.dst.ip());
        match answer.reason {
            Some(IcmpReason::TimeExceeded) => self.ended(
                How::TtlExceeded,
                node,
                Some(IcmpReason::TimeExceeded.code()),
                format!("its TTL ran out at {name}, which tells {to}"),
            ),
            // a NAT's own stack answers for a port of which the NAT knows nothing
            Some(IcmpReason::PortUnreachable) | None if own && outside => {
                let with = match answer.reason {
                    Some(_) => "\"port unreachable\"",
                    None => "a reset",
                };
                let (reason, why) = self.unknown_to_conntrack(node, pass);
                let text = format!("{why}; {name} itself answers with {with}");
                self.ended(How::Refused, node, Some(reason), text)
            }
            Some(IcmpReason::PortUnreachable) if own => {
                self.no_listener(node, ", which it tells the sender")
            }
            None if own => self.no_listener(node, ", and it answers with a reset"),
            reason => {
                let (code, words) = match reason {
                    Some(reason) => (reason.code(), format!("the ICMP error \"{reason}\"")),
                    None => ("reset", "a reset".to_owned()),
                };
                let text = format!("refused by {name}, which answers with {words}");
                self.ended(How::Refused, node, Some(code), text)
            }
        }
    }

    /// A rule dropped or refused it.
    fn dropped(&self, node: usize, prefix: &str, answer: Option<Answer>) -> End {
        let pass = self.came_to(node);
        let (name, to) = (self.name(node), pass.dst);
        let (reason, mut text) = match prefix {
            LOSS => {
                let text = format!("lost in {name}, which drops some of the packets (--loss)");
                return self.ended(How::Lost, node, Some("loss"), text);
            }
            "NO_MAPPING" => self.no_mapping(node, pass),
            "FILTER_PORT" | "FILTER_ADDR" => (prefix, self.filtered(node, pass, prefix)),
            "UDP_BLOCKED" => (
                prefix,
                format!("blocked at {name}, which lets no UDP through"),
            ),
            "HAIRPIN_UNSUPPORTED" => (
                prefix,
                format!(
                    "dropped at {name}, which does not turn packets from inside round to its own address {to}"
                ),
            ),
            "UNSOLICITED" => (
                prefix,
                format!("dropped at {name}: nobody inside has asked for it"),
            ),
            "PORTS_EXHAUSTED" => (
                prefix,
                format!("dropped at {name}, which has no free port left"),
            ),
            "PORT_TAKEN" => (
                prefix,
                format!("dropped at {name}, which drew a port that another flow has"),
            ),
            _ => (
                prefix,
                format!("dropped at {name} by a rule with the reason {prefix}"),
            ),
        };
        let how = match answer {
            Some(answer) => {
                text += match answer.reason {
                    Some(_) => "; it answers with an ICMP error",
                    None => "; it answers with a reset",
                };
                How::Refused
            }
            None => How::Dropped,
        };
        self.ended(how, node, Some(reason), text)
    }

    /// What had been sent from the endpoint to which the packet came, before it came.
    fn sent_from(&self, node: usize, pass: &Pass) -> Option<Before<'_>> {
        let protocol = self.draft.protocol;
        self.history.sent_from(node, protocol, pass.dst, pass.at_ns)
    }

    /// The filter did not know the sender: whom it would have let in.
    fn filtered(&self, node: usize, pass: &Pass, prefix: &str) -> String {
        let name = self.name(node);
        let Some(sent) = self.sent_from(node, pass) else {
            return format!(
                "filtered at {name}: nothing has been sent from {} before",
                pass.dst
            );
        };
        let first = sent.first();
        let host = self.name(first.host);
        let only = match prefix {
            "FILTER_PORT" => listed(sent.remotes()),
            _ => listed(sent.addresses()),
        };
        let elsewhere = self.elsewhere(node, pass, first.inside);
        format!(
            "filtered at {name}: {host} has sent from {} only to {only}{elsewhere}",
            pass.dst
        )
    }

    /// A NAT without rules of its own, as a bare masquerade is, lets in what its connection tracking knows: the very
    /// remote. The rest is for itself.
    fn unknown_to_conntrack(&self, node: usize, pass: &Pass) -> (&'static str, String) {
        match self.sent_from(node, pass) {
            Some(sent) if !sent.has(pass.src) => {
                ("FILTER_PORT", self.filtered(node, pass, "FILTER_PORT"))
            }
            _ => self.no_mapping(node, pass),
        }
    }

    /// The NAT has nothing at this port: never, no more, or for another remote.
    fn no_mapping(&self, node: usize, pass: &Pass) -> (&'static str, String) {
        let name = self.name(node);
        if let Some(sent) = self.sent_from(node, pass) {
            let last = sent.last();
            let host = self.name(last.host);
            let ago = (pass.at_ns - last.at_ns) as f64 / 1e9;
            let text = format!(
                "no mapping at {name}: the mapping of {} expired; {host} last sent from it {ago:.1} s before",
                pass.dst
            );
            return ("MAPPING_EXPIRED", text);
        }
        let outsides = self.history.outsides(node, self.draft.protocol, pass.at_ns);
        let text = match outsides {
            [] => format!("no mapping at {name}: nothing has been sent through it"),
            [others @ .., last] => {
                let more = match others.len() {
                    0 => String::new(),
                    1 => ", and from one other port".to_owned(),
                    n => format!(", and from {n} other ports"),
                };
                format!(
                    "no mapping at {name}: nothing has been sent from {}; {} has sent from {} to {}{more}",
                    pass.dst,
                    self.name(last.host),
                    last.outside,
                    last.remote,
                )
            }
        };
        ("NO_MAPPING", text)
    }

    /// Where a NAT gives each remote a port of its own: the one that this sender should have used.
    fn elsewhere(&self, node: usize, pass: &Pass, inside: SocketAddr) -> String {
        let way = (inside, pass.src.ip());
        let protocol = self.draft.protocol;
        let towards = self
            .history
            .last_elsewhere(node, protocol, way, pass.dst, pass.at_ns);
        towards.map_or_else(String::new, |sent| {
            let host = self.name(sent.host);
            format!("; to {} {host} sends from {}", sent.remote, sent.outside)
        })
    }

    /// Nothing was reported of it.
    fn silent(&self) -> End {
        let last = self.draft.last();
        let (node, name) = (last.node, self.name(last.node));
        let own = self.has_address(node, last.dst.ip());
        if last.direction == Direction::In && last.dst.ip().is_multicast() {
            let text = format!(
                "came to {name}, where no socket has joined {}",
                last.dst.ip()
            );
            return self.ended(How::NoListener, node, None, text);
        }
        if last.direction == Direction::In && own {
            if !self.nodes[node].tells_arrivals || self.draft.protocol == "icmp" {
                return self.delivered(node);
            }
            if self.nodes[node]
                .gaps
                .iter()
                .any(|gap| gap.source == "nflog")
            {
                let text = format!(
                    "came to {name}, some of whose reports were lost: whether a socket got it is unknown"
                );
                return self.ended(How::Unknown, node, None, text);
            }
            let text = format!("dropped by a rule of {name} itself, before it came to a socket");
            return self.ended(How::Dropped, node, Some("LOCAL_FIREWALL"), text);
        }
        if last.direction == Direction::In && last.ttl <= 1 {
            let text = format!("its TTL ran out at {name}, which says nothing");
            return self.ended(How::TtlExceeded, node, None, text);
        }
        let text = match last.direction {
            Direction::In => format!(
                "came to {name}, which did not pass it on: it has no route to {}, or a rule that reports nothing \
                 dropped it",
                last.dst.ip()
            ),
            Direction::Out => format!("left {name} and was not seen again"),
        };
        self.ended(How::Unknown, node, None, text)
    }
}

/// The first three, and how many more there are.
fn listed<T: Display>(values: &[(u64, T)]) -> String {
    let first: Vec<String> = values.iter().take(3).map(|it| it.1.to_string()).collect();
    match values.len() - first.len() {
        0 => first.join(", "),
        more => format!("{} and {more} others", first.join(", ")),
    }
}

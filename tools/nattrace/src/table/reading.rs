//! The state of a NAT at one moment, as `--json` prints it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

use crate::kernel;

/// The state of a NAT at one moment. Times are in seconds; `null`: the element has no timeout.
///
/// ```json
/// {"node": "nat-alice", "table": "pinhole",
///  "mappings": [{"protocol": "udp", "inside": "192.168.1.2:40000", "outside": "203.0.113.17:40000", "toward": null,
///                "idle_s": 1.2, "remaining_s": 118.8, "timeout_s": 120.0}],
///  "permits": [{"protocol": "udp", "outside": "*:40000", "from": "203.0.113.33",
///               "idle_s": 1.2, "remaining_s": 118.8, "timeout_s": 120.0}],
///  "counters": [{"name": "filtered", "packets": 3, "bytes": 120}],
///  "connections": [{"original": {"src": "192.168.1.2:40000", "dst": "203.0.113.33:40001"},
///                   "reply": {"src": "203.0.113.33:40001", "dst": "203.0.113.17:40000"},
///                   "remaining_s": 29, "seen_reply": true, "assured": false}]}
/// ```
#[derive(Debug, Default, Serialize)]
pub(super) struct Reading {
    /// The router's name, if it was given; left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<String>,
    /// The nft table's name; `null`: there is no such table.
    pub(super) table: Option<String>,
    /// To tell "has none now" from "has no map for it". Not in the JSON.
    #[serde(skip)]
    pub(super) keeps: Keeps,
    pub(super) mappings: Vec<Mapping>,
    pub(super) permits: Vec<Permit>,
    pub(super) counters: Vec<Counter>,
    /// The tracked UDP connections; `null`: they could not be read.
    pub(super) connections: Option<Vec<Connection>>,
}

/// What a table has sets and maps for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Keeps {
    pub(super) mappings: bool,
    pub(super) permits: bool,
}

/// An inside endpoint and its outside endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Mapping {
    pub(super) protocol: Option<Protocol>,
    pub(super) inside: Endpoint,
    pub(super) outside: Endpoint,
    /// The remote, if the mapping is for one remote only; else `null`.
    pub(super) toward: Option<Endpoint>,
    #[serde(flatten)]
    pub(super) life: Life,
}

/// A remote that may send to an outside port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Permit {
    pub(super) protocol: Option<Protocol>,
    pub(super) outside: Endpoint,
    pub(super) from: Endpoint,
    #[serde(flatten)]
    pub(super) life: Life,
}

/// The protocol of the ports, if the table's keys have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Protocol(pub(super) u8);

/// The time since an element was refreshed, and the time that is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Life {
    /// Since it was created or last refreshed.
    pub(super) idle_s: Option<Seconds>,
    pub(super) remaining_s: Option<Seconds>,
    pub(super) timeout_s: Option<Seconds>,
}

/// Milliseconds, in JSON seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(pub(super) u64);

/// An address, a port, or both: `203.0.113.17:40000`, `203.0.113.17`, `*:40000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub(super) address: Option<IpAddr>,
    pub(super) port: Option<u16>,
}

/// A named counter, or that of a rule, whose name is the rule's comment, or its chain and handle.
#[derive(Debug, Serialize)]
pub(super) struct Counter {
    pub(super) name: String,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// A tracked UDP flow.
#[derive(Debug, Serialize)]
pub(super) struct Connection {
    /// As in the first packet.
    pub(super) original: Ends,
    /// As expected in an answer.
    pub(super) reply: Ends,
    /// Seconds until the kernel removes it.
    pub(super) remaining_s: u32,
    /// Packets went both ways.
    pub(super) seen_reply: bool,
    /// Packets went both ways for a while, so that the longer timeout applies.
    pub(super) assured: bool,
}

/// One direction of a flow.
#[derive(Debug, Serialize)]
pub(super) struct Ends {
    pub(super) src: SocketAddr,
    pub(super) dst: SocketAddr,
}

impl Life {
    /// From the timeout of an element, or else of its set, and the time that is left.
    pub(super) fn new(timeout_ms: Option<u64>, remaining_ms: Option<u64>) -> Self {
        let timeout_ms = timeout_ms.filter(|&ms| ms != 0);
        let idle_ms = timeout_ms
            .zip(remaining_ms)
            .map(|(all, left)| all.saturating_sub(left));
        Life {
            idle_s: idle_ms.map(Seconds),
            remaining_s: remaining_ms.map(Seconds),
            timeout_s: timeout_ms.map(Seconds),
        }
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl Serialize for Protocol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            6 => f.write_str("tcp"),
            17 => f.write_str("udp"),
            other => write!(f, "{other}"),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.port) {
            (Some(address), Some(port)) => write!(f, "{}", SocketAddr::new(address, port)),
            (Some(address), None) => write!(f, "{address}"),
            (None, Some(port)) => write!(f, "*:{port}"),
            (None, None) => write!(f, "*"),
        }
    }
}

impl From<kernel::Counter> for Counter {
    fn from(
        kernel::Counter {
            name,
            packets,
            bytes,
        }: kernel::Counter,
    ) -> Self {
        Counter {
            name,
            packets,
            bytes,
        }
    }
}

impl From<&kernel::Flow> for Connection {
    fn from(flow: &kernel::Flow) -> Self {
        let ends = |kernel::Tuple { src, dst }| Ends { src, dst };
        Connection {
            original: ends(flow.original),
            reply: ends(flow.reply),
            remaining_s: flow.remaining_s,
            seen_reply: flow.seen_reply,
            assured: flow.assured,
        }
    }
}

//! A trace: journeys, the nodes that they passed, and what the NATs held meanwhile.

use std::net::{IpAddr, SocketAddr};

use nat::Schema;
use serde::{Deserialize, Serialize};

/// What the vantage points of one run have seen.
///
/// Times are milliseconds since [`Trace::started_unix_ns`], from the kernel's own time stamps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// Read and checked; written by whoever writes the head of the file.
    #[serde(default, skip_serializing)]
    pub schema: Schema,
    /// When the trace started: nanoseconds since 1970, of the kernel's real-time clock.
    pub started_unix_ns: u64,
    /// The vantage points, from the first column of the ladder to the last.
    pub nodes: Vec<Node>,
    /// Every packet, in the order of its first sighting.
    pub journeys: Vec<Journey>,
    /// What the NATs held, whenever that changed, in the order of time.
    pub tables: Vec<Tables>,
    /// Where sightings may be missing. Empty: the trace is complete.
    pub gaps: Vec<Gap>,
    /// Why there is no path, or no direct one; `None` where nothing failed or nobody has judged.
    pub cause: Option<Cause>,
}

/// A host or a router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name: `alice`, `nat-alice`, `core`.
    pub name: String,
    /// What it is, for people: `a NAT of type port-restricted`.
    pub description: String,
    /// Its interfaces on which packets are seen.
    pub interfaces: Vec<Interface>,
}

/// An interface of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name: `eth0`, `lan`, `wan`.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// One packet on its way, from its first sighting to its end. A retransmission is another packet, and has
/// a journey of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Journey {
    /// Its place in [`Trace::journeys`].
    pub id: usize,
    /// `udp`, `tcp` or `icmp`.
    pub protocol: String,
    /// What it carries, in a few words: `Binding request`, `SYN`, `data (1200 bytes)`.
    pub what: String,
    /// The length of the payload in bytes, after the transport header.
    pub payload_len: usize,
    /// The SHA-256 of the payload in hexadecimal; of as much as was captured.
    pub payload_sha256: String,
    /// The first bytes of the packet in hexadecimal, from its IP header on, as first seen.
    pub bytes: String,
    /// The journey of the first transmission, if this is a retransmission of the same bytes.
    pub retransmission_of: Option<usize>,
    /// For an ICMP error: the journey of the packet that it is about.
    pub about: Option<usize>,
    /// Where it was seen, in the order of time; never empty.
    pub sightings: Vec<Sighting>,
    /// How it ended.
    pub end: End,
}

/// A packet at one interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// Milliseconds since the start of the trace.
    pub t_ms: f64,
    /// The name of the node.
    pub node: String,
    /// The name of the interface.
    pub interface: String,
    /// Into the node or out of it.
    pub direction: Direction,
    /// Where it comes from, as its headers say here; port 0 for ICMP.
    pub src: SocketAddr,
    /// Where it goes to, as its headers say here; port 0 for ICMP.
    pub dst: SocketAddr,
    /// The TTL here.
    pub ttl: u8,
    /// The packet as it was here, from its IP header on, as much as was captured. It is not in the JSON:
    /// empty where the trace was read from a file, or made by the simulator.
    #[serde(skip)]
    pub raw: Vec<u8>,
}

/// Which way a packet passed an interface, from the node's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Into the node.
    In,
    /// Out of the node.
    Out,
}

/// How a journey ended: one cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// What happened.
    pub how: How,
    /// The node where it happened, or the last one that saw the packet.
    pub node: String,
    /// The reason as a code: that of the rule which dropped it (`FILTER_PORT`, `NO_MAPPING`,
    /// `MAPPING_EXPIRED`), of the ICMP error (`port-unreachable`), of the link (`loss`, `queue`).
    pub reason: Option<String>,
    /// The same in one sentence for people, with addresses and times.
    pub text: String,
}

/// What happened at the end of a journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It came to a socket.
    Delivered,
    /// A rule dropped it.
    Dropped,
    /// A rule or a host answered it with an ICMP error, or with a TCP reset.
    Refused,
    /// Its TTL ran out.
    TtlExceeded,
    /// An emulated link lost it.
    Lost,
    /// It came to a host where no socket has the port.
    NoListener,
    /// It was not seen again, and nothing says why.
    Unknown,
}

/// What one NAT held from a moment on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tables {
    /// Milliseconds since the start of the trace.
    pub t_ms: f64,
    /// The router.
    pub node: String,
    /// Its mappings.
    pub mappings: Vec<Mapping>,
}

/// A mapping of a NAT, and whom its filter lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// `udp` or `tcp`.
    pub protocol: String,
    /// The address and port inside.
    pub inside: SocketAddr,
    /// The address and port outside.
    pub outside: SocketAddr,
    /// For a NAT with a mapping for each destination: that destination. Port 0: every port of it.
    pub destination: Option<SocketAddr>,
    /// From where packets are let in. Port 0: from every port. Empty with `anyone`.
    pub permits: Vec<SocketAddr>,
    /// Whether packets are let in from everywhere.
    pub anyone: bool,
}

/// A time in which a vantage point may have missed packets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Milliseconds since the start of the trace, when it was noticed.
    pub t_ms: f64,
    /// The node.
    pub node: String,
    /// What is missing: `packets` (the capture was overrun), `kept` (more packets came than are kept), `nflog` (what
    /// rules report), `tables` (the NAT could not be read), `socket` (packets that a host left out of its account).
    pub source: String,
    /// How many packets or events the kernel dropped, if it says so.
    pub lost: Option<u64>,
}

/// The cause of a failure, and the packet that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its code (docs/reference/json.md), such as `SYMMETRIC_REMAP`.
    pub code: String,
    /// One sentence, with addresses.
    pub text: String,
    /// The journey that shows it.
    pub journey: Option<usize>,
    /// What to try next, in one sentence.
    pub next: Option<String>,
}

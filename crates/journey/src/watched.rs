//! What vantage points have seen, before it is joined.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Direction, Gap, Interface, Node, Tables};

/// The group of NFLOG in which the rules of a NAT report the packets that they drop. The prefix is the reason.
pub const DROPPED: u16 = 1;
/// The group in which a host reports the packets that its own rules have let in. The prefix says whether a socket
/// has the port: [`LISTENER`] or [`NO_LISTENER`].
pub const ARRIVED: u16 = 2;
/// The group in which a host reports the packets that its programs send, before its own rules see them.
pub const DEPARTED: u16 = 3;
/// The prefix of a packet for which there is a socket.
pub const LISTENER: &str = "LISTENER";
/// The prefix of a packet for which there is none.
pub const NO_LISTENER: &str = "NO_LISTENER";
/// The prefix of a packet that a rule drops in place of a link that loses some.
pub const LOSS: &str = "LOSS";

/// What was seen at one node. Times are nanoseconds since 1970, of one clock for all nodes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Vantage {
    /// Its name: `nat-alice`.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Its interfaces with their addresses. One that appeared later is as it was at its first packet.
    pub interfaces: Vec<Interface>,
    /// The packets that passed the interfaces.
    pub frames: Vec<Frame>,
    /// The packets that the rules of the node reported.
    pub logged: Vec<Logged>,
    /// Whether the node reports what [`ARRIVED`].
    pub tells_arrivals: bool,
    /// The addresses for which the node asked its neighbours (RFC 826).
    pub sought: BTreeSet<IpAddr>,
    /// What its NAT held, whenever that had changed, with times since 1970 in milliseconds.
    pub tables: Vec<Tables>,
    /// Where something may be missing, with times since 1970 in milliseconds.
    pub gaps: Vec<Gap>,
}

/// A packet at an interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Frame {
    /// When the kernel saw it.
    pub at_ns: u64,
    /// The index of the interface in [`Vantage::interfaces`].
    pub interface: usize,
    /// Into the node or out of it.
    pub direction: Direction,
    /// Destination and source of the Ethernet header. They say where the packet will be seen next.
    pub mac: [[u8; 6]; 2],
    /// The length of the packet in bytes, of which [`Frame::packet`] may have fewer.
    pub len: usize,
    /// Of a super-frame, which the kernel or a network card has yet to cut: how much payload each datagram gets.
    pub segment: Option<usize>,
    /// The packet from its IP header on.
    #[serde(with = "hexadecimal")]
    pub packet: Vec<u8>,
}

/// A packet that a rule reported.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Logged {
    /// When the packet came in; `None`: the kernel does not say, as of a packet on its way out.
    pub at_ns: Option<u64>,
    /// The group: [`DROPPED`], [`ARRIVED`] or [`DEPARTED`].
    pub group: u16,
    /// The prefix, without the space at its end.
    pub prefix: String,
    /// The packet from its IP header on, or the beginning of it.
    #[serde(with = "hexadecimal")]
    pub packet: Vec<u8>,
}

/// A frame that an emulated link did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostFrame {
    /// When it was dropped: nanoseconds since 1970.
    pub at_ns: u64,
    /// The name of the link.
    pub link: String,
    /// Why: `loss`, `queue`, `mtu`, `down`.
    pub why: String,
    /// The first bytes of the frame, with its Ethernet header.
    pub frame: Vec<u8>,
}

/// All that was seen of one run.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// The nodes, in the order of the ladder's columns.
    pub nodes: Vec<Vantage>,
    /// What the emulated links did not deliver.
    pub lost: Vec<LostFrame>,
}

impl Vantage {
    /// The node as a trace shows it.
    pub(crate) fn node(&self) -> Node {
        Node {
            name: self.name.clone(),
            description: self.description.clone(),
            interfaces: self.interfaces.clone(),
        }
    }
}

/// Bytes as text in hexadecimal.
mod hexadecimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Vec<u8>, D::Error> {
        hex::decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

//! What a measurement found.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::allocation::Allocation;
use super::hairpin::HairpinReport;
use super::lifetime::LifetimeReport;
use super::path::PathReport;
use super::port_mapping::PortMapping;
pub use super::trial::Asks;
use super::unsolicited::Unsolicited;
use nat::Behaviour;
use nat::plan::{Limits, Ports, Side};

/// What was found, in the shape of natprobe's JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Did it come to a result?
    pub verdict: Verdict,
    /// `class`, `nat`, `mapping` and `filtering`; what is `None` was not
    /// tested, and the notes say why.
    #[serde(flatten)]
    pub behaviour: Behaviour,
    /// How sure the two axes are.
    pub confidence: Confidence,
    /// The addresses that the server saw, in the order of the tests.
    pub mapped: Vec<SocketAddr>,
    /// The mapping socket's own address.
    pub local: SocketAddr,
    /// Does the outer port equal the inner one? `None`: not tested.
    pub port_preservation: Option<bool>,
    /// How the NAT chooses its outer ports. `None`: no NAT, or not tested.
    pub allocation: Option<Allocation>,
    /// The NAT's outer addresses, as far as they were seen; more than one is a pool.
    pub public_addresses: Vec<IpAddr>,
    /// Does a packet that comes before our own has gone out make the NAT give
    /// ours another port? Openers with a low TTL cure it. `None`: not tested.
    pub remaps_after_early_inbound: Option<bool>,
    /// What does a packet get from where its mapping has not sent to? `None`:
    /// not tested, or the server cannot tell.
    pub unsolicited: Option<Unsolicited>,
    /// Is it the same every time? `None`: it was measured once.
    pub determinism: Option<Determinism>,
    /// Does the outer address lead back in? `None`: not tested, which is how
    /// [`Discover`](super::Discover) leaves it; [`Hairpin`](super::Hairpin) tests it.
    pub hairpin: Option<HairpinReport>,
    /// How long a mapping lives; [`Lifetime`](super::Lifetime) tests it.
    pub lifetime: Option<LifetimeReport>,
    /// The routers on the way; [`Path`](super::Path) looks for them.
    pub path: Option<PathReport>,
    /// What the gateway says of itself. `None`: it was not asked.
    pub port_mapping: Option<PortMapping>,
    /// Round trip to the server, in milliseconds. `None`: it has not answered
    /// from where it was asked.
    pub rtt_ms: Option<f64>,
    /// How long the measurement took, in milliseconds.
    pub elapsed_ms: f64,
    /// The server as asked, and its other address as it tells it.
    pub server: SocketAddr,
    /// OTHER-ADDRESS of the first answer (RFC 5780 §7.4).
    pub other_address: Option<SocketAddr>,
    /// What was sent and what came back, test by test.
    pub evidence: Vec<Evidence>,
    /// What is wrong with the server, and what could not be tested.
    pub notes: Vec<Note>,
    /// Why it is not [`Verdict::Measured`].
    pub cause: Option<Cause>,
}

/// Did the measurement come to a result?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The server answered; what the report has is measured.
    Measured,
    /// The server's host is up, and no UDP comes back.
    UdpBlocked,
    /// It is not known whether it is the network or the server.
    CouldNotTell,
}

/// The chance that a verdict is right, as far as loss can fool it: what was
/// heard is certain, what was not may have been lost. `None`: not tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Confidence {
    /// That of `mapping`.
    pub mapping: Option<f64>,
    /// That of `filtering`.
    pub filtering: Option<f64>,
}

/// What repeated measurements agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Determinism {
    /// How often it was measured.
    pub runs: u32,
    /// The fields of the report that were not the same every time.
    pub differing: Vec<&'static str>,
}

impl Report {
    /// The fields in which two measurements of one NAT should agree and do not.
    /// What one of them could not test is no difference.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
            a.is_some() && b.is_some() && a != b
        }
        let policy = |r: &Self| r.allocation.as_ref().and_then(|found| found.policy);
        let addresses = |r: &Self| {
            Some(&r.public_addresses)
                .filter(|all| !all.is_empty())
                .cloned()
        };
        let (a, b) = (&self.behaviour, &other.behaviour);
        let remaps = |r: &Self| r.remaps_after_early_inbound;
        [
            ("verdict", self.verdict != other.verdict),
            ("nat", differ(a.nat, b.nat)),
            ("mapping", differ(a.mapping, b.mapping)),
            ("filtering", differ(a.filtering, b.filtering)),
            ("allocation", differ(policy(self), policy(other))),
            (
                "public_addresses",
                differ(addresses(self), addresses(other)),
            ),
            (
                "remaps_after_early_inbound",
                differ(remaps(self), remaps(other)),
            ),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }
}

/// The counts behind a verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// What was asked.
    pub test: Asks,
    /// Where the requests went.
    pub to: SocketAddr,
    /// Requests sent.
    pub sent: usize,
    /// Requests that were answered.
    pub received: usize,
    /// Where the first answer came from.
    pub from: Option<SocketAddr>,
    /// Which source it says the server saw.
    pub mapped: Option<SocketAddr>,
}

/// A remark on the measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// For programs.
    pub code: NoteCode,
    /// For people.
    pub text: String,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NoteCode {
    /// The server tells no OTHER-ADDRESS, or its own: nothing to compare with.
    OneAddress,
    /// It answers a CHANGE-REQUEST from where it was asked.
    IgnoresChangeRequest,
    /// It refuses a request with an error.
    Refuses,
    /// It answers from another address than it was asked at, or asked for.
    WrongSource,
    /// RESPONSE-ORIGIN is not where the answer came from (RFC 5780 §7.3): the
    /// server is translated itself, or wrong about its addresses.
    OriginDiffers,
    /// The server does not answer, while the second one does.
    ServerSilent,
    /// Its other address or port does not answer, or the second server.
    OtherAddressSilent,
    /// The mapping depends on the address at least; more cannot be told.
    AtLeast,
    /// Silence that loss may explain.
    TooMuchLoss,
    /// One destination saw more than one mapping of one socket.
    Unstable,
}

/// Why there is no measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// For programs.
    pub code: CauseCode,
    /// For people.
    pub text: String,
}

/// What a [`Cause`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CauseCode {
    /// No UDP comes back from a host that is up, or a box on the way refuses it.
    UdpBlocked,
    /// The server's host refuses: nothing listens there, or its firewall does.
    ServerNotRunning,
    /// Nothing came back at all, by whatever protocol.
    Silent,
    /// The server answers with errors alone.
    ServerRefuses,
}

impl Report {
    /// The NAT that was measured, as a plan needs it, and what its owner is
    /// willing to spend.
    pub fn side(&self, limits: Limits) -> Side {
        let ports = self.allocation.as_ref().map(|found| {
            let count = found.samples.len() as u32;
            Ports::seen(found.policy, found.step, found.range, count)
        });
        let mapping = self.port_mapping.as_ref();
        Side {
            behaviour: self.behaviour,
            ports: ports.unwrap_or_default(),
            remaps: self.remaps_after_early_inbound,
            mapped: mapping.is_some_and(|mapping| mapping.agrees == Some(true)),
            limits,
        }
    }
}

//! The report of a measurement.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::hairpin::HairpinReport;
use super::lifetime::LifetimeReport;
use super::path::PathReport;
use super::port_mapping::PortMapping;
use super::port_model::PortModel;
pub use super::test::TestKind;
use super::unsolicited::Unsolicited;
use nat::Behaviour;
use nat::plan::{Limits, Ports, Side};

/// The report. It serializes as natprobe's JSON (docs/reference/json.md).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether the measurement came to a result.
    pub verdict: Verdict,
    /// `class`, `nat`, `mapping` and `filtering`. What is `None` was not tested; a note has the
    /// reason.
    #[serde(flatten)]
    pub behaviour: Behaviour,
    /// How certain the two axes are.
    pub confidence: Confidence,
    /// The reflexive addresses of the mapping socket, in the order of the tests.
    pub mapped: Vec<SocketAddr>,
    /// The mapping socket's own address.
    pub local: SocketAddr,
    /// Whether the outside port equals the inside port. `None`: not tested.
    pub port_preservation: Option<bool>,
    /// The port assignment. `None`: no NAT, or not tested.
    pub allocation: Option<PortModel>,
    /// The NAT's public addresses that were seen. More than one is a pool.
    pub public_addresses: Vec<IpAddr>,
    /// Whether the NAT remaps after early packets: the first packet of the flow comes from outside,
    /// and ours then leaves from another port. `None`: not tested.
    pub remaps_after_early_inbound: Option<bool>,
    /// What the sender of an unsolicited packet receives. `None`: not tested, or the server cannot
    /// tell.
    pub unsolicited: Option<Unsolicited>,
    /// Whether repeated measurements agree. `None`: it was measured once.
    pub determinism: Option<Determinism>,
    /// Hairpinning. `None`: not tested. [`Hairpin`](super::Hairpin) tests it,
    /// [`Discover`](super::Discover) does not.
    pub hairpin: Option<HairpinReport>,
    /// The lifetime of a mapping; [`Lifetime`](super::Lifetime) tests it.
    pub lifetime: Option<LifetimeReport>,
    /// The routers on the way; [`Path`](super::Path) finds them.
    pub path: Option<PathReport>,
    /// What the gateway answers. `None`: it was not asked.
    pub port_mapping: Option<PortMapping>,
    /// Round trip to the server, in milliseconds. `None`: it did not answer from the address that was
    /// asked.
    pub rtt_ms: Option<f64>,
    /// How long the measurement took, in milliseconds.
    pub elapsed_ms: f64,
    /// The server's address that was asked first.
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

/// Whether the measurement came to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The server answered.
    Measured,
    /// The server runs, as it shows by TCP, but no UDP comes back.
    UdpBlocked,
    /// It is not known whether the network or the server fails.
    CouldNotTell,
}

/// The chance, from 0 to 1, that lost packets do not explain the verdict. A verdict from an answer is
/// certain; a verdict from silence is not. `None`: not tested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Confidence {
    /// That of `mapping`.
    pub mapping: Option<f64>,
    /// That of `filtering`.
    pub filtering: Option<f64>,
}

/// Whether repeated measurements agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Determinism {
    /// How many measurements there were.
    pub runs: u32,
    /// The fields of the report that differ.
    pub differing: Vec<&'static str>,
}

impl Report {
    /// The fields in which two measurements of one NAT should agree but differ. A field that one of
    /// them did not test does not count.
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

/// What one test sent and received.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// What was asked for.
    pub test: TestKind,
    /// Where the requests went.
    pub to: SocketAddr,
    /// Requests sent.
    pub sent: usize,
    /// Requests that were answered.
    pub received: usize,
    /// Where the first answer came from.
    pub from: Option<SocketAddr>,
    /// The reflexive address that it reports.
    pub mapped: Option<SocketAddr>,
    /// The server's OTHER-ADDRESS in the first answer that has one.
    #[serde(skip)]
    pub other_address: Option<SocketAddr>,
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
    /// The server reports no OTHER-ADDRESS, or the address that was asked.
    OneAddress,
    /// It answers a CHANGE-REQUEST from the address that was asked.
    IgnoresChangeRequest,
    /// It answers a request with an error.
    Refuses,
    /// It reports a reflexive address that no host can have.
    UnusableAddress,
    /// It answers from another address than the one that was asked, or asked for.
    WrongSource,
    /// RESPONSE-ORIGIN is not the source of the answer (RFC 5780 §7.3): the server is behind a NAT
    /// itself, or wrong about its addresses.
    OriginDiffers,
    /// The server does not answer, while the second one does.
    ServerSilent,
    /// The name of one of several servers has no address, or none of the family that is measured.
    ServerNotFound,
    /// Its other address or port does not answer, or the second server.
    OtherAddressSilent,
    /// The mapping depends on the address at least; whether on the port was not tested.
    AtLeast,
    /// Loss may explain a silence.
    TooMuchLoss,
    /// One destination saw one socket from more than one reflexive address.
    Unstable,
    /// Signs of a carrier-grade NAT behind the home router.
    CarrierNat,
}

/// Why there is no measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// For programs.
    pub code: CauseCode,
    /// For people.
    pub text: String,
}

/// The reason of a [`Cause`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CauseCode {
    /// The server answers STUN by TCP, and no UDP comes back from it.
    UdpBlocked,
    /// A router on the way refuses UDP, and it is not known whether the server runs.
    RouterRefuses,
    /// What answers at the server's address is not a STUN server, or answers unreadably.
    NotStun,
    /// The server's host refuses UDP: no process listens there, or its firewall refuses.
    ServerNotRunning,
    /// No STUN answer came, neither by UDP nor by TCP.
    Silent,
    /// The server answers, but with errors only, or without a usable reflexive address.
    ServerRefuses,
}

impl Report {
    /// The measured NAT and these limits, as [`nat::plan::between`] needs them.
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

//! What the sender of an unsolicited packet receives. If the packet is not let in, an ICMP error may
//! go back to its sender, which is the server. The server reports it in the attribute BOUNCED
//! (docs/reference/protocol.md).
//!
//! The packets are those of the filtering tests. The request for the errors leaves from the same
//! sockets, for their mappings, when the last error must have arrived at the server, and within the
//! wait for late answers that there is anyway.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use serde::Serialize;
use stun::{Icmp, IcmpReason};

use super::server::Server;
use super::test::{Test, TestKind};
use super::test_set::TestSet;
use super::{FILTERING_ADDRESS, MARGIN};
use sansio::SocketId;

/// What the sender of an unsolicited packet receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsolicited {
    /// An answer: the packet is let in.
    Delivered,
    /// Nothing.
    Silence,
    /// ICMP port unreachable, as from a host without such a socket: a bare masquerade.
    IcmpPortUnreachable,
    /// ICMP host unreachable.
    IcmpHostUnreachable,
    /// ICMP administratively prohibited: a firewall refuses the packet.
    IcmpAdminProhibited,
    /// Another ICMP destination unreachable.
    IcmpUnreachable,
}

impl Unsolicited {
    /// The value for an ICMP error.
    pub(super) fn refused(icmp: Icmp, sender: IpAddr) -> Self {
        match icmp.reason(sender) {
            Some(IcmpReason::PortUnreachable) => Self::IcmpPortUnreachable,
            Some(IcmpReason::HostUnreachable) => Self::IcmpHostUnreachable,
            Some(IcmpReason::Prohibited) => Self::IcmpAdminProhibited,
            _ => Self::IcmpUnreachable,
        }
    }
}

impl fmt::Display for Unsolicited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delivered => "let in",
            Self::Silence => "dropped without an answer",
            Self::IcmpPortUnreachable => "ICMP port unreachable",
            Self::IcmpHostUnreachable => "ICMP host unreachable",
            Self::IcmpAdminProhibited => "ICMP administratively prohibited",
            Self::IcmpUnreachable => "ICMP unreachable",
        })
    }
}

/// The transactions that one request may name: more than one batch has.
const MAX_ABOUT: usize = 64;

/// A witness's silence counts if the chance that loss alone explains it is at most this. It takes
/// two witnesses.
const MAX_DOUBT: f64 = 1e-3;

/// When to ask for ICMP errors. `None`: there is nothing to ask, or it has been asked.
pub(super) fn ask_at(tests: &TestSet) -> Option<Instant> {
    let sockets = FILTERING_ADDRESS.into_iter();
    sockets.filter_map(|socket| ask_on_at(tests, socket)).min()
}

/// Until when the answers to these requests are waited for, be they sent or not.
pub(super) fn waited_for(tests: &TestSet) -> Option<Instant> {
    let asked = tests.of_kind(TestKind::Unsolicited);
    let sent = asked
        .filter(|t| !t.is_answered())
        .filter_map(Test::last_sent);
    Some(sent.chain(ask_at(tests)).max()? + tests.usual_wait()?)
}

/// An error takes half a round trip more than the answer that it is about would.
fn ask_on_at(tests: &TestSet, socket: SocketId) -> Option<Instant> {
    let filtering = tests.find(socket, TestKind::OtherAddress)?;
    let last = filtering.last_sent()?;
    if filtering.is_answered() || filtering.due().is_some() {
        return None;
    }
    if let Some(asked) = tests.find(socket, TestKind::Unsolicited) {
        let mut answers = asked.answers.iter();
        let known = answers.any(|a| !a.reports_icmp || a.icmp.is_some());
        if known || asked.due().is_some() || asked.last_sent() > Some(last) {
            return None;
        }
    }
    let round_trip = tests.longest_round_trip()?;
    Some(last + round_trip + (round_trip / 2).max(MARGIN))
}

/// Asks for ICMP errors, if all of them must have arrived at the server.
pub(super) fn ask(now: Instant, tests: &mut TestSet, server: &Server) {
    for socket in FILTERING_ADDRESS {
        if ask_on_at(tests, socket).is_some_and(|at| at <= now) {
            let filtering = tests.find(socket, TestKind::OtherAddress);
            let about = filtering.map(|t| t.newest(MAX_ABOUT)).unwrap_or_default();
            tests.ask_for_errors(now, socket, server.s1, about);
        }
    }
}

/// The verdict. `None`: not tested, or the server cannot tell.
pub(super) fn judge(tests: &TestSet, server: &Server, loss: f64) -> Option<Unsolicited> {
    if tests.let_in(TestKind::OtherAddress) {
        return Some(Unsolicited::Delivered);
    }
    // A port that another program has just used has that program's permits: both must agree.
    let [one, two] = FILTERING_ADDRESS.map(|socket| judge_one(tests, server, loss, socket));
    one.filter(|_| one == two)
}

/// The verdict of one witness.
fn judge_one(tests: &TestSet, server: &Server, loss: f64, socket: SocketId) -> Option<Unsolicited> {
    let filtering = tests.find(socket, TestKind::OtherAddress)?;
    let asked = tests.find(socket, TestKind::Unsolicited)?;
    if let Some(icmp) = asked.answers.iter().find_map(|a| a.icmp) {
        return Some(Unsolicited::refused(icmp, server.s1.ip()));
    }
    let last = filtering.last_sent()?;
    let mut answers = asked.answers.iter();
    let reported = answers.any(|a| a.reports_icmp && a.sent > last);
    // The server must be able to send from the address that the packets were to come from.
    let sends = tests.is_answered_at(server.other?);
    let counts = !filtering.is_answered() && silence_counts(filtering, loss);
    (reported && sends && counts).then_some(Unsolicited::Silence)
}

/// Whether loss alone does not explain that no ICMP error about this witness's packets came.
pub(super) fn silence_counts(filtering: &Test, loss: f64) -> bool {
    // An error has three ways to go, where a round trip has two.
    let lost = 1.0 - (1.0 - loss).powf(1.5);
    lost.powf(filtering.sent() as f64) <= MAX_DOUBT
}

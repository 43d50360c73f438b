//! What a packet gets that nobody behind the NAT has asked for. If it is not
//! let in, an ICMP error may go back; only its sender sees that, the server,
//! and tells it to whom asks with BOUNCED (docs/reference/protocol.md).
//!
//! The packets are those of the filtering tests. The question is asked on their
//! sockets, for their mappings, once the last error must have come, and within
//! the wait for late answers that there is anyway.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use serde::Serialize;
use stun::{Icmp, IcmpReason};

use super::report::Asks;
use super::trial::Trial;
use super::{Discover, FILTERING_ADDRESS, MARGIN};
use sansio::SocketId;

/// What becomes of a packet from where its mapping has not sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unsolicited {
    /// It is let in.
    Delivered,
    /// It is kept out, and its sender learns nothing.
    Silence,
    /// The NAT answers as a host does where nobody listens: bare masquerade.
    IcmpPortUnreachable,
    /// There is no such host.
    IcmpHostUnreachable,
    /// A firewall refuses it, and says so.
    IcmpAdminProhibited,
    /// Another ICMP destination-unreachable.
    IcmpUnreachable,
}

impl Unsolicited {
    /// What an ICMP error that came back for it means.
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
            Self::Delivered => "delivered",
            Self::Silence => "silence",
            Self::IcmpPortUnreachable => "ICMP port unreachable",
            Self::IcmpHostUnreachable => "ICMP host unreachable",
            Self::IcmpAdminProhibited => "ICMP admin prohibited",
            Self::IcmpUnreachable => "ICMP unreachable",
        })
    }
}

impl Discover {
    /// When to ask what came back. `None`: there is nothing to ask, or it has been.
    pub(super) fn bounced_at(&self) -> Option<Instant> {
        let asked = FILTERING_ADDRESS.into_iter();
        asked.filter_map(|socket| self.question_at(socket)).min()
    }

    /// An error takes half a round trip more than the answer that it is about would.
    fn question_at(&self, socket: SocketId) -> Option<Instant> {
        let stranger = find(&self.trials, socket, Asks::OtherAddress)?;
        let last = stranger.last_sent()?;
        if stranger.is_answered() || stranger.due().is_some() {
            return None;
        }
        if let Some(question) = find(&self.trials, socket, Asks::Unsolicited) {
            let mut answers = question.answers.iter();
            let known = answers.any(|a| !a.bounces || a.icmp.is_some());
            if known || question.due().is_some() || question.last_sent() > Some(last) {
                return None;
            }
        }
        let round_trip = self.trials.iter().filter_map(Trial::round_trip).max()?;
        Some(last + round_trip + (round_trip / 2).max(MARGIN))
    }

    /// All errors have come by now: ask for them.
    pub(super) fn ask_bounced(&mut self, now: Instant) {
        for socket in FILTERING_ADDRESS {
            if self.question_at(socket).is_none_or(|at| now < at) {
                continue;
            }
            let about = find(&self.trials, socket, Asks::OtherAddress).map(|t| t.newest(MOST));
            let is_ours = |t: &Trial| t.socket == socket && t.asks == Asks::Unsolicited;
            let index = self.trials.iter().position(is_ours).unwrap_or_else(|| {
                let question = Trial::new(socket, self.config.s1, Asks::Unsolicited);
                self.trials.push(question);
                self.trials.len() - 1
            });
            let question = &mut self.trials[index];
            question.about = about.unwrap_or_default();
            question.schedule(now, self.config.tries.max(2), self.config.spacing);
        }
    }

    /// What the strangers' packets of one witness met outside.
    fn met(&self, socket: SocketId, loss: f64) -> Option<Unsolicited> {
        let stranger = find(&self.trials, socket, Asks::OtherAddress)?;
        let question = find(&self.trials, socket, Asks::Unsolicited)?;
        if let Some(icmp) = question.answers.iter().find_map(|a| a.icmp) {
            return Some(Unsolicited::refused(icmp, self.config.s1.ip()));
        }
        let last = stranger.last_sent()?;
        let told = question.answers.iter().any(|a| a.bounces && a.sent > last);
        // The strangers' packets are sent from there, and from nowhere else.
        let other = self.other?;
        let mut trials = self.trials.iter();
        let speaks = trials.any(|t| t.to == other && t.is_answered());
        // An error has three ways to go, where a round trip has two.
        let lost = 1.0 - (1.0 - loss).powf(1.5);
        let telling = !stranger.is_answered() && lost.powf(stranger.sent() as f64) <= FOOLED;
        (told && speaks && telling).then_some(Unsolicited::Silence)
    }
}

/// The packets that one question may be about: more than one batch has.
const MOST: usize = 64;

/// How probable it may be that loss alone made it look like silence to one
/// witness; both must be fooled.
const FOOLED: f64 = 1e-3;

fn find(trials: &[Trial], socket: SocketId, asks: Asks) -> Option<&Trial> {
    let mut trials = trials.iter();
    trials.find(|t| t.socket == socket && t.asks == asks)
}

/// What they get. `None`: not tested, or the server cannot tell.
pub(super) fn judge(discover: &Discover, loss: f64) -> Option<Unsolicited> {
    if discover.lets_anyone_in() {
        return Some(Unsolicited::Delivered);
    }
    // On a port that another has just had, what comes back is from where that one was.
    let [one, two] = FILTERING_ADDRESS.map(|socket| discover.met(socket, loss));
    one.filter(|_| one == two)
}

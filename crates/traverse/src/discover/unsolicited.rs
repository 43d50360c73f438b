//! What a packet gets that nobody behind the NAT has asked for. If it is not
//! let in, an ICMP error may go back; only its sender sees that, the server,
//! and tells it to whom asks with BOUNCED (docs/protocol.md).
//!
//! The packets are those of the filtering test. The question is asked on its
//! socket, for its mapping, once the last error must have come, and within the
//! wait for late answers that there is anyway.

use std::fmt;
use std::time::Instant;

use serde::Serialize;
use wire::Icmp;

use super::report::Asks;
use super::trial::Trial;
use super::{Discover, FILTERING_ADDRESS, MARGIN};

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
    /// RFC 792 and RFC 1812 §5.2.7.1; RFC 4443 §3.1.
    fn refused(icmp: Icmp, v4: bool) -> Self {
        match (v4, icmp.code) {
            (true, 3) | (false, 4) => Self::IcmpPortUnreachable,
            (true, 1) | (false, 3) => Self::IcmpHostUnreachable,
            (true, 9 | 10 | 13) | (false, 1 | 5) => Self::IcmpAdminProhibited,
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
    /// When to ask: an error takes half a round trip more than the answer that
    /// it is about would. `None`: there is nothing to ask, or it has been asked.
    pub(super) fn bounced_at(&self) -> Option<Instant> {
        let stranger = stranger(&self.trials)?;
        let last = stranger.last_sent()?;
        if stranger.is_answered() || stranger.due().is_some() {
            return None;
        }
        if let Some(question) = question(&self.trials) {
            let known = question
                .answers
                .iter()
                .any(|a| !a.bounces || a.icmp.is_some());
            if known || question.due().is_some() || question.last_sent() > Some(last) {
                return None;
            }
        }
        let round_trip = self.trials.iter().filter_map(Trial::round_trip).max()?;
        Some(last + round_trip + (round_trip / 2).max(MARGIN))
    }

    /// All errors have come by now: ask for them.
    pub(super) fn ask_bounced(&mut self, now: Instant) {
        if self.bounced_at().is_none_or(|at| now < at) {
            return;
        }
        let about = stranger(&self.trials).map(|t| t.newest(MOST));
        if question(&self.trials).is_none() {
            let s1 = self.config.s1;
            self.trials
                .push(Trial::new(FILTERING_ADDRESS, s1, Asks::Unsolicited));
        }
        let (tries, spacing) = (self.config.tries.max(2), self.config.spacing);
        let mut trials = self.trials.iter_mut();
        if let Some(question) = trials.find(|t| t.asks == Asks::Unsolicited) {
            question.about = about.unwrap_or_default();
            question.schedule(now, tries, spacing);
        }
    }
}

/// The packets that one question may be about: more than one batch has.
const MOST: usize = 64;

fn stranger(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().find(|t| t.asks == Asks::OtherAddress)
}

fn question(trials: &[Trial]) -> Option<&Trial> {
    trials.iter().find(|t| t.asks == Asks::Unsolicited)
}

/// How probable it may be that loss alone made it look like silence.
const FOOLED: f64 = 1e-5;

/// What they get. `None`: not tested, or the server cannot tell.
pub(super) fn judge(discover: &Discover, loss: f64) -> Option<Unsolicited> {
    if discover.lets_anyone_in() {
        return Some(Unsolicited::Delivered);
    }
    let (stranger, question) = (stranger(&discover.trials)?, question(&discover.trials)?);
    let v4 = discover.config.s1.is_ipv4();
    if let Some(icmp) = question.answers.iter().find_map(|a| a.icmp) {
        return Some(Unsolicited::refused(icmp, v4));
    }
    let last = stranger.last_sent()?;
    let told = question.answers.iter().any(|a| a.bounces && a.sent > last);
    let other = discover.other?.ip();
    let mut trials = discover.trials.iter();
    let speaks = trials.any(|t| t.to.ip() == other && t.is_answered());
    // An error has three ways to go, where a round trip has two.
    let lost = 1.0 - (1.0 - loss).powf(1.5);
    let telling = !stranger.is_answered() && lost.powf(stranger.sent() as f64) <= FOOLED;
    (told && speaks && telling).then_some(Unsolicited::Silence)
}

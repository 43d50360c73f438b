//! What the answers, and the silences, mean.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::report::{
    Asks, Cause, CauseCode, Confidence, Evidence, Note, NoteCode, Report, Verdict,
};
use super::trial::{Trial, let_in, loss, witnesses};
use super::unsolicited::{self, Unsolicited};
use super::{Discover, MAPPING, births, early};
use nat::{
    Behaviour,
    Dependence::{self, *},
};

/// The report, from whatever has come by now.
pub(super) fn judge(discover: &Discover, now: Instant) -> Report {
    let mut bench = Bench {
        s1: discover.config.s1,
        s2: discover.config.s2,
        locals: &discover.locals,
        other: discover.other,
        trials: &discover.trials,
        loss: loss(&discover.trials),
        doubt: 0.0,
        notes: Vec::new(),
    };
    let cause = no_measurement(discover);
    let verdict = match cause.as_ref().map(|cause| cause.code) {
        None => Verdict::Measured,
        Some(CauseCode::UdpBlocked) => Verdict::UdpBlocked,
        Some(_) => Verdict::CouldNotTell,
    };
    let behaviour = match verdict {
        Verdict::Measured => bench.behaviour(),
        Verdict::UdpBlocked => Behaviour::blocked(),
        Verdict::CouldNotTell => Behaviour::default(),
    };
    // Of the server alone: the second one may be elsewhere.
    let answers = discover.trials.iter().flat_map(|t| &t.answers);
    let of_server = answers.filter(|a| [a.asked, a.from] == [discover.config.s1; 2]);
    let round_trip = of_server.map(|a| a.round_trip).min();
    Report {
        verdict,
        behaviour,
        mapped: bench.mapped(),
        local: discover.locals[MAPPING],
        port_preservation: bench.port_preservation(),
        allocation: births::allocation(discover, &behaviour),
        public_addresses: births::public_addresses(discover, &behaviour),
        remaps_after_early_inbound: early::judge(&discover.trials, bench.loss, &behaviour),
        unsolicited: unsolicited::judge(discover, bench.loss),
        confidence: Confidence {
            mapping: behaviour.mapping.map(|_| 1.0),
            filtering: behaviour.filtering.map(|_| 1.0 - bench.doubt),
        },
        determinism: None,
        hairpin: None,
        lifetime: None,
        path: None,
        port_mapping: None,
        rtt_ms: round_trip.map(milliseconds),
        elapsed_ms: milliseconds(now - discover.started),
        server: discover.config.s1,
        other_address: discover.other,
        evidence: discover.trials.iter().map(evidence).collect(),
        notes: bench.notes,
        cause,
    }
}

/// Why the first address has told nothing, if so.
fn no_measurement(discover: &Discover) -> Option<Cause> {
    let s1 = discover.config.s1;
    let answers = || discover.trials.iter().flat_map(|t| &t.answers);
    let cause = |code, text| Some(Cause { code, text });
    if answers().any(|answer| answer.mapped.is_some()) {
        return None;
    }
    if let Some(answer) = answers().next() {
        let error = answer.error.map_or_else(
            || "without any address".to_owned(),
            |code| format!("with error {code}"),
        );
        let text = format!("{} answers a Binding request {error}", answer.from);
        return cause(CauseCode::ServerRefuses, text);
    }
    match (discover.rejected_by, discover.host_is_up) {
        (Some((by, icmp)), _) => {
            let says = Unsolicited::refused(icmp, s1.ip());
            match (by == s1.ip(), says) {
                (true, Unsolicited::IcmpPortUnreachable) => cause(
                    CauseCode::ServerNotRunning,
                    format!("nothing listens on UDP {s1}: its host says {says}"),
                ),
                (true, _) => cause(
                    CauseCode::ServerNotRunning,
                    format!("the firewall of its own host refuses UDP to {s1} ({says})"),
                ),
                (false, _) => cause(
                    CauseCode::UdpBlocked,
                    format!("{by} refuses UDP to {s1} ({says})"),
                ),
            }
        }
        (None, Some(_)) => cause(
            CauseCode::UdpBlocked,
            format!("{} answers TCP, but no UDP comes back from {s1}", s1.ip()),
        ),
        (None, None) => cause(
            CauseCode::Silent,
            format!(
                "nothing came back from {s1}, neither by UDP nor by TCP: \
                 the server is down or unreachable, or everything is blocked"
            ),
        ),
    }
}

/// The evidence, and the remarks made while looking at it.
struct Bench<'a> {
    s1: SocketAddr,
    s2: Option<SocketAddr>,
    locals: &'a [SocketAddr],
    other: Option<SocketAddr>,
    trials: &'a [Trial],
    loss: f64,
    /// How probable it is that loss alone made the silence that was judged.
    doubt: f64,
    notes: Vec<Note>,
}

impl Bench<'_> {
    fn behaviour(&mut self) -> Behaviour {
        self.check_sources();
        if !self.is_heard(self.s1) {
            let text = format!(
                "{} does not answer, only the second server does: neither mapping nor filtering \
                 was tested",
                self.s1
            );
            self.note(NoteCode::ServerSilent, text);
        }
        let nat = self
            .mapped()
            .first()
            .map(|&mapped| mapped != self.locals[MAPPING]);
        Behaviour {
            nat,
            mapping: self.mapping(),
            filtering: self.filtering(),
            udp_blocked: false,
        }
    }

    /// Each source that the mapping socket was seen from, once.
    fn mapped(&self) -> Vec<SocketAddr> {
        let mut seen = Vec::new();
        let trials = self.trials.iter().filter(|t| t.asks == Asks::Mapping);
        for answer in trials.flat_map(|t| &t.answers) {
            if let Some(mapped) = answer.mapped
                && !seen.contains(&mapped)
            {
                seen.push(mapped);
            }
        }
        seen
    }

    fn port_preservation(&self) -> Option<bool> {
        let trials = self.trials.iter().filter(|t| t.to == self.s1);
        trials
            .filter_map(|t| Some(t.mapped()?.port() == self.locals[t.socket].port()))
            .reduce(|all, one| all && one)
    }

    /// RFC 5780 §4.3, with addresses and ports compared together.
    fn mapping(&mut self) -> Option<Dependence> {
        let s1 = self.s1;
        let mut trials = self.trials.iter();
        trials.find(|t| t.asks == Asks::Mapping && t.to == s1 && t.mapped().is_some())?;
        match (
            self.same_at(|to| to.ip() == s1.ip() && to != s1),
            self.same_at(|to| to.ip() != s1.ip()),
        ) {
            (Some(false), _) => Some(AddressAndPortDependent),
            (_, Some(true)) => Some(EndpointIndependent),
            (Some(true), Some(false)) => Some(AddressDependent),
            (None, Some(false)) => {
                self.note(
                    NoteCode::AtLeast,
                    "the mapping depends on the address; whether on the port, too, \
                     was not tested, for want of a second port"
                        .to_owned(),
                );
                Some(AddressDependent)
            }
            // The other address may be mapped otherwise.
            (_, None) => {
                match self.s2.filter(|&s2| !self.is_heard(s2)) {
                    Some(s2) => {
                        let text = format!("mapping was not tested: nothing was heard of {s2}");
                        self.note(NoteCode::OtherAddressSilent, text);
                    }
                    None => self.note_missing_address("mapping"),
                }
                None
            }
        }
    }

    /// Do most sockets that asked there, too, look the same there as at the
    /// first address? One alone does not tell: in a small block two remotes draw
    /// the same port now and then, and a bare masquerade moves the flows of a
    /// port that a stranger has sent to, whoever had that port then.
    fn same_at(&self, there: impl Fn(SocketAddr) -> bool) -> Option<bool> {
        let asked = |t: &&Trial| matches!(t.asks, Asks::Mapping | Asks::Allocation);
        let trials = || self.trials.iter().filter(asked);
        let same = trials().filter(|t| there(t.to)).filter_map(|t| {
            let mut at_first = trials().filter(|f| f.socket == t.socket && f.to == self.s1);
            Some(at_first.find_map(Trial::mapped)? == t.mapped()?)
        });
        let same: Vec<bool> = same.collect();
        let most = 2 * same.iter().filter(|&&same| same).count() > same.len();
        (!same.is_empty()).then_some(most)
    }

    /// RFC 5780 §4.4, judged by where an answer really came from.
    fn filtering(&mut self) -> Option<Dependence> {
        let other_address = let_in(self.trials, Asks::OtherAddress);
        let other_port = let_in(self.trials, Asks::OtherPort);
        if other_address {
            return Some(EndpointIndependent);
        }
        // A port of the known address that is kept out decides it, whether or
        // not the server has another address to try.
        if !other_port {
            let kept_out = self.kept_out(Asks::OtherPort)?;
            return kept_out.then_some(AddressAndPortDependent);
        }
        let kept_out = self.kept_out(Asks::OtherAddress)?;
        kept_out.then_some(AddressDependent)
    }

    /// Is it certain that the server's answer to this was sent, and filtered?
    fn kept_out(&mut self, asks: Asks) -> Option<bool> {
        let s1 = self.s1;
        let Some(other) = self.other.filter(|other| match asks {
            Asks::OtherPort => other.port() != s1.port(),
            _ => other.ip() != s1.ip(),
        }) else {
            self.note_missing_address("filtering");
            return None;
        };
        // Where all are answered, it is not from elsewhere: see `check_sources`.
        let silent = witnesses(self.trials, asks).filter(|t| !t.is_answered());
        let trial = silent.max_by_key(|t| t.sent())?;
        // It must have spoken from there to somebody who had asked there.
        let proof = match asks {
            Asks::OtherPort => SocketAddr::new(s1.ip(), other.port()),
            _ => other,
        };
        let mut trials = self.trials.iter();
        let proved = trials.any(|t| t.to == proof && t.is_answered());
        let telling = trial.silence_is_telling(self.loss);
        match (proved, telling) {
            (true, true) => {
                self.doubt = self.doubt.max(self.loss.powf(trial.sent() as f64));
                Some(true)
            }
            (false, _) => {
                let text = format!(
                    "the server tells {other} as its other address, but {proof} does not answer: \
                     filtering was not tested"
                );
                self.note(NoteCode::OtherAddressSilent, text);
                None
            }
            (true, false) => {
                let text = format!(
                    "about {:.0} % of the round trips get lost: {} silent sends do not tell \
                     filtering from loss",
                    self.loss * 100.0,
                    trial.sent()
                );
                self.note(NoteCode::TooMuchLoss, text);
                None
            }
        }
    }

    /// Does the server answer from where it should?
    fn check_sources(&mut self) {
        let trials = self.trials;
        // The early tests ask the same questions as the filtering tests do.
        for trial in trials.iter().filter(|t| t.asks != Asks::EarlyInbound) {
            let Some(first) = trial.answers.first() else {
                continue;
            };
            let (to, from) = (trial.to, first.from);
            let asked_for = match trial.asks {
                Asks::OtherAddress | Asks::EarlyInbound => Some("its other address and port"),
                Asks::OtherPort => Some("its other port"),
                Asks::Mapping | Asks::Allocation | Asks::AfterEarly | Asks::Unsolicited => None,
            };
            let moved = match trial.asks {
                Asks::Mapping | Asks::Allocation | Asks::AfterEarly | Asks::Unsolicited => {
                    from == to
                }
                Asks::OtherAddress | Asks::EarlyInbound => {
                    from.ip() != to.ip() && from.port() != to.port()
                }
                Asks::OtherPort => from.ip() == to.ip() && from.port() != to.port(),
            };
            match (first.error, asked_for) {
                (Some(error), Some(asked)) => self.note(
                    NoteCode::Refuses,
                    format!("{to} answers error {error} when asked to answer from {asked}"),
                ),
                (Some(error), None) => {
                    self.note(NoteCode::Refuses, format!("{to} answers error {error}"));
                }
                (None, _) if moved => {}
                (None, Some(asked)) if from == to => self.note(
                    NoteCode::IgnoresChangeRequest,
                    format!("asked to answer from {asked}, {to} answers from itself"),
                ),
                (None, Some(asked)) => self.note(
                    NoteCode::WrongSource,
                    format!("asked to answer from {asked}, {to} answers from {from}"),
                ),
                (None, None) => self.note(
                    NoteCode::WrongSource,
                    format!("asked at {to}, the server answers from {from}"),
                ),
            }
            if let Some(origin) = first.origin.filter(|&origin| origin != from) {
                let text = format!("what came from {from} says that it was sent from {origin}");
                self.note(NoteCode::OriginDiffers, text);
            }
            if trial.answers.iter().any(|a| a.mapped != first.mapped) {
                let text = format!("{to} saw more than one mapping of one socket");
                self.note(NoteCode::Unstable, text);
            }
        }
    }

    /// Has anybody answered what went to this address?
    fn is_heard(&self, to: SocketAddr) -> bool {
        let mut trials = self.trials.iter();
        trials.any(|t| t.to == to && t.is_answered())
    }

    fn note_missing_address(&mut self, axis: &str) {
        if !self.is_heard(self.s1) {
            return; // Which has been said, and is reason enough.
        }
        let text = match self.other {
            None => format!("the server tells no other address: {axis} was not tested"),
            Some(other) => format!(
                "{axis} was not tested: of the server's other address {other} nothing was heard, \
                 or it is not another one"
            ),
        };
        self.note(NoteCode::OneAddress, text);
    }

    fn note(&mut self, code: NoteCode, text: String) {
        self.notes.push(Note { code, text });
    }
}

fn evidence(trial: &Trial) -> Evidence {
    Evidence {
        test: trial.asks,
        to: trial.to,
        sent: trial.sent(),
        received: trial.received(),
        from: trial.answers.first().map(|answer| answer.from),
        mapped: trial.mapped(),
    }
}

/// To the microsecond: more is noise.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

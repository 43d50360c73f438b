//! The report, from the answers and the silences.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::axes::Axes;
use super::report::{Cause, CauseCode, Confidence, Evidence, Report, Verdict};
use super::signs::{ByTcp, Strange};
use super::test::Test;
use super::unsolicited::{self, Unsolicited};
use super::{Discover, MAPPING, early, mappings};
use nat::Behaviour;

/// The report, from whatever has come by now.
pub(super) fn judge(discover: &Discover, now: Instant) -> Report {
    let (tests, server, locals) = (&discover.tests, &discover.server, &discover.locals);
    let loss = tests.loss(now);
    let mut axes = Axes::new(tests, server, loss, locals[MAPPING]);
    let cause = no_measurement(discover);
    let verdict = match cause.as_ref().map(|cause| cause.code) {
        None => Verdict::Measured,
        Some(CauseCode::UdpBlocked) => Verdict::UdpBlocked,
        Some(_) => Verdict::CouldNotTell,
    };
    let behaviour = match verdict {
        Verdict::Measured => axes.behaviour(),
        Verdict::UdpBlocked => Behaviour::blocked(),
        Verdict::CouldNotTell => Behaviour::default(),
    };
    // Of the server alone: the second one may be elsewhere.
    let s1 = server.s1;
    let of_server = tests.answers().filter(|a| [a.asked, a.from] == [s1; 2]);
    let round_trip = of_server.map(|a| a.round_trip).min();
    let at_s1 = tests.iter().filter(|t| t.to == s1);
    let preserved = at_s1.filter_map(|t| Some(t.mapped()?.port() == locals[t.socket].port()));
    Report {
        verdict,
        behaviour,
        mapped: axes.mapped(),
        local: locals[MAPPING],
        port_preservation: preserved.reduce(|all, one| all && one),
        allocation: mappings::port_model(tests, locals, &behaviour),
        public_addresses: mappings::public_addresses(tests, &behaviour),
        remaps_after_early_inbound: early::judge(tests, &behaviour, loss),
        unsolicited: unsolicited::judge(tests, server, loss),
        confidence: Confidence {
            mapping: behaviour.mapping.map(|_| 1.0),
            filtering: behaviour.filtering.map(|_| 1.0 - axes.doubt),
        },
        determinism: None,
        hairpin: None,
        lifetime: None,
        path: None,
        port_mapping: None,
        rtt_ms: round_trip.map(milliseconds),
        elapsed_ms: milliseconds(now - discover.started),
        server: s1,
        other_address: server.other,
        evidence: tests.iter().map(evidence).collect(),
        notes: axes.notes,
        cause,
    }
}

/// Why nothing was measured, if so.
fn no_measurement(discover: &Discover) -> Option<Cause> {
    let s1 = discover.server.s1;
    if discover
        .tests
        .answers()
        .any(|answer| answer.mapped.is_some())
    {
        return None;
    }
    let runs = discover.by_tcp == Some(ByTcp::Stun);
    let (code, text) = match (discover.tests.answers().next(), discover.refused_by) {
        (Some(answer), _) => {
            let error = match (answer.error, answer.unusable) {
                (Some(code), _) => format!("with error {code}"),
                (None, Some(unusable)) => {
                    format!("with {unusable}, which is not an address of a host")
                }
                (None, None) => "without a reflexive address".to_owned(),
            };
            let text = format!("{} answers a Binding request {error}", answer.from);
            (CauseCode::ServerRefuses, text)
        }
        (None, _) if discover.strange.is_some() => {
            let what = discover.strange.map_or("", Strange::text);
            let text = format!(
                "{s1} answers with {what}. UDP passes; is {} the port of a STUN server?",
                s1.port()
            );
            (CauseCode::NotStun, text)
        }
        (None, Some((by, icmp))) => match (by == s1.ip(), Unsolicited::refused(icmp, s1.ip())) {
            (true, Unsolicited::IcmpPortUnreachable) => (
                CauseCode::ServerNotRunning,
                format!("no process listens on UDP {s1}: its host answers ICMP port unreachable"),
            ),
            (true, reason) => (
                CauseCode::ServerNotRunning,
                format!("the firewall of the server's own host refuses UDP to {s1} ({reason})"),
            ),
            (false, reason) => {
                let refuses = format!("{by} refuses UDP to {s1} ({reason})");
                match runs {
                    true => (
                        CauseCode::UdpBlocked,
                        format!("{refuses}, and {s1} answers STUN by TCP"),
                    ),
                    false => (
                        CauseCode::RouterRefuses,
                        format!(
                            "{refuses}, and no STUN answer comes by TCP: a firewall of this \
                             network or one of the server's"
                        ),
                    ),
                }
            }
        },
        (None, None) => silence(s1, discover.by_tcp),
    };
    Some(Cause { code, text })
}

/// Why nothing came by UDP. Only a server that runs shows that UDP is blocked.
fn silence(s1: SocketAddr, by_tcp: Option<ByTcp>) -> (CauseCode, String) {
    let text = match by_tcp {
        Some(ByTcp::Stun) => {
            let text = format!("{s1} answers STUN by TCP, but no UDP comes back from there");
            return (CauseCode::UdpBlocked, text);
        }
        Some(ByTcp::Accepted) => format!(
            "no answer from {s1} by UDP; TCP connects, but no STUN answer comes there: another \
             service has that port, or UDP is blocked"
        ),
        Some(ByTcp::Reset) => format!(
            "no answer from {s1} by UDP, and a reset by TCP: the host is up, and no server runs \
             there, or UDP is blocked"
        ),
        None => format!(
            "no answer from {s1}, neither by UDP nor by TCP: the server is down or \
             unreachable, or a firewall blocks everything"
        ),
    };
    (CauseCode::Silent, text)
}

fn evidence(test: &Test) -> Evidence {
    Evidence {
        test: test.kind,
        to: test.to,
        sent: test.sent(),
        received: test.received(),
        from: test.answers.first().map(|answer| answer.from),
        mapped: test.mapped(),
        other_address: test.answers.iter().find_map(|answer| answer.other),
    }
}

/// With microseconds; more digits are noise.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

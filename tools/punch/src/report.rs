//! The result of an attempt, as one sentence or one JSON object.

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use capture::Seen;
use cli::cause::Explained;
use cli::head::Headed;
use nat::plan::Role;
use nat::plan::{Limits, Plan, Strategy};
use peer_proto::cause::Cause;
use peer_proto::punch::{self, Measured, Throughput};
use serde_json::{Value, json};

use crate::firewall::Blocked;
use crate::plan;
use crate::share::Shared;
use crate::sweep::Swept;

/// The longest line of what is told in several sentences.
pub const WIDTH: usize = 100;

/// How an attempt ended.
#[derive(Clone)]
pub enum Outcome {
    Connected(punch::Path),
    Failed(Cause),
}

/// Everything that is reported of an attempt.
pub struct Report {
    pub name: String,
    pub peer: Option<String>,
    pub local: SocketAddr,
    pub mapped: Vec<SocketAddr>,
    /// The time since the introduction; without one, since the start.
    pub elapsed: Duration,
    pub total: Duration,
    /// The number of probes, or by TCP of connections.
    pub probes_sent: u32,
    /// The number of messages that were dropped because they were not authentic.
    pub forged: u32,
    pub tcp: bool,
    /// No relay was to be used.
    pub direct_only: bool,
    pub plan: Option<(Role, Plan)>,
    pub limits: Limits,
    /// The relay that a relayed path leads through.
    pub relay: Option<IpAddr>,
    pub measured: Option<Measured>,
    pub outcome: Outcome,
    /// What became of the packets between the two hosts, with --share.
    pub shared: Option<Shared>,
    /// How far our packets to the peer come, where that was looked into.
    pub swept: Option<Swept>,
    /// What this host's own rules have dropped.
    pub blocked: Blocked,
}

impl Report {
    /// Prints it, and returns the exit code.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn print(
        &self,
        json: bool,
        file: Option<&Path>,
        trace: Option<Vec<Seen>>,
    ) -> anyhow::Result<ExitCode> {
        let object = self.to_json(trace.filter(|_| json));
        let object = Headed::now("punch", object).to_json()?;
        let text = match json {
            true => object.clone(),
            false => {
                let shared = self.shared.as_ref().map(Shared::text);
                let swept = self.swept.as_ref().map(Swept::text);
                let parts = [Some(self.sentence()), shared, swept];
                Vec::from_iter(parts.into_iter().flatten()).join("\n\n")
            }
        };
        match writeln!(std::io::stdout(), "{text}") {
            // That nobody reads any more does not change the outcome.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            result => result.context("writing to standard output")?,
        }
        if let Some(file) = file {
            std::fs::write(file, format!("{object}\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(match self.outcome {
            Outcome::Connected(_) => ExitCode::SUCCESS,
            Outcome::Failed(_) => ExitCode::from(1),
        })
    }

    fn to_json(&self, trace: Option<Vec<Seen>>) -> Value {
        let mut report = json!({
            "result": self.result(),
            "text": self.sentence(),
            "strategy": null,
            "name": self.name,
            "peer": self.peer,
            "local": self.local,
            "mapped": self.mapped,
            "remote": null,
            "elapsed_ms": ms(self.elapsed),
            "total_ms": ms(self.total),
            "rtt_ms": null,
            "relay": self.relay,
            "probes_sent": self.probes_sent,
            "forged": self.forged,
            "plan": self.plan.map(|(role, plan)| plan::to_json(&plan, role, &self.limits)),
            "guess": null,
            "path": self.measured,
            "cause": null,
        });
        match &self.outcome {
            Outcome::Connected(path) => {
                report["strategy"] = json!(self.strategy(path));
                report["guess"] = json!(path.guess);
                report["remote"] = json!(path.remote);
                report["rtt_ms"] = json!(path.rtt.map(ms));
            }
            Outcome::Failed(cause) => report["cause"] = json!(Explained(cause)),
        }
        if let Some(shared) = &self.shared {
            report["shared"] = shared.to_json();
        }
        if let Some(swept) = &self.swept {
            report["sweep"] = json!(swept.report);
        }
        if !self.blocked.packets.is_empty() {
            report["local_firewall"] = self.blocked.to_json();
        }
        if let Some(trace) = trace {
            report["trace"] = json!(trace);
        }
        report
    }

    fn result(&self) -> &'static str {
        match &self.outcome {
            Outcome::Connected(path) if path.relayed => "relay",
            Outcome::Connected(path) if path.lan => "lan",
            Outcome::Connected(_) => "direct",
            Outcome::Failed(_) => "failed",
        }
    }

    /// The strategy by which the path was found.
    fn strategy(&self, path: &punch::Path) -> &'static str {
        match self.plan {
            _ if self.tcp => "tcp",
            _ if path.relayed => "relay",
            _ if path.lan => "lan",
            Some((_, plan)) if plan.guesses() => plan.strategy.name(),
            Some((_, plan)) if plan.strategy == Strategy::PortMapping => plan.strategy.name(),
            _ => "plain",
        }
    }

    /// What was sent.
    fn tried(&self) -> String {
        let what = match (self.tcp, self.probes_sent) {
            (true, 1) => "connection tried",
            (true, _) => "connections tried",
            (false, 1) => "probe",
            (false, _) => "probes",
        };
        format!("{} {what}", self.probes_sent)
    }

    fn sentence(&self) -> String {
        let peer = self.peer.as_deref().unwrap_or("anybody");
        match &self.outcome {
            Outcome::Connected(path) => format!(
                "{}: {} at {} reaches {peer} at {}{} after {} ms, {} ms since the introduction, \
                 with {} ({}).{}",
                self.result(),
                self.name,
                self.local,
                path.remote,
                self.relay
                    .map(|relay| format!(" through the relay at {relay}"))
                    .unwrap_or_default(),
                ms(self.total),
                ms(self.elapsed),
                self.tried(),
                self.strategy(path),
                self.measured.as_ref().map(worth).unwrap_or_default(),
            ),
            Outcome::Failed(cause) => format!(
                "failed: {} does not reach {peer}, after {} ms and {}: {}: {}.{}",
                self.name,
                ms(self.total),
                self.tried(),
                cause.code(),
                Explained(cause),
                self.forgone(),
            ),
        }
    }

    /// The ways across that the options have excluded, where none is left.
    fn forgone(&self) -> &'static str {
        let relay = matches!(self.plan, Some((_, plan)) if plan.strategy == Strategy::Relay);
        match (relay && self.direct_only, self.limits.probes) {
            (false, _) => "",
            (true, 0) => {
                " With --budget 0 no port is guessed, and with --direct-only no relay is used: \
                 leave one of them out."
            }
            (true, _) => {
                " Within the budgets of both sides no guess is likely to hit, and with --direct-only \
                 no relay is used: leave it out."
            }
        }
    }
}

/// Milliseconds, to a tenth.
pub fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The measurement of the path, as a sentence of its own.
pub fn worth(measured: &Measured) -> String {
    let Some(rtt) = measured.rtt else {
        return " The peer did not take part in measuring the path.".into();
    };
    let rate = |burst: Option<Throughput>| {
        let rate = burst.and_then(|burst| burst.mbit_s);
        rate.map_or("?".into(), |rate| format!("{rate:.0}"))
    };
    let way = match (measured.direct, measured.hops) {
        (Some(true), Some(hops)) => format!("direct, {hops} hops away"),
        (Some(true), None) => "direct".into(),
        (Some(false), _) => "not direct".into(),
        (None, _) => "hops unknown".into(),
    };
    format!(
        " The path: {way}; round trip {} ms, loss {:.0} %, a burst of {} Mbit/s there and {} back.",
        ms(rtt),
        measured.loss * 100.0,
        rate(measured.sent),
        rate(measured.received),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Report {
        let local = SocketAddr::from(([192, 0, 2, 1], 1));
        Report {
            name: "alice".into(),
            peer: Some("bob".into()),
            local,
            mapped: vec![local],
            elapsed: Duration::from_millis(1),
            total: Duration::from_millis(2),
            probes_sent: 1,
            forged: 0,
            tcp: false,
            direct_only: false,
            plan: None,
            limits: Limits::POLITE,
            relay: None,
            measured: None,
            outcome: Outcome::Failed(Cause::NothingHeard),
            shared: None,
            swept: None,
            blocked: Blocked::default(),
        }
    }

    #[test]
    fn one_probe_is_written_in_the_singular() {
        let mut report = failed();
        for (tcp, sent, wanted) in [
            (false, 1, "after 2 ms and 1 probe: "),
            (false, 2, "after 2 ms and 2 probes: "),
            (true, 1, "after 2 ms and 1 connection tried: "),
        ] {
            (report.tcp, report.probes_sent) = (tcp, sent);
            let said = report.sentence();
            assert!(said.contains(wanted), "{said}");
        }
    }

    #[test]
    fn ways_that_the_options_exclude_are_named_where_none_is_left() {
        let mut report = failed();
        report.plan = Some((Role::Caller, Plan::plain(Strategy::Relay, 0.0)));
        report.limits.probes = 0;
        assert!(!report.sentence().contains("--"), "a relay was tried");
        report.direct_only = true;
        let said = report.sentence();
        assert!(
            said.ends_with("no relay is used: leave one of them out."),
            "{said}"
        );
        report.limits.probes = 5;
        let said = report.sentence();
        assert!(
            !said.contains("--budget 0") && said.contains("--direct-only"),
            "{said}"
        );
        report.plan = Some((Role::Caller, Plan::plain(Strategy::Plain, 1.0)));
        assert!(
            !report.sentence().contains("--direct-only"),
            "not the options"
        );
    }
}

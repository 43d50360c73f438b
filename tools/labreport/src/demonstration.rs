//! What the main job shows people: the steps of the punch, the answer, and what it means.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use anstyle::{AnsiColor, Style};
use anyhow::Context;
use journey::{Trace, steps};
use serde::Deserialize;

use crate::cell::{Outcome, Reason};
use crate::input;

/// alice's report, as far as the answer tells it.
#[derive(Debug, Default, Deserialize)]
pub struct Told {
    result: Option<Outcome>,
    strategy: Option<String>,
    #[serde(default)]
    name: String,
    peer: Option<String>,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    relay: Option<String>,
    elapsed_ms: Option<f64>,
    #[serde(default)]
    probes_sent: u32,
    cause: Option<Reason>,
}

/// Reads a trace.
///
/// # Errors
/// When the file is not one.
pub fn trace(file: &Path) -> anyhow::Result<Trace> {
    let text = input::text(file)?;
    Trace::read(&text).with_context(|| format!("{} is not a trace", file.display()))
}

/// Steps, answer and meaning. `expected` is the expected outcome, `why` the sentence about it.
pub fn text(trace: &Trace, told: &Told, expected: Outcome, why: &str, colour: bool) -> String {
    let mut out = String::from("\nThe steps (times in ms):\n");
    out += &steps::render(trace, colour);
    let connected = told.result.is_some_and(Outcome::connects);
    let style = match connected {
        true => Style::new().bold().fg_color(Some(AnsiColor::Green.into())),
        false => Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
    };
    let styled = |text: &str| match colour {
        true => format!("{style}{text}{style:#}"),
        false => text.to_owned(),
    };
    // writing to a string does not fail
    let _ = writeln!(
        out,
        "\n{}",
        styled(steps::wrapped(&told.answer()).trim_end())
    );
    if connected {
        let _ = write!(out, "  {}", steps::wrapped(&told.times(trace)));
    }
    let meant = match told.result {
        Some(result) if result == expected => why.to_owned(),
        _ => format!("NOT AS EXPECTED. {why}"),
    };
    let _ = write!(out, "\n{}", steps::wrapped(&meant));
    out
}

impl Told {
    fn answer(&self) -> String {
        let peer = self.peer.as_deref().unwrap_or("the peer");
        let end = |end: Option<SocketAddr>| end.map_or("?".to_owned(), |end| end.to_string());
        let result = self
            .result
            .map_or("unknown".to_owned(), |it| it.to_string());
        let name = &self.name;
        match (self.result, &self.cause) {
            (Some(Outcome::Relay), _) => format!(
                "{result}: {name} reaches {peer} through the relay at {}",
                self.relay.as_deref().unwrap_or("the server")
            ),
            (Some(result), _) if result.connects() => format!(
                "{result}: {name} at {} reaches {peer} at {}",
                end(self.local),
                end(self.remote)
            ),
            (_, Some(cause)) => format!(
                "{result}: {name} does not reach {peer}: {}: {}.",
                cause.code, cause.text
            ),
            _ => format!("{result}: {name} does not reach {peer}"),
        }
    }

    /// How long the path took, and what it cost.
    fn times(&self, trace: &Trace) -> String {
        let introduced = self.elapsed_ms;
        let introduced = introduced.map(|ms| format!("{ms:.1} ms after the introduction"));
        // A relayed path may come first, and be left for a direct one.
        let direct = self.peer.as_deref();
        let direct = direct.filter(|_| self.strategy.as_deref() != Some("relay"));
        let began = steps::to_the_path(trace, &self.name, direct);
        let began = began.map(|ms| format!("{ms:.1} ms after {} began", self.name));
        let probes = match self.probes_sent {
            1 => "1 probe".to_owned(),
            n => format!("{n} probes"),
        };
        let how = match self.strategy.as_deref() {
            Some("plain") | None => "no port was guessed".to_owned(),
            Some("relay") => "no direct path was found".to_owned(),
            Some(strategy) => strategy.to_owned(),
        };
        let times = introduced.into_iter().chain(began);
        let cost = format!("with {probes}: {how}");
        times.chain([cost]).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_was_not_measured_is_left_out() {
        let trace = r#"{"schema": 1, "started_unix_ns": 0, "nodes": [], "journeys": [], "tables": [],
                        "gaps": [], "cause": null}"#;
        let trace: Trace = serde_json::from_str(trace).unwrap();
        let times = |report: &str| {
            let told: Told = serde_json::from_str(report).unwrap();
            told.times(&trace)
        };
        assert_eq!(
            times(r#"{"elapsed_ms": 1.25, "probes_sent": 1}"#),
            "1.2 ms after the introduction, with 1 probe: no port was guessed"
        );
        assert_eq!(
            times(r#"{"elapsed_ms": null, "probes_sent": 2, "strategy": "spray"}"#),
            "with 2 probes: spray"
        );
    }
}

//! From what was typed to what is printed.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use cli::report::StoredReport;
use discover::{Config, Determinism, Hairpin, Lifetime, Path, Report, Requirement, Verdict, sheet};
use nat::Dependence;
use nat::oracle::expected;
use nat::plan::{Limits, between};
use net::discover::{discover, measure, seed};
use net::gateway::port_mapping;

use crate::args::{Args, Job};
use crate::text;

const DEFAULT_PORT: u16 = 8848;

/// 0 measured, 1 UDP is blocked, 2 could not tell.
pub(crate) fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let job = match Args::parse().into_job(env) {
        Ok(job) => job,
        Err(error) => error.exit(),
    };
    match work(&job) {
        Ok(Verdict::Measured) => ExitCode::SUCCESS,
        Ok(Verdict::UdpBlocked) => ExitCode::from(1),
        Ok(Verdict::CouldNotTell) => ExitCode::from(2),
        Err(error) => {
            cli::stderr::line(format_args!("natprobe: {error:#}"));
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn work(job: &Job) -> anyhow::Result<Verdict> {
    let config = configure(job).await?;
    let mut report = probe(job, &config).await?;
    let mut read = print(job, &report, &[])?;
    while let Some(pause) = job.watch.filter(|_| read) {
        tokio::time::sleep(pause).await;
        let next = probe(job, &config).await?;
        let changed = report.differences(&next);
        if !changed.is_empty() {
            read = print(job, &next, &changed)?;
            report = next;
        }
    }
    Ok(report.verdict)
}

/// Whom to ask, and how.
async fn configure(job: &Job) -> anyhow::Result<Config> {
    let resolve = async |server: &str| {
        let address = net::host::resolve(server, DEFAULT_PORT).await;
        address.with_context(|| format!("looking up {server}"))
    };
    let s1 = resolve(&job.s1).await?;
    let s2 = match &job.s2 {
        Some(s2) => Some(resolve(s2).await?),
        None => None,
    };
    if let Some(s2) = s2 {
        anyhow::ensure!(
            s1.is_ipv4() == s2.is_ipv4(),
            "{s1} and {s2} are of two families"
        );
        anyhow::ensure!(
            s1.ip() != s2.ip(),
            "--s1 and --s2 are both {}: there is nothing to compare",
            s1.ip()
        );
    }
    let mut config = Config::new(s1, s2);
    config.tries = job.tries;
    config.wait = job.timeout;
    config.survey = job.rfc4787;
    Ok(config)
}

/// As often as asked, and what was asked for beyond that.
async fn probe(job: &Job, config: &Config) -> anyhow::Result<Report> {
    let mut report = discover(config.clone()).await?;
    let mut differing = Vec::new();
    for _ in 1..job.runs {
        let again = discover(config.clone()).await?;
        report.elapsed_ms += again.elapsed_ms;
        differing.extend(report.differences(&again));
    }
    differing.sort_unstable();
    differing.dedup();
    let runs = job.runs;
    report.determinism = (runs > 1).then_some(Determinism { runs, differing });
    further(job, config.s1, &mut report).await?;
    Ok(report)
}

/// What was asked for beyond the axes; what cannot disturb the others first.
async fn further(job: &Job, s1: SocketAddr, report: &mut Report) -> anyhow::Result<()> {
    let start = Instant::now();
    let behaviour = report.behaviour;
    let translates = behaviour.nat == Some(true);
    // A NAT that maps anew for every destination does so for itself, too, and
    // lets the other address in by another mapping than the one that asked.
    let stable = behaviour.mapping == Some(Dependence::EndpointIndependent);
    if job.port_mapping {
        let seen: Vec<_> = report.mapped.iter().map(SocketAddr::ip).collect();
        report.port_mapping = port_mapping(s1).await?;
        if let Some(found) = &mut report.port_mapping {
            found.compare(&seen);
        }
    }
    if let (true, Some(longest)) = (translates, job.lifetime) {
        let lifetime = Lifetime::new(Instant::now(), s1, longest, seed()?);
        report.lifetime = measure(s1, lifetime).await?.report();
    }
    if job.path && report.verdict == Verdict::Measured {
        let outer = report.mapped.first().copied().filter(|_| translates);
        let other = report.other_address.filter(|_| stable);
        let path = Path::new(Instant::now(), s1, other, outer, seed()?);
        report.path = measure(s1, path).await?.report();
    }
    if job.hairpin && translates && stable {
        let hairpin = Hairpin::new(Instant::now(), s1, seed()?);
        report.hairpin = measure(s1, hairpin).await?.report();
    }
    report.elapsed_ms += start.elapsed().as_micros() as f64 / 1000.0;
    Ok(())
}

/// The JSON object: the report, and what was asked for besides.
#[derive(serde::Serialize)]
struct Page<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rfc4787: Option<Vec<Requirement>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    changed: &'a [&'a str],
}

/// Is somebody still reading?
fn print(job: &Job, report: &Report, changed: &[&str]) -> anyhow::Result<bool> {
    let against = match &job.against {
        Some(other) => {
            let ours = report.side(Limits::POLITE);
            let theirs = StoredReport::read(other)?.side;
            let why = expected(&ours.behaviour, &theirs.behaviour).why;
            Some((between(&ours, &theirs), why))
        }
        None => None,
    };
    let sheet = job.rfc4787.then(|| sheet(report));
    let text = match job.json {
        true => {
            let page = Page {
                report,
                against: against.as_ref().map(text::against_json),
                rfc4787: sheet,
                changed,
            };
            serde_json::to_string(&page)?
        }
        false => {
            let sheet = sheet.map(|sheet| text::sheet(&sheet)).unwrap_or_default();
            let changed = match changed {
                [] => String::new(),
                changed => format!("changed: {}\n", changed.join(", ")),
            };
            changed + &sheet + &text::render(report, against.as_ref())
        }
    };
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever read has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true).context("writing to standard output"),
    }
}

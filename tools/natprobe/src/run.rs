//! From the command line to the output.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use cli::head::Headed;
use cli::report::StoredReport;
use discover::{
    Determinism, Hairpin, Lifetime, Path, Report, Requirement, Verdict, carrier_nat, sheet,
};
use nat::Dependence;
use nat::oracle::expected;
use nat::plan::{Limits, between};
use net::discover::{discover, measure, seed};
use net::gateway::port_mapping;
use net::mtu::path_mtu;

use crate::args::{Options, Settings};
use crate::servers::Servers;
use crate::text::{self, Asked};

/// Exit status 0: measured; 1: UDP is blocked; 2: no result.
pub(crate) fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let settings = match Options::parse().into_settings(env) {
        Ok(settings) => settings,
        Err(error) => error.exit(),
    };
    match work(&settings) {
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
async fn work(settings: &Settings) -> anyhow::Result<Verdict> {
    net::files::raise().context("cannot raise the limit of open files")?;
    let servers = Servers::find(settings).await?;
    if let Some(pause) = settings.watch {
        return watch(settings, &servers, pause).await;
    }
    let report = probe(settings, &servers).await?;
    output(&page(settings, &report, &[])?)?;
    Ok(report.verdict)
}

/// Measures again and again, until nobody reads the output. That nothing can be sent, because the
/// network is away, is a change like another.
async fn watch(settings: &Settings, servers: &Servers, pause: Duration) -> anyhow::Result<Verdict> {
    let mut before: Option<anyhow::Result<Report>> = None;
    loop {
        let next = probe(settings, servers).await;
        let text = match (&before, &next) {
            (None, Ok(report)) => Some(page(settings, report, &[])?),
            (Some(Ok(before)), Ok(report)) => match before.differences(report).as_slice() {
                [] => None,
                changed => Some(page(settings, report, changed)?),
            },
            (Some(Err(_)), Ok(report)) => Some(page(settings, report, &["verdict"])?),
            (Some(Err(_)), Err(_)) => None,
            (_, Err(error)) => Some(text::no_network(settings.json, error)?),
        };
        let read = match &text {
            Some(text) => output(text)?,
            None => true,
        };
        let verdict = next
            .as_ref()
            .map_or(Verdict::CouldNotTell, |report| report.verdict);
        if !read {
            return Ok(verdict);
        }
        // What is compared with is what was printed last.
        if text.is_some() {
            before = Some(next);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Measures as often as the settings say, and then what they ask for in addition.
async fn probe(settings: &Settings, servers: &Servers) -> anyhow::Result<Report> {
    let start = Instant::now();
    let (mut report, config) = servers.measure().await?;
    let mut differing = Vec::new();
    for _ in 1..settings.runs {
        let again = discover(config.clone()).await?;
        differing.extend(report.differences(&again));
    }
    differing.sort_unstable();
    differing.dedup();
    let runs = settings.runs;
    report.determinism = (runs > 1).then_some(Determinism { runs, differing });
    further(settings, report.server, &mut report).await?;
    let carrier = carrier_nat(&report);
    report.notes.extend(carrier);
    report.elapsed_ms = start.elapsed().as_micros() as f64 / 1000.0;
    Ok(report)
}

/// The measurements that are made on request only. The last is the one that may disturb others.
async fn further(settings: &Settings, s1: SocketAddr, report: &mut Report) -> anyhow::Result<()> {
    let behaviour = report.behaviour;
    let translates = behaviour.nat == Some(true);
    // If every destination has another mapping, so has the NAT's own address, and the server's other
    // address is let in through another mapping than the one that asked.
    let stable = behaviour.mapping == Some(Dependence::EndpointIndependent);
    if settings.port_mapping {
        let seen: Vec<_> = report.mapped.iter().map(SocketAddr::ip).collect();
        report.port_mapping = port_mapping(s1).await?;
        if let Some(found) = &mut report.port_mapping {
            found.compare(&seen);
        }
    }
    if let (true, Some(longest)) = (translates, settings.lifetime) {
        let lifetime = Lifetime::new(Instant::now(), s1, longest, seed()?);
        report.lifetime = measure(s1, lifetime).await?.report();
    }
    if settings.path && report.verdict == Verdict::Measured {
        let outside = report.mapped.first().copied().filter(|_| translates);
        let other = report.other_address.filter(|_| stable);
        let path = Path::new(Instant::now(), s1, other, outside, seed()?);
        report.path = measure(s1, path).await?.report();
        if let Some(path) = &mut report.path {
            path.mtu = path_mtu(s1).await?;
        }
    }
    if settings.hairpin && translates && stable {
        let hairpin = Hairpin::new(Instant::now(), s1, seed()?);
        report.hairpin = measure(s1, hairpin).await?.report();
    }
    Ok(())
}

/// The JSON object: the report, and what was asked for in addition.
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

/// The report as it is printed.
fn page(settings: &Settings, report: &Report, changed: &[&str]) -> anyhow::Result<String> {
    let against = match &settings.against {
        Some(other) => {
            let ours = report.side(Limits::POLITE);
            let theirs = StoredReport::read(other)?.side;
            let why = expected(&ours.behaviour, &theirs.behaviour).why;
            Some((between(&ours, &theirs), why))
        }
        None => None,
    };
    let sheet = settings.rfc4787.then(|| sheet(report));
    let text = match settings.json {
        true => {
            let page = Page {
                report,
                against: against.as_ref().map(text::against_json),
                rfc4787: sheet,
                changed,
            };
            Headed::now("natprobe", page).to_json()?
        }
        false => {
            let sheet = sheet.map(|sheet| text::sheet(&sheet)).unwrap_or_default();
            let head = match (settings.watch, changed) {
                (None, _) => String::new(),
                (Some(_), []) => format!("{}: measured\n", cli::log::time()),
                (Some(_), changed) => {
                    format!("{}: changed: {}\n", cli::log::time(), changed.join(", "))
                }
            };
            let asked = Asked {
                hairpin: settings.hairpin,
                lifetime: settings.lifetime.is_some(),
                path: settings.path,
                port_mapping: settings.port_mapping,
            };
            head + &sheet + &text::render(report, asked, against.as_ref())
        }
    };
    Ok(text)
}

/// Prints it; `false` if standard output is closed.
fn output(text: &str) -> anyhow::Result<bool> {
    match writeln!(std::io::stdout(), "{text}") {
        // Its reader needs no more.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        result => result
            .map(|()| true)
            .context("cannot write to standard output"),
    }
}

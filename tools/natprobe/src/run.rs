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
    Config, Determinism, Hairpin, Lifetime, Note, NoteCode, Path, Report, Requirement, Verdict,
    sheet,
};
use nat::Dependence;
use nat::oracle::expected;
use nat::plan::{Limits, between};
use net::discover::{discover, measure, seed};
use net::gateway::port_mapping;

use crate::args::{Options, Settings};
use crate::text::{self, Asked};

const DEFAULT_PORT: u16 = 8848;
/// Of a STUN server (RFC 8489 §2).
const STUN_PORT: u16 = 3478;

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
    let config = configure(settings).await?;
    if let Some(pause) = settings.watch {
        return watch(settings, &config, pause).await;
    }
    let report = probe(settings, &config).await?;
    output(&page(settings, &report, &[])?)?;
    Ok(report.verdict)
}

/// Measures again and again, until nobody reads the output. That nothing can be sent, because the
/// network is away, is a change like another.
async fn watch(settings: &Settings, config: &Config, pause: Duration) -> anyhow::Result<Verdict> {
    let mut before: Option<anyhow::Result<Report>> = None;
    loop {
        let next = probe(settings, config).await;
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

/// What to measure with: servers and numbers.
async fn configure(settings: &Settings) -> anyhow::Result<Config> {
    let default_port = match settings.stun.as_slice() {
        [] => DEFAULT_PORT,
        _ => STUN_PORT,
    };
    let resolve = async |server: &str| {
        let address = net::host::resolve(net::host::split(server).host, default_port).await;
        address.with_context(|| format!("cannot look up {server}"))
    };
    let s1 = resolve(&settings.s1).await?;
    let s2 = match &settings.s2 {
        Some(s2) => Some(resolve(s2).await?),
        None => None,
    };
    if let Some(s2) = s2 {
        anyhow::ensure!(
            s1.is_ipv4() == s2.is_ipv4(),
            "--server {s1} and --s2 {s2} must both be IPv4 or both be IPv6"
        );
        anyhow::ensure!(
            s1 != s2,
            "--server and --s2 are both {s1}: give another address or another port, or --server only"
        );
    }
    let mut config = Config::new(s1, s2);
    for server in settings.stun.iter().skip(1) {
        let server = resolve(server).await?;
        anyhow::ensure!(
            s1.is_ipv4() == server.is_ipv4(),
            "--stun {s1} and {server} must all be IPv4 or all be IPv6"
        );
        config.more.push(server);
    }
    config.tries = settings.tries;
    config.wait = settings.timeout;
    config.survey = settings.rfc4787;
    Ok(config)
}

/// One measurement, and with which of several servers as the first: with the first one that has
/// another address, or else that answers.
async fn first(config: &Config) -> anyhow::Result<(Report, Config)> {
    let has_another = |report: &Report| {
        let other = report.other_address;
        other.is_some_and(|other| other.ip() != report.server.ip())
    };
    let mut best = (discover(config.clone()).await?, config.clone());
    let mut config = config.clone();
    for _ in 0..config.more.len() {
        let (report, _) = &best;
        if report.verdict == Verdict::Measured && has_another(report) {
            break;
        }
        let next = config.more.remove(0);
        config.more.push(std::mem::replace(&mut config.s1, next));
        let report = discover(config.clone()).await?;
        let measured = report.verdict == Verdict::Measured;
        if measured && (has_another(&report) || best.0.verdict != Verdict::Measured) {
            best = (report, config.clone());
        }
    }
    let (report, config) = &mut best;
    let silent = config.more.iter().filter(|&&server| {
        let mut asked = report.evidence.iter().filter(|test| test.to == server);
        report.verdict == Verdict::Measured && asked.all(|test| test.received == 0)
    });
    let notes = silent.map(|server| Note {
        code: NoteCode::ServerSilent,
        text: format!("{server} does not answer"),
    });
    report.notes.extend(notes);
    Ok(best)
}

/// Measures as often as the settings say, and then what they ask for in addition.
async fn probe(settings: &Settings, config: &Config) -> anyhow::Result<Report> {
    let start = Instant::now();
    let (mut report, config) = first(config).await?;
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

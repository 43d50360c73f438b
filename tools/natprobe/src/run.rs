//! From what was typed to what is printed.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use traverse::discover::{Config, Report, Verdict};

use crate::cli::{Args, Job};
use crate::text;

const DEFAULT_PORT: u16 = 8848;

/// 0 measured, 1 UDP is blocked, 2 could not tell.
pub(crate) fn main() -> ExitCode {
    let env = |name: &str| std::env::var(name).ok();
    let job = match Args::parse().into_job(env) {
        Ok(job) => job,
        Err(error) => error.exit(),
    };
    let result = measure(&job).and_then(|report| {
        print(&job, &report)?;
        Ok(report.verdict)
    });
    match result {
        Ok(Verdict::Measured) => ExitCode::SUCCESS,
        Ok(Verdict::UdpBlocked) => ExitCode::from(1),
        Ok(Verdict::CouldNotTell) => ExitCode::from(2),
        Err(error) => {
            eprintln!("natprobe: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn measure(job: &Job) -> anyhow::Result<Report> {
    let resolve = async |server: &str| {
        let address = peer::host::resolve(server, DEFAULT_PORT).await;
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
    Ok(peer::discover::discover(config).await?)
}

fn print(job: &Job, report: &Report) -> anyhow::Result<()> {
    let text = match job.json {
        true => serde_json::to_string(report)?,
        false => text::render(report),
    };
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever read has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("writing to standard output"),
    }
}

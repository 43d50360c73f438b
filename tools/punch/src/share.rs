//! `--share`: after the attempt both sides tell each other what they have noted of it, and each shows
//! what became of every packet between the two hosts.

mod notes;
mod text;

pub use notes::Notes;

use std::fs::File;
use std::io::BufWriter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use cli::head::Headed;
use cli::options::PathOptions;
use journey::account::Account;
use journey::clock::{Clock, Offset};
use journey::{Trace, hosts};
use net::drive::{Driver, Traffic};
use peer_proto::client::Relation;
use peer_proto::share::{self, Outcome as Told, Share, Times};
use serde_json::{Value, json};
use stun::code;

use crate::attempt::{Attempt, Ended, Introduction};
use crate::report::Outcome;

/// What became of the packets between the two hosts.
pub struct Shared {
    trace: Trace,
    /// How far the peer's clock is ahead of ours, if the peer has told its part.
    offset: Option<Offset>,
    /// Why it has not.
    alone: Option<String>,
}

impl Shared {
    /// For people.
    pub fn text(&self) -> String {
        text::of(&self.trace, self.offset, self.alone.as_deref())
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        let ms = |us: f64| us / 1e3;
        json!({
            "alone": self.alone,
            "clock": self.offset.map(|offset| json!({
                "peer_ahead_ms": ms(offset.us as f64),
                "error_ms": ms(offset.error_us as f64),
            })),
            "trace": self.trace,
        })
    }

    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let out = BufWriter::new(File::create(file)?);
            Ok(serde_json::to_writer(
                out,
                &Headed::now("punch", &self.trace),
            )?)
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }
}

/// Our account of an attempt that has ended, without its packets; `None` if there was no introduction.
pub fn account<W: FnMut(Traffic<'_>)>(
    attempt: &Attempt<'_, W>,
    ended: &Ended,
    local: SocketAddr,
) -> Option<Account> {
    let introduction = attempt.introduction.as_ref()?;
    Some(Account {
        name: attempt.settings.name.clone(),
        address: local.ip(),
        reflexive: attempt.driver.endpoint().mapped(),
        peer: introduction.address,
        connected: matches!(ended.outcome, Outcome::Connected(_)),
        cause: match &ended.outcome {
            Outcome::Failed(cause) => Some(cause.code().into()),
            Outcome::Connected(_) => None,
        },
        left_out: 0,
        packets: Vec::new(),
    })
}

/// Shares the account with the peer, and joins both; `None` if nothing is to be shared or written.
///
/// # Errors
/// When a socket fails, on a signal, or when the file of --trace cannot be written.
pub async fn share<W: FnMut(Traffic<'_>)>(
    attempt: &mut Attempt<'_, W>,
    account: Option<Account>,
    notes: &Notes,
) -> anyhow::Result<Option<Shared>> {
    let (args, wanted) = (attempt.args, notes.is_kept());
    let (Some(mut account), Some(introduction)) =
        (account.filter(|_| wanted), attempt.introduction.clone())
    else {
        if args.share {
            cli::stderr::line("punch: nothing to share: there was no introduction to a peer");
        }
        return Ok(None);
    };
    (account.packets, account.left_out) = notes.finish(attempt.driver.server());
    let (mut clock, mut theirs, mut alone) = (Clock::default(), None, None);
    if args.share {
        let told = told(&account, args.paths.no_host_candidates);
        match tell(attempt, &introduction, told.encode()).await? {
            Ok((told, times)) => {
                theirs = Some(told);
                clock = times;
            }
            Err(why) => {
                cli::stderr::line(format_args!("punch: {why}"));
                alone = Some(why);
            }
        }
    }
    let (trace, offset) = hosts::join(&account, theirs.as_ref(), clock, unix_ns(attempt.start));
    let shared = Shared {
        trace,
        offset,
        alone,
    };
    if let Some(file) = args.trace_file() {
        shared.write(file)?;
    }
    Ok(args.share.then_some(shared))
}

/// What the peer is told: without host candidates not our private address either.
fn told(account: &Account, hidden: bool) -> Account {
    let mut told = account.clone();
    if hidden {
        told.address = match told.address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
    }
    told
}

/// The peer's account, and the bounds on the clocks; or why there is none.
async fn tell<W: FnMut(Traffic<'_>)>(
    attempt: &mut Attempt<'_, W>,
    introduction: &Introduction,
    bytes: Vec<u8>,
) -> anyhow::Result<Result<(Account, Clock), String>> {
    let peer = &introduction.peer;
    if introduction.relation == Relation::Stranger {
        return Ok(Err(format!(
            "{peer} is not known here, so nothing was shared with it: on the first contact, use --from {peer}"
        )));
    }
    if !introduction.shares {
        return Ok(Err(format!(
            "{peer} shares nothing: {peer} needs --share, too"
        )));
    }
    cli::stderr::line(format_args!(
        "punch: sharing with {peer}, for which we wait up to {} s",
        share::PATIENCE.as_secs()
    ));
    let settings = attempt.settings;
    let nothing = PathOptions {
        opener_ttl: 0,
        no_host_candidates: true,
        direct_only: true,
        relay_only: false,
    };
    let server = attempt.driver.server();
    let config = settings.endpoint(server, &nothing)?;
    let share = Share::new(
        share::Config {
            client: config.client,
            rotation: config.rotation,
            peer: peer.clone(),
            key: introduction.key,
            role: introduction.role,
            origin: attempt.start,
            bytes,
        },
        Instant::now(),
    );
    let driver = Driver::towards(server, share);
    let mut driver = driver.with_context(|| format!("no route to {server}"))?;
    let told = loop {
        driver.flush()?;
        if let Some(outcome) = driver.protocol().outcome() {
            break outcome.clone();
        }
        tokio::select! {
            step = driver.step() => drop(step.context("the socket failed")?),
            () = attempt.signals.ended() => anyhow::bail!("interrupted"),
        }
    };
    Ok(match told {
        Told::Shared(shared) => match Account::decode(&shared.bytes) {
            // It is told under the key of the introduction; the name is the one that we know.
            Some(account) => {
                let name = peer.clone();
                Ok((Account { name, ..account }, bounds(&shared.times)))
            }
            None => Err(format!(
                "what {peer} shares cannot be read: is it of another version?"
            )),
        },
        Told::Silent => Err(format!(
            "{peer} has not shared its part within {} s",
            share::PATIENCE.as_secs()
        )),
        Told::Refused(code) => Err(format!(
            "the rendezvous refuses us, so nothing was shared: {code} {}",
            code::reason(code)
        )),
        Told::OtherKey => Err(format!(
            "{peer} has another key than in the attempt by now, so nothing was shared"
        )),
    })
}

fn bounds(times: &[Times]) -> Clock {
    let mut clock = Clock::default();
    for times in times {
        match *times {
            Times::Went { sent, received } => clock.went(sent, received),
            Times::Came { sent, received } => clock.came(sent, received),
        }
    }
    clock
}

/// When that was, in nanoseconds since 1970.
fn unix_ns(at: Instant) -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let ns = since.saturating_sub(at.elapsed()).as_nanos();
    u64::try_from(ns).unwrap_or(u64::MAX)
}

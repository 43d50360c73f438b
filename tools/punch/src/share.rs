//! `--share`: after the attempt both sides tell each other what they have noted of it, and each shows
//! what became of every packet between the two hosts.

mod notes;
mod text;

pub use notes::Notes;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use cli::head::Headed;
use cli::settings::Settings;
use cli::signals::Signals;
use journey::account::{Account, What};
use journey::clock::{Clock, Offset};
use journey::{Trace, hosts};
use nat::is_private;
use net::drive::{Driver, Traffic};
use peer_proto::client::{self, Relation};
use peer_proto::share::{self, Outcome as Told, Share, Times};
use serde_json::{Value, json};
use stun::code;

use crate::args::Args;
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

    /// Writes the trace.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let mut out = BufWriter::new(File::create(file)?);
            serde_json::to_writer(&mut out, &Headed::now("punch", &self.trace))?;
            Ok(out.flush()?)
        };
        write().with_context(|| format!("cannot write {}", file.display()))
    }
}

/// What sharing needs of an attempt that has ended. Its sockets are closed: who has opened many of
/// them may lack the files for another.
pub struct Sharing<'a> {
    args: &'a Args,
    settings: &'a Settings,
    /// Where the rendezvous is by now.
    server: SocketAddr,
    start: Instant,
    signals: Signals,
    pub introduction: Option<Introduction>,
    /// Our account, without its packets; `None` if there was no introduction.
    account: Option<Account>,
}

impl<'a> Sharing<'a> {
    /// The attempt ends here.
    pub fn after<W: FnMut(Traffic<'_>)>(
        attempt: Attempt<'a, W>,
        ended: &Ended,
        local: SocketAddr,
    ) -> Sharing<'a> {
        let account = attempt.introduction.as_ref().map(|introduction| Account {
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
        });
        Sharing {
            args: attempt.args,
            settings: attempt.settings,
            server: attempt.driver.server(),
            start: attempt.start,
            signals: attempt.signals,
            introduction: attempt.introduction,
            account,
        }
    }

    /// Shares the account with the peer, and joins both; `None` if nothing is to be shared or written.
    pub async fn share(mut self, notes: &Notes) -> Option<Shared> {
        let (args, wanted) = (self.args, notes.is_kept());
        let account = self.account.take().filter(|_| wanted);
        let (Some(mut account), Some(introduction)) = (account, self.introduction.take()) else {
            if args.share {
                cli::stderr::line("punch: nothing to share: there was no introduction to a peer");
            }
            return None;
        };
        (account.packets, account.left_out) = notes.finish(self.server);
        let (mut clock, mut theirs, mut alone) = (Clock::default(), None, None);
        if args.share {
            let told = told(&account, args.paths.no_host_candidates);
            match self.tell(&introduction, told.encode()).await {
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
        let (trace, offset) = hosts::join(&account, theirs.as_ref(), clock, unix_ns(self.start));
        Some(Shared {
            trace,
            offset,
            alone,
        })
    }

    /// The peer's account, and the bounds on the clocks; or why there is none.
    async fn tell(
        &mut self,
        introduction: &Introduction,
        bytes: Vec<u8>,
    ) -> Result<(Account, Clock), String> {
        let peer = &introduction.peer;
        if introduction.relation == Relation::Stranger {
            return Err(format!(
                "{peer} is not known here, so nothing was shared with it: on the first contact, use --from {peer}"
            ));
        }
        if !introduction.shares {
            return Err(format!("{peer} shares nothing: {peer} needs --share, too"));
        }
        cli::stderr::line(format_args!(
            "punch: sharing with {peer}, for which we wait up to {} s",
            share::PATIENCE.as_secs()
        ));
        let outcome = self.exchange(introduction, bytes).await;
        match outcome.map_err(|error| format!("nothing was shared with {peer}: {error:#}"))? {
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
        }
    }

    /// Tells the peer these bytes, and is told its own.
    async fn exchange(
        &mut self,
        introduction: &Introduction,
        bytes: Vec<u8>,
    ) -> anyhow::Result<Told> {
        let server = self.server;
        let config = self.config(introduction, bytes)?;
        let driver = Driver::towards(server, Share::new(config, Instant::now()));
        let mut driver = driver.with_context(|| format!("no route to {server}"))?;
        loop {
            driver.flush()?;
            if let Some(outcome) = driver.protocol().outcome() {
                return Ok(outcome.clone());
            }
            tokio::select! {
                step = driver.step() => drop(step.context("the socket failed")?),
                () = self.signals.ended() => anyhow::bail!("interrupted"),
            }
        }
    }

    fn config(&self, introduction: &Introduction, bytes: Vec<u8>) -> anyhow::Result<share::Config> {
        Ok(share::Config {
            client: client::Config {
                server: self.server,
                ..self.settings.client()?
            },
            rotation: self.settings.rotation,
            peer: introduction.peer.clone(),
            key: introduction.key,
            role: introduction.role,
            origin: self.start,
            bytes,
        })
    }
}

/// What the peer is told: without host candidates no address of our own network, neither ours nor
/// that of a router which has sent an ICMP error.
fn told(account: &Account, hidden: bool) -> Account {
    let mut told = account.clone();
    if !hidden {
        return told;
    }
    told.address = unspecified(told.address);
    for packet in &mut told.packets {
        if let What::Icmp { offender, .. } = &mut packet.what
            && is_private(*offender)
        {
            *offender = unspecified(*offender);
        }
    }
    told
}

/// The address of this family that names no host.
fn unspecified(of: IpAddr) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
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

#[cfg(test)]
mod tests {
    use clap::Parser;
    use cli::home::Home;
    use cli::options::Options;
    use journey::account::Packet;
    use nat::plan::{Plan, Role, Strategy};

    use super::*;

    #[tokio::test]
    async fn it_is_shared_at_the_address_where_the_rendezvous_is_by_now() {
        let name = format!("pinhole-punch-share-{}", std::process::id());
        let home = Home::at(std::env::temp_dir().join(name));
        let options = Options {
            server: Some("127.0.0.1:5".into()),
            name: Some("alice".into()),
            trust_server: false,
        };
        let settings = Settings::gather(home.clone(), options, None).await.unwrap();
        let now = Instant::now();
        let introduction = Introduction {
            at: now,
            peer: "bob".into(),
            key: [7; 32],
            role: Role::Caller,
            plan: Plan::plain(Strategy::Plain, 1.0),
            address: "203.0.113.33:40001".parse().unwrap(),
            relation: Relation::Known,
            shares: true,
        };
        let moved = "127.0.0.2:5".parse().unwrap();
        let sharing = Sharing {
            args: &Args::parse_from(["punch", "--share"]),
            settings: &settings,
            server: moved,
            start: now,
            signals: Signals::watch().unwrap(),
            introduction: None,
            account: None,
        };
        let config = sharing.config(&introduction, Vec::new()).unwrap();
        assert_eq!(
            (settings.server == moved, config.client.server),
            (false, moved)
        );
        std::fs::remove_dir_all(home.path()).unwrap();
    }

    #[test]
    fn without_host_candidates_no_address_of_our_own_network_is_told() {
        let [own, gateway, core] =
            ["192.168.1.2", "192.168.1.1", "203.0.113.254"].map(|ip| ip.parse::<IpAddr>().unwrap());
        let peer = "203.0.113.33:40001".parse().unwrap();
        let icmp = |offender| What::Icmp {
            offender,
            kind: 11,
            code: 0,
        };
        let errors = [gateway, core].map(|by| Packet::new(1, icmp(by), 4000, peer, b"quoted"));
        let account = Account {
            name: "alice".into(),
            address: own,
            reflexive: Vec::new(),
            peer,
            connected: false,
            cause: None,
            left_out: 0,
            packets: errors.to_vec(),
        };
        assert_eq!(told(&account, false), account);
        let hidden = told(&account, true);
        let unspecified: IpAddr = "0.0.0.0".parse().unwrap();
        assert_eq!(hidden.address, unspecified);
        let offenders = Vec::from_iter(hidden.packets.iter().map(|packet| &packet.what));
        assert_eq!(offenders, [&icmp(unspecified), &icmp(core)]);
    }
}

//! Register, be introduced, punch.

mod router;
mod silence;

pub use router::granted;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use cli::settings::Settings;
use cli::signals::Signals;
use nat::plan::Role;
use nat::plan::{Limits, Plan};
use net::gateway::Lease;
use net::host;
use net::session::{Session, Traffic};
use net::udp::Udp;
use peer_proto::endpoint::{Endpoint, Event};
use peer_proto::punch::{Measured, Path};
use peer_proto::verdict::Cause;
use session::identity::fingerprint;
use stun::code;

use crate::args::Args;
use crate::plan::announced;
use crate::prepare::{config, measure, measures, settings, turn_server};
use crate::report::{Outcome, Report};
use crate::stay::{Nat, nat};
use crate::tcp::ByTcp;
use crate::trace::Trace;

/// How long to wait for the peer, and for the path, unless told otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the path may take to be measured.
const MEASURE_PATH: Duration = Duration::from_secs(3);

/// Runs one attempt.
///
/// # Errors
/// When it cannot even be tried: no server, no name, a name that is taken.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(attempt(args))
}

async fn attempt(args: &Args) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let limits = args.limits()?;
    let known = args.nat.as_deref().map(nat).transpose()?;
    let settings = settings(args).await?;
    // Another of this name would take it over: none can, as long as we run.
    let _claim = settings.home.claim(&settings.name, settings.server)?;
    let any = match settings.server {
        SocketAddr::V4(_) => SocketAddr::from(([0; 4], args.port)),
        SocketAddr::V6(_) => SocketAddr::from(([0; 16], args.port)),
    };
    let udp = Udp::bind(any).with_context(|| format!("cannot use UDP port {}", args.port))?;
    let local = host::local_address(settings.server, udp.local_addr().port());
    let trace = args
        .trace
        .then(|| Trace::start(local, start, !args.json))
        .transpose()
        .context("cannot capture")?;
    let by_tcp = match args.tcp {
        true => Some(ByTcp::prepare(any, settings.server).await?),
        false => None,
    };
    let mut config = config(args, &settings, udp.local_addr())?;
    config.tcp = by_tcp.as_ref().map(ByTcp::told);
    config.turn = match &args.turn {
        Some(turn) => Some(turn_server(turn).await?),
        None => None,
    };
    let endpoint = Endpoint::new(config, Instant::now());
    let witness = |traffic: Traffic<'_>| {
        if let Some(trace) = &trace {
            trace.witness(traffic);
        }
    };
    let session = Session::new(udp, endpoint, settings.server, witness)
        .with_context(|| format!("no way to {}", settings.server))?;
    // Only now is there something to give back.
    let signals = Signals::watch().context("cannot wait for signals")?;
    let mut attempt = Attempt {
        settings: &settings,
        args,
        session,
        start,
        limits,
        known,
        lease: None,
        introduced: None,
        plan: None,
        measured: None,
        peer: args.peer.clone(),
        by_tcp,
        signals,
    };
    let mut outcome = attempt.run().await;
    if args.watch
        && let Ok((ended, at)) = &mut outcome
    {
        (*ended, *at) = attempt.stay(ended.clone(), *at).await?;
    }
    if let Some(lease) = attempt.lease.take() {
        lease.close().await;
    }
    let registered = !attempt.session.endpoint().mapped().is_empty();
    let left = match registered {
        true => attempt.session.leave().await,
        false => Ok(()),
    };
    let (outcome, ended) = outcome?;
    left?;
    let since = attempt.introduced.unwrap_or(start);
    let report = Report {
        name: settings.name.clone(),
        peer: attempt.peer.clone(),
        local: match outcome {
            _ if args.tcp => attempt.by_tcp.as_ref().map_or(local, ByTcp::local),
            Outcome::Connected(path) if path.relayed => local,
            Outcome::Connected(path) => {
                host::local_address(path.remote, attempt.session.port(path.socket))
            }
            Outcome::Failed(_) => local,
        },
        mapped: match &attempt.by_tcp {
            Some(by_tcp) => by_tcp.told().mapped,
            None => attempt.session.endpoint().mapped(),
        },
        elapsed: ended.duration_since(since),
        total: ended.duration_since(start),
        probes_sent: match &attempt.by_tcp {
            Some(by_tcp) => by_tcp.tries(),
            None => attempt.session.endpoint().probes_sent(),
        },
        forged: attempt.session.endpoint().forged(),
        tcp: args.tcp,
        plan: attempt.plan.filter(|_| !args.tcp),
        limits,
        measured: attempt.measured.take(),
        outcome,
    };
    drop(attempt);
    let kept = trace.map(Trace::end);
    report.print(args.json, args.report.as_deref(), kept)
}

pub struct Attempt<'a, W> {
    settings: &'a Settings,
    pub args: &'a Args,
    pub session: Session<W>,
    pub start: Instant,
    limits: Limits,
    pub known: Option<Nat>,
    /// A port of our router, if it gives us one.
    pub lease: Option<Lease>,
    introduced: Option<Instant>,
    pub plan: Option<(Role, Plan)>,
    measured: Option<Measured>,
    pub peer: Option<String>,
    by_tcp: Option<ByTcp>,
    pub signals: Signals,
}

impl<W: FnMut(Traffic<'_>)> Attempt<'_, W> {
    /// Until there is a path, or none; and when that was.
    async fn run(&mut self) -> anyhow::Result<(Outcome, Instant)> {
        let patience = match (self.args.timeout, &self.args.peer) {
            (None, None) => None,
            (timeout, _) => Some(timeout.unwrap_or(TIMEOUT)),
        };
        let give_up = patience.map(|patience| self.start + patience);
        let mut connected: Option<(Path, Instant)> = None;
        let known = self.known.as_ref().map(|nat| nat.side(self.limits));
        let mut measuring = measures(self.args);
        let (server, limits) = (self.settings.server, self.limits);
        let mut measured = std::pin::pin!(async {
            match known {
                Some(side) => Some(side),
                None => measure(server, limits).await,
            }
        });
        let mut path_by: Option<Instant> = None;
        loop {
            let waiting = self.introduced.is_none();
            let expired = async {
                match path_by.or(give_up.filter(|_| waiting)) {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let by_tcp = async {
                match &mut self.by_tcp {
                    Some(by_tcp) => by_tcp.next().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = self.session.next() => event,
                outcome = by_tcp => match outcome? {
                    Some(outcome) => return Ok((outcome, Instant::now())),
                    None => {
                        if let Some(by_tcp) = &self.by_tcp {
                            self.session.endpoint_mut().offer_tcp(by_tcp.told());
                        }
                        continue;
                    }
                },
                side = &mut measured, if measuring => {
                    measuring = false;
                    self.session.describe(side);
                    continue;
                }
                event = granted(&mut self.lease) => {
                    self.opened(event);
                    continue;
                }
                () = expired => match connected {
                    Some((path, at)) => return Ok((Outcome::Connected(path), at)),
                    None => return self.nobody().await,
                },
                () = self.signals.ended() => anyhow::bail!("interrupted"),
            };
            let event = match event {
                Ok(event) => event,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => anyhow::bail!(
                    "no rendezvous: {error}; start one there with: rendezvous --ip {}",
                    self.settings.server.ip()
                ),
                Err(error) => return Err(error).context("the socket failed"),
            };
            match event {
                Event::Connected { path, .. } => {
                    if path.relayed {
                        cli::stderr::line(format_args!(
                            "punch: relayed, and still looking for a direct path"
                        ));
                    }
                    connected = Some((path, Instant::now()));
                }
                Event::Finished { peer } => {
                    if let Some((path, at)) = connected {
                        if self.args.quick {
                            return Ok((Outcome::Connected(path), at));
                        }
                        path_by = Some(Instant::now() + MEASURE_PATH);
                        self.session.endpoint_mut().measure(Instant::now(), &peer);
                    }
                }
                Event::Measured { measured, .. } => {
                    self.measured = Some(measured);
                    if let Some((path, at)) = connected {
                        return Ok((Outcome::Connected(path), at));
                    }
                }
                Event::Failed { cause, .. } => return Ok((Outcome::Failed(cause), Instant::now())),
                Event::ServerSilent if self.is_blocked().await? => {
                    return Ok((Outcome::Failed(Cause::UdpBlocked), Instant::now()));
                }
                event => self.note(event).await?,
            }
            if let (Some(by_tcp), Some(config)) =
                (&mut self.by_tcp, self.session.endpoint_mut().poll_tcp())
            {
                by_tcp.start(config).await?;
            }
        }
    }

    /// What happens on the way, on stderr.
    async fn note(&mut self, event: Event) -> anyhow::Result<()> {
        let name = &self.settings.name;
        match event {
            Event::Registered(mapped) => {
                cli::stderr::line(format_args!(
                    "punch: registered as {name}, seen at {mapped}"
                ));
                if let Some(file) = &self.args.ready {
                    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
                    writeln!(file, "registered as {name}, seen at {mapped}")?;
                }
                self.ask_gateway(mapped);
                if self.args.peer.is_none() {
                    cli::stderr::line(format_args!(
                        "punch: waiting for a peer: punch --name THEM --peer {name}"
                    ));
                }
            }
            Event::Refused(code::NAME_TAKEN) => anyhow::bail!(
                "the name {name} is taken: it belongs to another key at {}; use another --name",
                self.settings.server
            ),
            Event::Refused(code) => anyhow::bail!(
                "the server refused the registration of {name}: {code} {}",
                code::reason(code)
            ),
            Event::KeyChanged { peer, known, now } => anyhow::bail!(
                "{peer} has another key than before (known {}, now {}): either {peer} has lost \
                 the old one, or somebody else uses the name; if you trust the new one, remove \
                 the line of {peer} from {}",
                fingerprint(&known),
                fingerprint(&now),
                self.settings.home.known_peers_path().display()
            ),
            Event::ServerSilent => cli::stderr::line(format_args!(
                "punch: no answer from {} yet",
                self.settings.server
            )),
            Event::Introduced {
                peer,
                key,
                address,
                role,
                plan,
            } => {
                self.introduced = Some(Instant::now());
                let how = match role {
                    Role::Caller => "introduced to",
                    Role::Callee => "called by",
                };
                cli::stderr::line(format_args!("punch: {how} {peer}, seen at {address}"));
                if let Some(announced) = announced(&plan, role, &self.limits) {
                    cli::stderr::line(format_args!("punch: {announced}"));
                }
                self.plan = Some((role, plan));
                if !self.settings.known.contains_key(&peer) {
                    self.settings.home.remember_peer(&peer, &key)?;
                }
                self.peer = Some(peer);
            }
            _ => {}
        }
        Ok(())
    }
}

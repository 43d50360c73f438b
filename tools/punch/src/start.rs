//! From the command line to an attempt, and from its end to a report.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use capture::{Ports, Transport};
use cli::address::PeerAddress;
use cli::home::Home;
use cli::lookup::LookUp;
use cli::options::Options;
use cli::report::StoredReport;
use cli::settings::Settings;
use cli::signals::Signals;
use nat::plan::Limits;
use net::drive::Traffic;
use net::endpoint::EndpointDriver;
use net::opened::Opened;
use net::surroundings::Surroundings;
use net::udp::Udp;
use net::{files, host};
use peer_proto::endpoint::{self, Endpoint, Wish};
use peer_proto::punch::Path;
use peer_proto::relay;
use sansio::Via;

use crate::args::Args;
use crate::attempt::{Attempt, Ended};
use crate::firewall::{Blocked, Firewall};
use crate::ready::Ready;
use crate::report::{Outcome, Report};
use crate::share::{Notes, Sharing};
use crate::stay::stay;
use crate::sweep::sweep;
use crate::tcp::ByTcp;
use crate::trace::Trace;

/// How long to wait for the peer, and for the path, unless --timeout is given.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The port of a TURN server (RFC 8656 §17).
const TURN_PORT: u16 = 3478;

/// The files that an attempt has open beside the sockets of its plan: those of the
/// system's events and signals, the trace, and what asks the router for a port.
const OTHER_FILES: u64 = 20;

/// Runs one attempt.
///
/// # Errors
/// When it cannot be tried: no server, no name, a name that is taken.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(attempt(args))
}

async fn attempt(args: &Args) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let peer: Option<PeerAddress> = args.peer.as_deref().map(str::parse).transpose()?;
    let args = &Args {
        peer: peer.as_ref().map(|peer| peer.name.clone()),
        ..args.clone()
    };
    let ports = own_ports();
    let limits = within_the_files(args.limits()?)?;
    let ready = Ready::open(args.ready.as_deref())?;
    let stored = args.nat.as_deref().map(StoredReport::read).transpose()?;
    let mut settings = settings(args).await?;
    if let Some(PeerAddress {
        name,
        key: Some(key),
    }) = &peer
    {
        settings.pin(name, *key)?;
    }
    // Another process with the name would take the registration over.
    let _claim = settings.home.claim(&settings.name, settings.server)?;
    let any = SocketAddr::new(host::wildcard(settings.server), args.port);
    let udp = Udp::bind(any).with_context(|| format!("cannot use UDP port {}", args.port))?;
    let local = host::local_address(settings.server, udp.local_addr().port());
    let trace = args
        .shows_packets()
        .then(|| Trace::start(local, &ports, start, !args.json))
        .transpose()
        .context("cannot capture packets")?;
    let notes = Notes::begin(args, start);
    let firewall = Firewall::watch(args, &ports, start);
    let by_tcp = match args.tcp {
        true => Some(ByTcp::prepare(any, settings.server).await?),
        false => None,
    };
    let mut config = configure(args, &settings, udp.local_addr()).await?;
    config.tcp = by_tcp.as_ref().map(ByTcp::candidates);
    let endpoint = Endpoint::new(config, Instant::now());
    let witness = |traffic: Traffic<'_>| {
        if let Some(trace) = &trace {
            trace.witness(traffic);
        }
        notes.witness(traffic);
    };
    let driver = EndpointDriver::new(udp, endpoint, settings.server, witness)
        .with_context(|| format!("no route to {}", settings.server))?;
    // Until now there was nothing to give back: a signal could end the process.
    let signals = Signals::watch().context("cannot wait for signals")?;
    let mut attempt = Attempt {
        args,
        settings: &settings,
        known_server: settings.known_server.clone(),
        lookup: LookUp::new(settings.known_server.host(), settings.server),
        surroundings: surroundings(args, settings.server, limits),
        limits,
        start,
        ready,
        stored,
        driver,
        by_tcp,
        signals,
        new_key: settings.new_key.clone(),
        introduction: None,
        pinned: None,
        measured: None,
    };
    let mut ended = attempt.run().await;
    if args.watch
        && let Ok(connected) = &ended
    {
        ended = stay(&mut attempt, connected.clone()).await;
    }
    let blocked = firewall.end();
    blocked.tell();
    notes.blocked(&blocked.packets);
    let left = attempt.leave().await;
    let ended = ended?;
    // From here on there is a result, and nothing that fails hides it.
    if let Err(error) = left {
        cli::stderr::line(format_args!("punch: cannot leave the rendezvous: {error}"));
    }
    let mut report = report(&attempt, &ended, local);
    report.blocked = blocked;
    let sharing = Sharing::after(attempt, &ended, local);
    report.swept = sweep(args, &ended, sharing.introduction.as_ref()).await;
    let shared = sharing.share(&notes).await;
    let written = match (&shared, args.trace_file()) {
        (Some(shared), Some(file)) => shared.write(file),
        _ => Ok(()),
    };
    report.shared = shared.filter(|_| args.share);
    let kept = trace.map(Trace::end);
    let code = report.print(args.json, args.report.as_deref(), kept)?;
    written?;
    Ok(code)
}

/// The ports of all our sockets, from now on.
fn own_ports() -> Ports {
    let ports = Ports::of_this_process();
    let opened = ports.clone();
    net::opened::witness(move |socket| match socket {
        Opened::Udp(port) => opened.watch(Transport::Udp, port),
        Opened::Tcp(port) => opened.watch(Transport::Tcp, port),
    });
    ports
}

/// These limits, with no more sockets than this process may open, which is said.
fn within_the_files(limits: Limits) -> anyhow::Result<Limits> {
    let room = files::room().context("cannot read how many files may be open")?;
    let sockets = u32::try_from(room.saturating_sub(OTHER_FILES)).unwrap_or(u32::MAX);
    if sockets < limits.sockets {
        cli::stderr::line(format_args!(
            "punch: this process may open {room} more files, so it guesses ports with at most \
             {sockets} sockets instead of {}: start it after ulimit -n {} for all of them",
            limits.sockets,
            u64::from(limits.sockets) + 2 * OTHER_FILES
        ));
    }
    Ok(Limits {
        sockets: sockets.min(limits.sockets),
        ..limits
    })
}

/// What is reported of an attempt that has ended.
fn report<W: FnMut(Traffic<'_>)>(
    attempt: &Attempt<'_, W>,
    ended: &Ended,
    local: SocketAddr,
) -> Report {
    let Attempt {
        args,
        driver,
        by_tcp,
        introduction,
        ..
    } = attempt;
    let endpoint = driver.endpoint();
    let outcome = &ended.outcome;
    let local = match (by_tcp, outcome) {
        (Some(by_tcp), _) => by_tcp.local(),
        (
            None,
            Outcome::Connected(Path {
                via: Via::Socket(socket),
                relayed: false,
                remote,
                ..
            }),
        ) => host::local_address(*remote, driver.port(*socket)),
        _ => local,
    };
    let since = introduction.as_ref().map_or(attempt.start, |it| it.at);
    Report {
        name: attempt.settings.name.clone(),
        peer: match introduction {
            Some(introduction) => Some(introduction.peer.clone()),
            None => args.peer.clone(),
        },
        local,
        mapped: match by_tcp {
            Some(by_tcp) => by_tcp.candidates().mapped,
            None => endpoint.mapped(),
        },
        elapsed: ended.at.duration_since(since),
        total: ended.at.duration_since(attempt.start),
        probes_sent: match by_tcp {
            Some(by_tcp) => by_tcp.tries(),
            None => endpoint.probes_sent(),
        },
        forged: endpoint.forged(),
        tcp: args.tcp,
        direct_only: args.paths.direct_only,
        plan: introduction
            .as_ref()
            .filter(|_| !args.tcp)
            .map(|it| (it.role, it.plan)),
        limits: attempt.limits,
        relay: match outcome {
            Outcome::Connected(path) => endpoint.relay_of_path(path),
            Outcome::Failed(_) => None,
        },
        measured: attempt.measured.clone(),
        outcome: outcome.clone(),
        shared: None,
        swept: None,
        blocked: Blocked::default(),
    }
}

/// Who we are, by the command line and `config.toml`.
async fn settings(args: &Args) -> anyhow::Result<Settings> {
    let home = Home::find()?;
    let typed = Options {
        server: args.server.clone(),
        name: args.name.clone(),
        trust_server: args.trust_server,
    };
    let options = typed.split()?.or(home.options()?.split()?);
    Ok(Settings::gather(home, options, args.peer.as_deref().or(args.from.as_deref())).await?)
}

async fn configure(
    args: &Args,
    settings: &Settings,
    local: SocketAddr,
) -> anyhow::Result<endpoint::Config> {
    let mut config = settings.endpoint(local, &args.paths)?;
    config.peer = args.peer.clone();
    config.from = args.from.clone();
    config.measuring = measures(args);
    config.shares = args.share;
    config.attempt = args.timeout.unwrap_or(TIMEOUT);
    if args.tcp {
        config.relay = Wish::Never;
    }
    if let Some(turn) = &args.turn {
        config.turn = Some(turn_server(turn).await?);
    }
    Ok(config)
}

/// `USER:PASSWORD@HOST[:PORT]`. The user may contain colons: that of credentials
/// which expire does.
async fn turn_server(text: &str) -> anyhow::Result<relay::Config> {
    let parts = text
        .rsplit_once('@')
        .and_then(|(user, host)| Some((user.rsplit_once(':')?, host)));
    let ((username, password), host) =
        parts.context("--turn wants USER:PASSWORD@HOST or USER:PASSWORD@HOST:PORT")?;
    let server = host::resolve(host, TURN_PORT)
        .await
        .with_context(|| format!("cannot find the TURN server {host}"))?;
    Ok(relay::Config {
        server,
        username: username.into(),
        password: password.into(),
        challenge: None,
    })
}

/// Whether our NAT is measured: how it treats UDP is of no use to an attempt by
/// TCP.
fn measures(args: &Args) -> bool {
    !args.no_measure && !args.tcp
}

/// What helps to reach the peer directly. A port of our router is of no use to TCP, or where
/// packets go through the relay alone.
fn surroundings(args: &Args, server: SocketAddr, limits: Limits) -> Surroundings {
    let maps_ports = !(args.tcp || args.no_port_mapping || args.paths.relay_only);
    Surroundings::watch(server, measures(args).then_some(limits), maps_ports)
}

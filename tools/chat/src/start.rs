//! From the command line to a running chat.

use std::io::{self, ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use cli::address::PeerAddress;
use cli::lookup::LookUp;
use cli::options::Options;
use cli::settings::Settings;
use nat::plan::Limits;
use net::surroundings::Surroundings;
use net::udp::Udp;
use peer_proto::endpoint::{self, Endpoint, Strangers};
use tokio::sync::mpsc;

use crate::args::Args;
use crate::files::folder::Folder;
use crate::files::transfers::{OnOffer, Transfers};
use crate::handover;
use crate::hub::by_tcp::TcpPort;
use crate::hub::kept::Kept;
use crate::hub::keyring::Keyring;
use crate::hub::network::Network;
use crate::hub::peers::Peers;
use crate::hub::rooms::Rooms;
use crate::hub::user::{AtEnd, User};
use crate::hub::{self, Hub, Inbox, Outcome};
use crate::input::{self, Input, Names};
use crate::link::{self, Links};
use crate::screen::{Kind, Screen};
use crate::settings::{bind, gather};
use crate::socket::{self, SharedSocket};
use crate::terminal::Terminal;
use crate::tls::{self, AllowedKeys};

/// Peers that we punch at the same time.
const MOST_ATTEMPTS: usize = 16;

/// Each file on its way has a thread: eight in each direction with each of 64
/// peers, and some that are being opened.
const MOST_FILE_THREADS: usize = 2048;

/// Runs it.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run(args: &Args) -> anyhow::Result<Outcome> {
    net::files::raise().context("cannot raise the limit of open files")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MOST_FILE_THREADS)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        match &args.handover {
            Some(handover) => handover::start::run(args, handover).await,
            None => chat(args).await,
        }
    });
    // A thread may still wait for a line of stdin.
    runtime.shutdown_background();
    match ended {
        // The reader of our output has closed it: not an error.
        Err(error) if is_broken_pipe(&error) => Ok(Outcome::AllDelivered),
        ended => ended,
    }
}

async fn chat(args: &Args) -> anyhow::Result<Outcome> {
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal() && !args.json;
    let peer: Option<PeerAddress> = args.peer.as_deref().map(str::parse).transpose()?;
    let (mut settings, answers) = gather(args, interactive, peer.as_ref()).await?;
    // Another process would take the name over: none can, as long as we run.
    let _claim = settings.home.claim(&settings.name, settings.server)?;
    if args.new_key {
        settings = settings.with_new_key()?;
    }
    let udp = bind(args, settings.server)?;
    let (network, socket_events, link_inbox) = network(args, &settings, udp, interactive)?;
    let names = Names::default();
    let (kind, lines) = surface(args, interactive, &names)?;
    let screen = Screen::new(kind, draws_qr(args));
    let at_end = if args.stay { AtEnd::Stay } else { AtEnd::Leave };
    let on_offer = match args.accept_files {
        true => OnOffer::Accept,
        false => OnOffer::Ask,
    };
    let (transfers, jobs) = Transfers::new(Folder::new(args.downloads.clone()), on_offer);
    let unsaved = (answers != Options::default()).then(|| (settings.home.clone(), answers));
    let keeps = (interactive || args.keep) && !args.no_keep;
    let kept = keeps.then(|| Kept::load(&settings.home, &settings.name, settings.server));
    let kept = kept.transpose()?;
    let hub = Hub::new(
        settings.name,
        network,
        Peers::new(args.timeout),
        Keyring::new(
            settings.home,
            settings.known,
            args.trust.clone(),
            settings.known_server,
        )
        .with_new_key(settings.new_key),
        transfers,
        User::new(screen, names, at_end, unsaved),
    );
    let inbox = Inbox {
        socket: socket_events,
        links: link_inbox,
        jobs,
        lines,
    };
    let rooms = Rooms::new(interactive && !args.open);
    let hub = hub.with_kept(kept).with_rooms(rooms);
    hub::run(hub, inbox, peer.as_ref().map(|peer| peer.name.as_str())).await
}

/// The way to peers, and what comes from its socket and its links.
///
/// # Errors
/// When the system refuses something.
pub fn network(
    args: &Args,
    settings: &Settings,
    udp: Udp,
    interactive: bool,
) -> anyhow::Result<(Network, mpsc::Receiver<socket::Event>, link::Inbox)> {
    let binds_all = udp.local_addr().ip().is_unspecified();
    let endpoint = Endpoint::new(
        endpoint_config(args, settings, udp.local_addr(), interactive)?,
        Instant::now(),
    );
    let (socket, socket_events) =
        SharedSocket::new(udp, settings.server).context("cannot prepare the socket")?;
    let allowed = AllowedKeys::default();
    let quic = quic(args, settings, Arc::clone(&socket), allowed.clone())?;
    let (links, link_inbox) = Links::new();
    let network = Network {
        socket,
        endpoint,
        quic,
        links,
        allowed,
        identity: settings.identity.clone(),
        server: settings.server,
        lookup: LookUp::new(settings.known_server.host(), settings.server),
        surroundings: surroundings(args, settings.server)?,
        tcp: TcpPort::default(),
        tells_hosts: !args.paths.no_host_candidates && binds_all,
        keepalive: args.keepalive,
        last_link: 0,
        was_registered: false,
        register_by: Some(Instant::now() + args.timeout),
    };
    Ok((network, socket_events, link_inbox))
}

/// What helps to reach peers directly. Where packets go through the relay alone, nothing
/// does.
fn surroundings(args: &Args, server: SocketAddr) -> anyhow::Result<Surroundings> {
    let room = net::files::room().context("cannot read how many files may be open")?;
    let sockets = u32::try_from(room / 2).unwrap_or(u32::MAX);
    let limits = Limits {
        sockets: sockets.min(Limits::POLITE.sockets),
        ..Limits::POLITE
    };
    let direct = !args.paths.relay_only;
    let measures = direct && !args.no_measure;
    Ok(Surroundings::watch(
        server,
        measures.then_some(limits),
        direct && !args.no_port_mapping,
    ))
}

/// Where notices go, and where lines come from.
fn surface(
    args: &Args,
    interactive: bool,
    names: &Names,
) -> anyhow::Result<(Kind, mpsc::Receiver<Input>)> {
    match (interactive, args.json) {
        (true, _) if moves_cursor() => {
            let colours = !no_color();
            let (terminal, lines) = Terminal::start(Arc::clone(names), colours)
                .context("cannot use the terminal; with TERM=dumb chat needs whole lines alone")?;
            Ok((Kind::Prompt(terminal), lines))
        }
        (true, _) => Ok((Kind::Plain, input::pipe())),
        (false, true) => Ok((Kind::json()?, input::pipe())),
        (false, false) => Ok((Kind::Lines, input::pipe())),
    }
}

/// Whether the terminal understands the control sequences that a prompt takes.
fn moves_cursor() -> bool {
    let kind = std::env::var("TERM").unwrap_or_default();
    !matches!(kind.as_str(), "" | "dumb" | "emacs" | "cons25" | "unknown")
}

/// Whether the terminal shows block characters and colours, and the user wants them.
fn draws_qr(args: &Args) -> bool {
    !args.ascii && !no_color()
}

/// Whether the user wants no colours (no-color.org).
fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

fn endpoint_config(
    args: &Args,
    settings: &Settings,
    local: SocketAddr,
    interactive: bool,
) -> anyhow::Result<endpoint::Config> {
    Ok(endpoint::Config {
        most_attempts: MOST_ATTEMPTS,
        tcp_too: true,
        strangers: match interactive && !args.open {
            true => Strangers::Ask,
            false => Strangers::Answer,
        },
        ..settings.endpoint(local, &args.paths)?
    })
}

fn quic(
    args: &Args,
    settings: &Settings,
    socket: Arc<SharedSocket>,
    allowed: AllowedKeys,
) -> anyhow::Result<quinn::Endpoint> {
    let server =
        tls::server(&settings.identity, allowed, args.keepalive).context("cannot set up TLS")?;
    let mut config = quinn::EndpointConfig::default();
    // Otherwise the first byte does not tell QUIC from STUN (RFC 9443 §3).
    config.grease_quic_bit(false);
    quinn::Endpoint::new_with_abstract_socket(
        config,
        Some(server),
        socket,
        Arc::new(quinn::TokioRuntime),
    )
    .context("cannot set up QUIC")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        let error = cause.downcast_ref::<io::Error>();
        error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    error.chain().any(io)
}

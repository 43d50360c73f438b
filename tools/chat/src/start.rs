//! From the command line to a running chat.

use std::io::{self, ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use cli::settings::Settings;
use peer_proto::endpoint::{self, Endpoint};

use crate::args::Args;
use crate::hub::{self, Inbox, Parts};
use crate::input::{self, Names, Prompt};
use crate::screen::{Screen, Terminal};
use crate::settings::{bind, gather};
use crate::socket::Shared;
use crate::tls::{self, Welcome};

/// Peers that we punch at the same time.
const MOST_ATTEMPTS: usize = 16;

/// Files each have a thread while they are on their way: eight in each
/// direction with each of 64 peers, and some that are being opened.
const MOST_FILE_THREADS: usize = 2048;

/// Runs it; true if everything was delivered.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run(args: &Args) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MOST_FILE_THREADS)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(chat(args));
    // A thread may be reading a line that nobody wants any more.
    runtime.shutdown_background();
    match ended {
        // Whoever reads us has had enough: not an error.
        Err(error) if is_broken_pipe(&error) => Ok(true),
        ended => ended,
    }
}

async fn chat(args: &Args) -> anyhow::Result<bool> {
    let interactive = io::stdin().is_terminal() && io::stdout().is_terminal() && !args.json;
    let settings = gather(args, interactive).await?;
    // Another chat would take the name over: none can, as long as we run.
    let _claim = settings.home.claim(&settings.name, settings.server)?;
    let udp = bind(args, settings.server)?;
    let local = udp.local_addr();
    let brain = Endpoint::new(brain(args, &settings, local)?, Instant::now());
    let (socket, aside) = Shared::new(udp, settings.server).context("cannot prepare the socket")?;
    let welcome = Welcome::default();
    let quic = quic(args, &settings, Arc::clone(&socket), welcome.clone())?;
    let names = Names::default();
    let mut known: Vec<String> = settings.known.keys().cloned().collect();
    known.sort();
    names.lock().expect("not shared yet").extend(known);
    let (screen, lines, prompt) = if interactive {
        let mut prompt = Prompt::start(Arc::clone(&names)).context("cannot use the terminal")?;
        let printer = prompt.printer.take().context("no printer")?;
        let (_, none) = tokio::sync::mpsc::channel(1);
        let lines = std::mem::replace(&mut prompt.lines, none);
        let terminal = Terminal::new(printer, Arc::clone(&prompt.editing));
        (Screen::Prompt(terminal), lines, Some(prompt))
    } else if args.json {
        (Screen::Json, input::pipe(), None)
    } else {
        (Screen::Lines, input::pipe(), None)
    };
    let parts = Parts {
        settings,
        socket,
        brain,
        quic,
        welcome,
        screen,
        names,
        peer: args.peer.clone(),
        patience: args.timeout,
        keepalive: args.keepalive,
        stay: args.stay,
        accept_files: args.accept_files,
        trust: args.trust.clone(),
        downloads: args.downloads.clone(),
    };
    let inbox = Inbox {
        aside,
        lines,
        prompt,
    };
    hub::run(parts, inbox).await
}

fn brain(args: &Args, settings: &Settings, local: SocketAddr) -> anyhow::Result<endpoint::Config> {
    Ok(endpoint::Config {
        most_attempts: MOST_ATTEMPTS,
        ..settings.endpoint(local, &args.paths)?
    })
}

fn quic(
    args: &Args,
    settings: &Settings,
    socket: Arc<Shared>,
    welcome: Welcome,
) -> anyhow::Result<quinn::Endpoint> {
    let server =
        tls::server(&settings.identity, welcome, args.keepalive).context("cannot set up TLS")?;
    let mut config = quinn::EndpointConfig::default();
    // Else the first byte would not tell QUIC from STUN (RFC 9443 §3).
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

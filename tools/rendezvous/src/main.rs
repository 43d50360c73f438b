//! `rendezvous`: a STUN server with NAT behaviour discovery (RFC 5780), a
//! registry that introduces peers to each other, and a relay (TURN).

mod config;
mod files;
mod inbox;
mod key;
mod listen;
mod local_addresses;
mod log;
mod metrics;
mod notify;
mod options;
mod relay;
mod reload;
mod reserve;
mod serve;
mod snapshot;
mod state;
mod status;
mod stream;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use rendezvous_proto::server::{Config, MOST_STREAMS, Server};

use crate::config::{Given, Problem};
use crate::listen::Passed;
use crate::options::Command;
use crate::reload::Reload;
use crate::state::State;

fn main() -> ExitCode {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let checks = typed.iter().any(|word| word == "--check-config");
    let given = match config::gather(&typed) {
        Ok(given) => given,
        // What the file gives may be wrong only beside what was typed.
        Err(Problem::Typed(error)) if checks && error.use_stderr() => {
            let _ = error.print();
            return ExitCode::FAILURE;
        }
        Err(Problem::Typed(error)) => error.exit(),
        Err(Problem::File(error)) => {
            log::last_line(format!("rendezvous: {error:#}"));
            return ExitCode::from(if checks { 1 } else { 2 });
        }
    };
    if let Some(Command::Status(asked)) = &given.options.command {
        return match status::show(asked) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                log::last_line(format!("rendezvous: {error:#}"));
                ExitCode::from(2)
            }
        };
    }
    if given.options.check_config {
        return check(&given);
    }
    let passed = match Passed::take() {
        Ok(passed) => passed,
        Err(error) => {
            log::last_line(format!("rendezvous: {error:#}"));
            return ExitCode::from(2);
        }
    };
    let ended = log::Log::start(given.options.json, given.options.log_addresses).and_then(|log| {
        let ended = run(typed, given, passed, log.clone());
        log.end();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::last_line(format!("rendezvous: {error:#}"));
            ExitCode::from(2)
        }
    }
}

/// Says what would run, or why it cannot.
fn check(given: &Given) -> ExitCode {
    let options = &given.options;
    let good = reload::read(options)
        .and_then(|_| options.addresses())
        .and_then(|_| options.relay.relay(options.ip));
    let said = good.and_then(|_| Ok(std::io::stdout().write_all(given.to_toml().as_bytes())?));
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::last_line(format!("rendezvous: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(typed: Vec<OsString>, given: Given, passed: Passed, log: log::Log) -> anyhow::Result<()> {
    let options = &given.options;
    let addresses = options.addresses()?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("cannot read the system's randomness")?;
    let config = Config {
        addresses: addresses.clone(),
        secret,
        rate: options.rate,
        most_names: options.max_names as usize,
    };
    let identity = key::find(options.key.as_deref(), &log)?;
    let clients = key::address_for_clients(options.ip, options.port, &identity.public());
    let key = identity.public();
    let now = Instant::now();
    let mut server = Server::new(config, now).with_key(identity);
    if let Some(file) = &options.reserve {
        server.set_reserved(now, reserve::read(file)?);
    }
    let mut state = None;
    if let Some(file) = &options.state {
        let (opened, bindings) = State::open(file, options.max_names as usize)?;
        server = server.with_bindings(Instant::now(), bindings);
        state = Some(opened);
    }
    if let Some(relay) = options.relay.relay(options.ip)? {
        server = server.with_relay(relay);
    }
    let streams = files::for_streams(options.relay.most());
    if streams < MOST_STREAMS {
        log.trouble(&format!(
            "this process may open too few files for {MOST_STREAMS} TCP connections beside its \
             relayed addresses, and takes {streams}: raise LimitNOFILE, or lower --relay-total"
        ));
    }
    server.set_most_streams(streams);
    let driven = serve::Driven {
        passed,
        relayed: options.relay.sockets(options.ip),
        state,
        metrics: options.metrics,
        status: options.status.clone(),
        reload: Reload::new(typed, given),
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(serve::serve(
            server,
            &addresses,
            driven,
            log,
            &log::Ourselves { key, clients },
        ))
}

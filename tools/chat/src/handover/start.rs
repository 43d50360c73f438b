//! From the command line of `chat send` or `chat receive` to its end.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use cli::home::{Home, HomeError};
use cli::keyfile;
use cli::settings::Settings;
use session::identity::Identity;
use tokio::sync::mpsc;

use super::args;
use super::display::Display;
use super::parcel::Parcel;
use super::receiver::Receiver;
use super::sender::Sender;
use super::told::Told;
use super::{Handover, Side};
use crate::args::Args;
use crate::code::Code;
use crate::files::folder::Folder;
use crate::files::transfers::{OnOffer, Transfers};
use crate::hub::handover::NumberTaken;
use crate::hub::keyring::Keyring;
use crate::hub::peers::Peers;
use crate::hub::user::{AtEnd, User};
use crate::hub::{self, Hub, Inbox, Outcome};
use crate::input::{self, Input, Names};
use crate::notice::Notice;
use crate::screen::{Kind, Screen};
use crate::settings;
use crate::start;

/// Numbers of codes: as long as they are short, they are easy to say. A rendezvous keeps a number
/// for a day after its use.
const NUMBERS: [u32; 5] = [999, 999, 9_999, 99_999, 999_999];

/// Runs it.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub async fn run(args: &Args, handover: &args::Handover) -> anyhow::Result<Outcome> {
    match handover {
        args::Handover::Send { files, code, wait } => {
            let given = code.as_deref().map(str::parse).transpose();
            let given: Option<Code> = given.context("--code")?;
            send(args, Parcel::pack(files)?, given, *wait).await
        }
        args::Handover::Receive { code, into, yes } => {
            let code: Code = code.join(" ").parse()?;
            receive(args, code, into, *yes).await
        }
    }
}

async fn send(
    args: &Args,
    parcel: Parcel,
    given: Option<Code>,
    wait: Duration,
) -> anyhow::Result<Outcome> {
    for most in NUMBERS {
        let code = match &given {
            Some(code) => code.clone(),
            None => new_code(most)?,
        };
        let side = Side::Sender(Sender::new(parcel.clone()));
        let identity = identity("sender", &code)?;
        let settings = settings::once(args, code.name(), identity).await?;
        let handover = Handover::new(code, side, wait);
        let none = mpsc::channel(1);
        match go(args, settings, handover, Path::new("."), none.1, &parcel).await {
            Err(error) if given.is_none() && is_taken(&error) => {
                tracing::debug!(%error, "another number");
            }
            ended => return ended,
        }
    }
    anyhow::bail!("no number for a code is free at this rendezvous: give one with --code")
}

async fn receive(args: &Args, code: Code, into: &Path, yes: bool) -> anyhow::Result<Outcome> {
    let asks = !yes && !args.json && io::stdin().is_terminal() && io::stderr().is_terminal();
    let identity = identity("receiver", &code)?;
    let name = format!("receive-{}", hex::encode(&identity.public()[..8]));
    let settings = settings::once(args, name, identity).await?;
    let handover = Handover::new(code, Side::Receiver(Receiver::new(asks)), Duration::ZERO);
    let (idle, none) = mpsc::channel(1);
    let lines = if asks { input::pipe() } else { none };
    let ended = go(args, settings, handover, into, lines, &Parcel::default()).await;
    drop(idle);
    ended
}

/// Runs one side until it has ended.
async fn go(
    args: &Args,
    settings: Settings,
    mut handover: Handover,
    into: &Path,
    lines: mpsc::Receiver<Input>,
    parcel: &Parcel,
) -> anyhow::Result<Outcome> {
    handover.lists = args.json;
    let calls = match &handover.side {
        Side::Sender(_) => None,
        Side::Receiver(_) => Some(handover.code.name()),
    };
    let _claim = settings.home.claim(&settings.name, settings.server)?;
    let udp = settings::bind_any(args, settings.server)?;
    let (network, socket, links) = start::network(args, &settings, udp, false)?;
    let (transfers, jobs) = Transfers::new(Folder::tree(into.to_owned()), OnOffer::Decline);
    let screen = Screen::new(Kind::Handover(Display::new(args.json)), false);
    let mut user = User::new(screen, Names::default(), AtEnd::Stay, None);
    for path in &parcel.left_out {
        user.tell(Notice::Handover(Told::LeftOut(path.clone())));
    }
    let keyring = Keyring::new(
        settings.home,
        settings.known,
        Vec::new(),
        settings.known_server,
    );
    let peers = Peers::new(args.timeout);
    let hub = Hub::new(settings.name, network, peers, keyring, transfers, user);
    let inbox = Inbox {
        socket,
        links,
        jobs,
        lines,
    };
    hub::run(hub.with_handover(handover), inbox, calls.as_deref()).await
}

/// Whether somebody else uses the number: at the rendezvous, or with our own keys.
fn is_taken(error: &anyhow::Error) -> bool {
    let ours = matches!(error.downcast_ref(), Some(HomeError::InUse { .. }));
    ours || error.is::<NumberTaken>()
}

fn new_code(most: u32) -> anyhow::Result<Code> {
    let (mut number, mut secret) = ([0; 4], [0; 16]);
    getrandom::fill(&mut number)
        .and_then(|()| getrandom::fill(&mut secret))
        .context("cannot read the system's randomness")?;
    Ok(Code::new(1 + u32::from_be_bytes(number) % most, secret))
}

/// A key for this code and this user alone, the same after a restart: a sender knows again the
/// receiver that was interrupted, and nobody who overhears the code can take its place.
fn identity(side: &str, code: &Code) -> anyhow::Result<Identity> {
    let home = Home::find()?;
    let loss = "an interrupted chat receive cannot go on";
    let own = keyfile::read_or_make(&home.path().join("code-key"), loss)?;
    let mut hash = blake3::Hasher::new_derive_key("pinhole chat 2026 one-time key");
    hash.update(&own.sign(format!("pinhole chat {side} {code}").as_bytes()));
    Ok(Identity::from_secret(hash.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_another_process_of_ours_has_is_taken() {
        let path = std::env::temp_dir().join(format!("chat-taken-{}", std::process::id()));
        let home = Home::at(path.clone());
        let server = ([203, 0, 113, 1], 8848).into();
        let _claim = home.claim("code-417", server).unwrap();
        let error = home.claim("code-417", server).unwrap_err();
        assert!(is_taken(&error.into()));
        assert!(!is_taken(&anyhow::anyhow!("no free UDP port")));
        std::fs::remove_dir_all(path).unwrap();
    }
}

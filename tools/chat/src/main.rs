//! `chat`: talk to a peer through any NAT, end to end encrypted.
//!
//! From the outside to the inside; a module uses those below it:
//!
//! - [`start`] makes the parts, from the command line ([`args`]) and the settings
//!   ([`settings`]), and runs the [`hub`].
//! - [`hub`] joins the parts; its head lists them. It alone knows all of them.
//! - The user's side: [`terminal`] edits lines at a prompt, [`input`] reads them from a
//!   pipe, [`command`] understands them ([`typed_path`] the paths in them), [`notice`] is
//!   all that the user can be told, [`screen`] shows it ([`qr`] draws, [`clock`] has the
//!   time).
//! - The network's side: [`socket`] is the one UDP socket, which STUN and QUIC
//!   share; [`relayed`] lets QUIC go through the relay; [`tls`] checks keys;
//!   [`link`] is one QUIC connection with a peer, over one path.
//! - [`files`]: what is offered and accepted, the bytes, the folder. It knows
//!   links by their connections, and conversations by their items.
//! - [`sealed`]: a file for our own eyes, with [`pending`] messages or the [`history`].
//! - [`handover`]: `chat send` and `chat receive`, which run the hub without a chat.
//! - The protocols, which are sans-IO: [`conversation`] (each item arrives once
//!   and in order, over as many links as it takes), [`verify`] (digits to
//!   compare), [`proof`] (both know a [`code`]), [`room`] (who is in it, and who has
//!   what was said there), `files::ledger`; [`frame`] is their codec. They are the library
//!   of this package, so that fuzzers reach them.

mod args;
mod clock;
mod command;
mod detours;
mod files;
mod handover;
mod hub;
mod input;
mod link;
mod notice;
mod qr;
mod screen;
mod sealed;
mod settings;
mod socket;
mod start;
mod streams;
mod terminal;
mod tls;
mod typed_path;

use std::process::ExitCode;

// The library has what needs no socket, clock or file.
use chat::{code, conversation, frame, history, pending, proof, room, text, verify};
use clap::Parser;

use crate::hub::Outcome;

fn main() -> ExitCode {
    cli::log::init();
    let args = args::Args::parse();
    let code = match start::run(&args) {
        Ok(Outcome::AllDelivered) => 0,
        Ok(Outcome::NotAllDelivered) => 1,
        Err(error) => {
            cli::stderr::line(format_args!("chat: {error:#}"));
            2
        }
    };
    ExitCode::from(code)
}

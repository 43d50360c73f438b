//! `chat send` and `chat receive`: files for whoever has the code, with names and keys that are
//! used once. The [hub](crate::hub) does the rest as in a chat: paths, links, files.
//!
//! - [`args`]: the command lines. [`start`] makes the parts and runs the hub.
//! - [`parcel`]: the files that are sent.
//! - [`sender`] and [`receiver`]: what each side has to do next; they have no socket and no clock.
//! - [`told`]: what the user is told. [`display`] shows it.

pub mod args;
pub mod display;
pub mod parcel;
pub mod receiver;
pub mod sender;
pub mod start;
pub mod told;

use std::time::{Duration, Instant};

use session::identity::PublicKey;

use crate::code::Code;
use crate::link::Link;
use crate::proof::{Exchange, Proof, Role};
use receiver::Receiver;
use sender::Sender;

/// A transfer of files to whoever has a code.
#[derive(Debug)]
pub struct Handover {
    /// The code.
    pub code: Code,
    /// What is to be done.
    pub side: Side,
    /// How long the sender waits for a receiver.
    wait: Duration,
    /// Until when it waits now.
    pub until: Option<Instant>,
    /// It has ended.
    pub ended: bool,
    /// We were registered.
    pub registered: bool,
    /// Every file is named, however many there are.
    pub lists: bool,
}

/// The two sides.
#[derive(Debug)]
pub enum Side {
    /// We have the files.
    Sender(Sender),
    /// We have been told the code.
    Receiver(Receiver),
}

impl Handover {
    /// Nothing has happened yet.
    pub fn new(code: Code, side: Side, wait: Duration) -> Handover {
        Handover {
            code,
            side,
            wait,
            until: None,
            ended: false,
            registered: false,
            lists: false,
        }
    }

    /// The proof that the owner of a new link has to give; `None` if nothing of it is wanted.
    pub fn proof(&mut self, link: &Link, ours: PublicKey) -> Option<Proof> {
        let (role, wanted) = match &mut self.side {
            Side::Sender(sender) => (Role::Sender, sender.admits(&link.key)),
            Side::Receiver(receiver) => (Role::Receiver, receiver.may_try()),
        };
        if !wanted || self.ended {
            return None;
        }
        let exchange = Exchange::begin(role, &self.code);
        Some(Proof::new(role, exchange, link.binding, (ours, link.key)))
    }

    /// Whether the other side has proven that it knows the code.
    pub fn is_proven(&self) -> bool {
        match &self.side {
            Side::Sender(sender) => sender.receiver().is_some(),
            Side::Receiver(receiver) => receiver.proven,
        }
    }

    /// Whether that peer has proven that it knows the code.
    pub fn is_with(&self, name: &str) -> bool {
        match &self.side {
            Side::Sender(sender) => sender.receiver() == Some(name),
            Side::Receiver(receiver) => receiver.proven,
        }
    }

    /// How many files there are, and their size together.
    pub fn total(&self) -> (u64, u64) {
        match &self.side {
            Side::Sender(sender) => sender.total(),
            Side::Receiver(receiver) => receiver.total,
        }
    }

    /// How many have arrived, and their size together.
    pub fn done(&self) -> (u64, u64) {
        match &self.side {
            Side::Sender(sender) => sender.delivered,
            Side::Receiver(receiver) => receiver.received,
        }
    }

    /// Waits for a receiver from now on, as long as the user wants.
    pub fn wait(&mut self, now: Instant) {
        self.until = Some(now + self.wait);
    }
}

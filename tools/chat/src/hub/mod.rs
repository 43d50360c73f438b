//! Where everything meets: the socket, the brains, the links, the user.

mod compare;
mod files;
mod leave;
mod meet;
mod peer;
mod run;
mod taking;
mod talk;
mod transfers;

pub use run::{Inbox, run};

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cli::settings::Settings;
use peer_proto::endpoint::Endpoint;
use sansio::Protocol;
use tokio::sync::mpsc;

use crate::command::{Command, parse};
use crate::conversation::LinkId;
use crate::files::folder::Folder;
use crate::input::{Input, Names};
use crate::link::Links;
use crate::notice::Notice;
use crate::screen::Screen;
use crate::socket::Shared;
use crate::tls::Welcome;

use peer::Peer;
use transfers::{Job, Transfers};

/// Peers in the table at once. Strangers beyond it are not answered.
const MOST_PEERS: usize = 64;

/// What the hub is made of.
pub struct Parts {
    /// Who we are, and where.
    pub settings: Settings,
    /// The one socket.
    pub socket: Arc<Shared>,
    /// Registered on it.
    pub brain: Endpoint,
    /// QUIC on it.
    pub quic: quinn::Endpoint,
    /// Who may connect.
    pub welcome: Welcome,
    /// Where notices go.
    pub screen: Screen,
    /// Names to complete at the prompt.
    pub names: Names,
    /// Whom to open a conversation with at once.
    pub peer: Option<String>,
    /// How long to try to reach somebody.
    pub patience: Duration,
    /// How often a path is kept alive.
    pub keepalive: Duration,
    /// Go on when stdin has ended.
    pub stay: bool,
    /// Take every file.
    pub accept_files: bool,
    /// Whose changed keys to believe.
    pub trust: Vec<String>,
    /// Where files go.
    pub downloads: PathBuf,
}

/// Everything.
pub struct Hub {
    settings: Settings,
    socket: Arc<Shared>,
    brain: Endpoint,
    quic: quinn::Endpoint,
    links: Links,
    next_link: LinkId,
    welcome: Welcome,
    peers: BTreeMap<String, Peer>,
    /// To whom lines go, and whether the user said so.
    chosen: Option<String>,
    chosen_by_user: bool,
    screen: Screen,
    names: Names,
    patience: Duration,
    keepalive: Duration,
    stay: bool,
    /// Nothing more comes from the user, and we stay all the same.
    input_ended: bool,
    trust: HashSet<String>,
    transfers: Transfers,
    /// Lines that nobody can have yet.
    held: Option<String>,
    /// The user wants to leave; until when we wait for deliveries.
    leaving: Option<Option<Instant>>,
    register_by: Option<Instant>,
    /// Something was not delivered.
    failed: bool,
    notices: VecDeque<Notice>,
}

impl Hub {
    fn new(parts: Parts, links: Links, jobs: mpsc::Sender<Job>) -> Hub {
        let now = Instant::now();
        let folder = Folder::new(parts.downloads);
        let mut hub = Hub {
            socket: parts.socket,
            brain: parts.brain,
            quic: parts.quic,
            links,
            next_link: 0,
            welcome: parts.welcome,
            peers: BTreeMap::new(),
            chosen: None,
            chosen_by_user: false,
            screen: parts.screen,
            names: parts.names,
            patience: parts.patience,
            keepalive: parts.keepalive,
            stay: parts.stay,
            input_ended: false,
            trust: parts.trust.into_iter().collect(),
            transfers: Transfers::new(folder, parts.accept_files, jobs),
            held: None,
            leaving: None,
            register_by: Some(now + parts.patience),
            failed: false,
            notices: VecDeque::new(),
            settings: parts.settings,
        };
        if let Some(peer) = parts.peer {
            hub.open(now, &peer);
        }
        hub
    }

    fn tell(&mut self, notice: Notice) {
        self.notices.push_back(notice);
    }

    /// Lets everything that has happened have its consequences.
    fn settle(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        self.say_held(now);
        loop {
            let mut quiet = true;
            while let Some(event) = self.brain.poll_event() {
                quiet = false;
                self.brain_event(now, event)?;
            }
            let names: Vec<String> = self.peers.keys().cloned().collect();
            for name in names {
                quiet &= !self.conversation_events(now, &name);
            }
            if quiet {
                break;
            }
        }
        self.settle_bars().context("cannot print")?;
        // Shown before it is acknowledged: nothing is lost with a closed pipe.
        while let Some(notice) = self.notices.pop_front() {
            self.screen.tell(&notice).context("cannot print")?;
        }
        for peer in self.peers.values_mut() {
            peer.write(now);
        }
        self.flush()
    }

    /// What the brain sends leaves, and what came through the relay arrives.
    fn flush(&mut self) -> anyhow::Result<()> {
        while let Some((peer, payload)) = self.brain.poll_relayed() {
            self.socket.detour.came(peer, payload);
        }
        while let Some(transmit) = self.brain.poll_transmit() {
            self.socket
                .send_to(&transmit.payload, transmit.to, transmit.ttl)
                .context("the socket failed")?;
        }
        Ok(())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let peers = self.peers.values().map(Peer::poll_timeout);
        peers
            .chain([
                self.brain.poll_timeout(),
                self.transfers.poll_timeout(),
                self.leaving.flatten(),
                self.register_by,
            ])
            .flatten()
            .min()
    }

    fn timeouts(&mut self, now: Instant) -> anyhow::Result<()> {
        self.brain.handle_timeout(now);
        let mut silent = false;
        for peer in self.peers.values_mut() {
            silent |= peer.handle_timeout(now);
        }
        if silent {
            self.brain.refresh(now);
        }
        self.show_progress(now).context("cannot print")?;
        if self.register_by.take_if(|by| *by <= now).is_some()
            && self.brain.mapped().is_empty()
            && !self.screen.is_interactive()
        {
            bail!(
                "no answer from {} (UDP): is it the right address, is the rendezvous running, \
                 and is UDP not blocked?",
                self.settings.server
            );
        }
        Ok(())
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Line(line) => match parse(&line) {
                Ok(Some(Command::Say(text))) => self.held = Some(text),
                Ok(Some(command)) => self.command(Instant::now(), command),
                Ok(None) => {}
                Err(problem) => self.problem(problem),
            },
            Input::TooLong => {
                self.failed = true;
                self.problem("that line is too long for a message: it was not sent".into());
            }
            Input::End if self.stay && !self.screen.is_interactive() => self.input_ended = true,
            Input::End => self.begin_to_leave(),
        }
    }

    /// What a person may type again makes a script fail.
    fn problem(&mut self, problem: String) {
        self.failed |= !self.screen.is_interactive();
        self.tell(Notice::Problem(problem));
    }

    /// A line at a time: the next is read when this one is on its way.
    fn wants_input(&self) -> bool {
        self.held.is_none() && self.leaving.is_none() && !self.input_ended
    }

    fn remember_name(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
            names.sort();
        }
    }
}

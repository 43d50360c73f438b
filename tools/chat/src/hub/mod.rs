//! Where everything meets: the socket, the brains, the links, the user.

mod compare;
mod files;
mod meet;
mod peer;
mod talk;
mod transfers;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::sync::mpsc;
use traverse::endpoint::Endpoint;

use crate::command::{Command, parse};
use crate::conversation::LinkId;
use crate::files::folder::Folder;
use crate::input::{Input, Names, Prompt};
use crate::link::Links;
use crate::notice::Notice;
use crate::screen::Screen;
use crate::settings::Settings;
use crate::socket::{Aside, Shared};
use crate::tls::Welcome;

use peer::Peer;
use transfers::{Job, Transfers};

/// Peers in the table at once. Strangers beyond it are not answered.
const MOST_PEERS: usize = 64;

/// Somebody who types /quit waits no longer than this for deliveries.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long links may take to write what is left.
const FLUSH: Duration = Duration::from_secs(1);

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

/// What the hub waits for.
pub struct Inbox {
    /// STUN and ICMP.
    pub aside: mpsc::Receiver<Aside>,
    /// Lines of the user.
    pub lines: mpsc::Receiver<Input>,
    /// The prompt, if there is one, to be shown after each line.
    pub prompt: Option<Prompt>,
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

/// Runs a chat until the user leaves; true if everything was delivered.
///
/// # Errors
/// When it cannot go on: no server, the name is taken, the socket fails.
pub async fn run(parts: Parts, mut inbox: Inbox) -> anyhow::Result<bool> {
    let (events, mut link_events) = mpsc::channel(64);
    let (jobs, mut finished_jobs) = mpsc::channel(64);
    let links = Links {
        events,
        room: Arc::default(),
    };
    let (quic, room) = (parts.quic.clone(), Arc::clone(&links.room));
    let mut hub = Hub::new(parts, links, jobs);
    let mut interrupted = std::pin::pin!(interrupted());
    inbox.show_prompt(&hub);
    loop {
        hub.settle()?;
        if hub.may_leave(Instant::now()) {
            break;
        }
        let timeout = hub.poll_timeout();
        let wants_input = hub.wants_input();
        tokio::select! {
            Some(aside) = inbox.aside.recv() => hub.aside(aside)?,
            Some(event) = link_events.recv() => hub.link_event(event),
            Some(incoming) = quic.accept() => hub.knock(incoming),
            Some(job) = finished_jobs.recv() => hub.job_done(job),
            input = inbox.lines.recv(), if wants_input => {
                hub.input(input.unwrap_or(Input::End));
                hub.settle()?;
                inbox.show_prompt(&hub);
            }
            () = room.notified() => {}
            () = sleep_until(timeout) => hub.timeouts(Instant::now())?,
            signal = &mut interrupted => {
                signal?;
                break;
            }
        }
    }
    hub.leave().await
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

    fn begin_to_leave(&mut self) {
        let interactive = self.screen.is_interactive();
        let by = interactive.then(|| Instant::now() + FAREWELL);
        self.leaving.get_or_insert(by);
    }

    /// A line at a time: the next is read when this one is on its way.
    fn wants_input(&self) -> bool {
        self.held.is_none() && self.leaving.is_none() && !self.input_ended
    }

    fn may_leave(&self, now: Instant) -> bool {
        let Some(by) = self.leaving else { return false };
        let done = self.held.is_none()
            && !self.transfers.is_busy()
            && self.peers.values().all(Peer::is_done);
        done || by.is_some_and(|by| by <= now)
    }

    async fn leave(mut self) -> anyhow::Result<bool> {
        let now = Instant::now();
        if let Some(text) = self.held.take() {
            let to = self.chosen.clone().unwrap_or_else(|| "anybody".into());
            self.failed = true;
            self.tell(Notice::Undelivered { to, text });
        }
        let mut farewells = Vec::new();
        for peer in self.peers.values_mut() {
            peer.parted = true;
            peer.conversation.hang_up();
            if let Some(link) = peer.link.take() {
                farewells.push(tokio::spawn(link.finish(FLUSH)));
            }
        }
        self.brain.leave(now);
        // Prints what was not delivered. A closed pipe cannot be told of.
        let _ = self.settle();
        for farewell in farewells {
            let _ = farewell.await;
        }
        let _ = tokio::time::timeout(FLUSH, self.quic.wait_idle()).await;
        Ok(!self.failed)
    }

    fn remember_name(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
            names.sort();
        }
    }
}

impl Inbox {
    /// Edits the next line.
    fn show_prompt(&self, hub: &Hub) {
        if let Some(prompt) = self.prompt.as_ref().filter(|_| hub.leaving.is_none()) {
            let text = match &hub.chosen {
                Some(peer) => format!("{peer}> "),
                None => "> ".into(),
            };
            let _ = prompt.show.send(text);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Control-C as a filter, or the system's wish.
async fn interrupted() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.context("cannot wait for signals"),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

//! The user's side: what is typed, to whom it goes, what is shown.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::PoisonError;
use std::time::Instant;

use cli::home::Home;
use cli::options::Options;
use nat::plan::Role;

use super::Outcome;
use crate::files::Direction;
use crate::files::progress::Progress;
use crate::input::Names;
use crate::notice::bar::Relay;
use crate::notice::{How, Notice};
use crate::pending::Kept;
use crate::screen::Screen;
use crate::terminal::entry::Mark;

/// What the end of stdin means to a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// Leave.
    Leave,
    /// Go on receiving.
    Stay,
}

/// To whom lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    Nobody,
    /// Who has opened a conversation.
    Caller(String),
    /// Whom the user has named.
    Named(String),
    /// All in the room.
    Room(String),
}

/// The user's side.
pub struct User {
    screen: Screen,
    notices: VecDeque<Notice>,
    /// Names to complete at the prompt.
    names: Names,
    chosen: Chosen,
    /// A line that cannot be said yet.
    held: Option<String>,
    /// The answers of the first start, until we are registered with them.
    unsaved: Option<(Home, Options)>,
    /// Whether the user has been told how to begin.
    greeted: bool,
    /// Where each connected peer was when the user was told last.
    paths: HashMap<String, (How, SocketAddr)>,
    /// What the relay passes, in bytes per second, where it has said so.
    relay_rate: Option<u32>,
    /// The prompt that the screen shows.
    shown_prompt: String,
    at_end: AtEnd,
    /// Nothing more comes from stdin.
    ended: bool,
    outcome: Outcome,
}

impl User {
    /// With nothing said yet.
    pub fn new(
        screen: Screen,
        names: Names,
        at_end: AtEnd,
        unsaved: Option<(Home, Options)>,
    ) -> User {
        User {
            screen,
            notices: VecDeque::new(),
            names,
            chosen: Chosen::Nobody,
            held: None,
            unsaved,
            greeted: false,
            paths: HashMap::new(),
            relay_rate: None,
            shown_prompt: String::new(),
            at_end,
            ended: false,
            outcome: Outcome::AllDelivered,
        }
    }

    /// Whether a person sits there.
    pub fn is_interactive(&self) -> bool {
        self.screen.is_interactive()
    }

    /// Whether the end of stdin is the end.
    pub fn leaves_at_end(&self) -> bool {
        self.is_interactive() || self.at_end == AtEnd::Leave
    }

    /// Nothing more comes from stdin.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether stdin has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Tells the user something, which may mean that not all was delivered.
    pub fn tell(&mut self, notice: Notice) {
        let failed = match notice {
            Notice::Undelivered { .. } | Notice::RoomDelivered { after: None, .. } => true,
            Notice::FileEnded {
                direction: Direction::Incoming,
                ..
            } => false,
            // A person may type it again.
            Notice::Problem(_) | Notice::KeyChanged { .. } | Notice::FileEnded { .. } => {
                !self.is_interactive()
            }
            _ => false,
        };
        if failed {
            self.fail();
        }
        let registered = matches!(notice, Notice::Registered { .. });
        let notice = match self.screen.takes_all() {
            true => Some(notice),
            false => self.news(notice),
        };
        self.notices.extend(notice);
        if registered {
            self.greet();
        }
    }

    /// What is new of a notice: a peer that was not lost is not connected again, it has
    /// another path, or, for the user, the same.
    fn news(&mut self, notice: Notice) -> Option<Notice> {
        match &notice {
            Notice::Connected { peer, way, .. } => {
                let path = (way.how, way.remote);
                match self.paths.insert(peer.clone(), path) {
                    None => {}
                    Some(known) if known == path => return None,
                    Some(_) => {
                        let (peer, way) = (peer.clone(), *way);
                        return Some(Notice::Moved { peer, way });
                    }
                }
            }
            Notice::Broken { peer, .. } | Notice::Left { peer } | Notice::GaveUp { peer, .. } => {
                self.paths.remove(peer);
            }
            _ => {}
        }
        Some(notice)
    }

    /// We are registered: a person is told how to begin, and the answers of the first
    /// start are good.
    fn greet(&mut self) {
        if !self.is_interactive() || std::mem::replace(&mut self.greeted, true) {
            return;
        }
        if let Some((home, answers)) = self.unsaved.take() {
            match home.save(&answers) {
                Ok(path) => self.tell(Notice::Help(format!(
                    "your answers are saved in {}",
                    path.display()
                ))),
                Err(error) => self.problem(format!("your answers cannot be saved: {error}")),
            }
        }
        let begin = match self.chosen() {
            Some(to) => format!("Enter sends a line to {to}"),
            None => "type /connect NAME to talk to somebody".into(),
        };
        self.tell(Notice::Help(format!(
            "{begin}; /help lists the commands, Ctrl-D leaves"
        )));
    }

    /// Nothing is known of that peer's path any more.
    pub fn forget_path(&mut self, name: &str) {
        self.paths.remove(name);
    }

    /// Tells the user what is wrong.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.tell(Notice::Problem(problem.into()));
    }

    /// Tells the user which messages are no longer kept.
    pub fn tell_dropped(&mut self, dropped: Vec<Kept>) {
        for Kept { to, text, .. } in dropped {
            self.tell(Notice::Undelivered { to, text });
        }
    }

    /// Not all was delivered.
    pub fn fail(&mut self) {
        self.outcome = Outcome::NotAllDelivered;
    }

    /// Whether all was delivered so far.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Shows what was told, and to whom lines go.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn flush(&mut self, progress: &Progress) -> io::Result<()> {
        if self.screen.bars() != progress.len() {
            self.draw(progress)?;
        }
        while let Some(notice) = self.notices.pop_front() {
            self.screen.tell(&notice)?;
        }
        let prompt = self.prompt();
        if self.shown_prompt != prompt {
            self.screen.set_prompt(prompt.clone())?;
            self.shown_prompt = prompt;
        }
        Ok(())
    }

    /// Shows how far files have come, if it is time: a bar for each at a
    /// prompt, a notice at every tenth for a script.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn show(&mut self, progress: &mut Progress, now: Instant) -> io::Result<()> {
        let Some(tenths) = progress.look(now) else {
            return Ok(());
        };
        if !self.is_interactive() {
            self.notices.extend(tenths);
        }
        self.draw(progress)
    }

    /// The relay has said what it passes, in bytes per second.
    pub fn set_relay_rate(&mut self, rate: Option<u32>) {
        self.relay_rate = rate;
    }

    /// Shows how far all files together have come.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn show_whole(&mut self, bytes: u64, total: u64) -> io::Result<()> {
        self.screen.show_whole(bytes, total)
    }

    fn draw(&self, progress: &Progress) -> io::Result<()> {
        let how = |peer: &str| self.paths.get(peer).map(|(how, _)| *how);
        let relay = Relay {
            rate: self.relay_rate,
        };
        self.screen.draw(progress, |peer| {
            (how(peer) == Some(How::Relay)).then_some(relay)
        })
    }

    /// Shows a message of ours, which has that number; without one, it was not sent.
    pub fn said(&mut self, to: &str, number: Option<u64>, text: &str) {
        let mark = number.map_or(Mark::Lost, |_| Mark::Waits);
        self.show_said(to, mark, number.unwrap_or(0), text);
    }

    /// Shows a message of ours that is kept on disk until the peer is there.
    pub fn said_later(&mut self, to: &str, text: &str) {
        self.show_said(to, Mark::Kept, 0, text);
    }

    fn show_said(&mut self, to: &str, mark: Mark, number: u64, text: &str) {
        // A terminal that is gone is noticed with the next flush.
        let _ = self.screen.said(to, mark, number, text);
    }

    /// Shows a message of ours to so many in the room, which has that number.
    pub fn said_in_room(&mut self, room: &str, number: u64, of: usize, text: &str) {
        self.show_said(room, Mark::Part { has: 0, of }, number, text);
    }

    /// The prompt, which says to whom lines go.
    fn prompt(&self) -> String {
        format!("{}> ", self.target().unwrap_or_default())
    }

    /// To whom lines go: a peer, or a room as `#tea`.
    pub fn target(&self) -> Option<String> {
        match &self.chosen {
            Chosen::Room(room) => Some(format!("#{room}")),
            _ => self.chosen().map(str::to_owned),
        }
    }

    /// Whether lines go to all in the room.
    pub fn is_in_room(&self) -> bool {
        matches!(self.chosen, Chosen::Room(_))
    }

    /// Lines go to all in that room.
    pub fn choose_room(&mut self, room: &str) {
        self.chosen = Chosen::Room(room.to_owned());
        let to = format!("#{room}");
        self.tell(Notice::Talking { to });
    }

    /// We are in no room any more.
    pub fn leave_room(&mut self) {
        if self.is_in_room() {
            self.chosen = Chosen::Nobody;
        }
    }

    /// The peer that lines go to.
    pub fn chosen(&self) -> Option<&str> {
        match &self.chosen {
            Chosen::Nobody | Chosen::Room(_) => None,
            Chosen::Caller(name) | Chosen::Named(name) => Some(name),
        }
    }

    /// The user says to whom lines go.
    pub fn choose(&mut self, name: &str) {
        self.chosen = Chosen::Named(name.to_owned());
    }

    /// There is a link with that peer: lines go there if nobody was chosen; a
    /// script's go to the last caller, unless it has named somebody. If it is
    /// the first link, `first_role` is our role in the introduction.
    pub fn connected(&mut self, name: &str, first_role: Option<Role>) {
        let changes = match (self.is_interactive(), &self.chosen) {
            (true, chosen) => *chosen == Chosen::Nobody,
            (false, Chosen::Named(_) | Chosen::Room(_)) => false,
            (false, _) => first_role == Some(Role::Callee),
        };
        if changes {
            self.chosen = Chosen::Caller(name.to_owned());
            let to = name.to_owned();
            self.tell(Notice::Talking { to });
        }
    }

    /// Completes that name from now on.
    pub fn learn_name(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
            names.sort();
        }
    }

    /// Completes that name no longer.
    pub fn forget_name(&self, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|known| known != name);
    }

    /// Keeps a line until it can be said.
    pub fn hold(&mut self, line: String) {
        self.held = Some(line);
    }

    /// Whether a line waits to be said.
    pub fn holds_line(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the line that waits.
    pub fn take_line(&mut self) -> Option<String> {
        self.held.take()
    }
}

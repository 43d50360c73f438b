//! The user's side: what is typed, to whom it goes, what is shown.

use std::collections::VecDeque;
use std::io;
use std::sync::PoisonError;
use std::time::Instant;

use nat::plan::Role;

use super::Outcome;
use crate::files::Direction;
use crate::files::progress::Progress;
use crate::input::Names;
use crate::notice::Notice;
use crate::screen::Screen;

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
    at_end: AtEnd,
    /// Nothing more comes from stdin.
    ended: bool,
    outcome: Outcome,
}

impl User {
    /// With nothing said yet.
    pub fn new(screen: Screen, names: Names, at_end: AtEnd) -> User {
        User {
            screen,
            notices: VecDeque::new(),
            names,
            chosen: Chosen::Nobody,
            held: None,
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
            Notice::Undelivered { .. } => true,
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
        self.notices.push_back(notice);
    }

    /// Tells the user what is wrong.
    pub fn problem(&mut self, problem: impl Into<String>) {
        self.tell(Notice::Problem(problem.into()));
    }

    /// Not all was delivered.
    pub fn fail(&mut self) {
        self.outcome = Outcome::NotAllDelivered;
    }

    /// Whether all was delivered so far.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// Shows what was told.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn flush(&mut self, progress: &Progress) -> io::Result<()> {
        if let Screen::Prompt(terminal) = &self.screen
            && terminal.bars() != progress.len()
        {
            self.draw(progress)?;
        }
        while let Some(notice) = self.notices.pop_front() {
            self.screen.tell(&notice)?;
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

    /// Shows how far all files together have come.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn show_whole(&mut self, bytes: u64, total: u64) -> io::Result<()> {
        match &mut self.screen {
            Screen::Handover(display) => display.progress(bytes, total),
            _ => Ok(()),
        }
    }

    fn draw(&mut self, progress: &Progress) -> io::Result<()> {
        match &mut self.screen {
            Screen::Prompt(terminal) => {
                terminal.draw(progress.notices().map(|notice| notice.text()).collect())
            }
            _ => Ok(()),
        }
    }

    /// The prompt, which says to whom lines go.
    pub fn prompt(&self) -> String {
        format!("{}> ", self.chosen().unwrap_or_default())
    }

    /// To whom lines go.
    pub fn chosen(&self) -> Option<&str> {
        match &self.chosen {
            Chosen::Nobody => None,
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
            (false, Chosen::Named(_)) => false,
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

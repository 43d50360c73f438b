//! Where notices go: above a prompt, or to stdout and stderr for a script.

use std::io::{self, Write};
use std::time::Duration;

use cli::head::{Headed, timed};
use serde_json::json;

use crate::clock;
use crate::files::progress::Progress;
use crate::handover::display::Display;
use crate::notice::bar::Relay;
use crate::notice::{Notice, peer_address};
use crate::qr;
use crate::room::Tally;
use crate::terminal::Terminal;
use crate::terminal::entry::{Entry, Head, Mark};
use crate::text::clean_lines;

/// Where notices go.
pub struct Screen {
    kind: Kind,
    /// The day of the last notice that a person has read.
    day: String,
    /// QR codes are wanted.
    draws_qr: bool,
}

/// What is there.
pub enum Kind {
    /// A terminal with a line being edited.
    Prompt(Terminal),
    /// A person at a terminal that cannot move its cursor: whole lines to stdout.
    Plain,
    /// A filter: messages to stdout, the rest to stderr.
    Lines,
    /// A filter: everything to stdout, as JSON lines.
    Json,
    /// Files for whoever has a code: lines and one bar, or JSON lines.
    Handover(Display),
}

/// The width that a terminal has which does not tell it.
const COLUMNS: usize = 80;

impl Kind {
    /// JSON lines, of which the first says which version of them it is.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn json() -> io::Result<Self> {
        let started = Headed::now("chat", json!({"event": "started"}));
        print(&started.to_json()?)?;
        Ok(Kind::Json)
    }
}

impl Screen {
    /// With nothing told yet.
    pub fn new(kind: Kind, draws_qr: bool) -> Screen {
        Screen {
            kind,
            day: clock::day(),
            draws_qr,
        }
    }

    /// Whether a person sits there.
    pub fn is_interactive(&self) -> bool {
        matches!(self.kind, Kind::Prompt(_) | Kind::Plain)
    }

    /// Whether every notice is taken as it is: a program reads it, or somebody else chooses
    /// what is shown.
    pub fn takes_all(&self) -> bool {
        matches!(self.kind, Kind::Json | Kind::Handover(_))
    }

    /// Shows a notice.
    ///
    /// # Errors
    /// Those of stdout, such as a closed pipe.
    pub fn tell(&mut self, notice: &Notice) -> io::Result<()> {
        match &mut self.kind {
            Kind::Handover(display) => display.tell(notice),
            Kind::Lines => tell_script(notice),
            Kind::Json => print(&timed(notice.json()).to_string()),
            Kind::Plain if is_expected(notice) => Ok(()),
            Kind::Prompt(terminal) if marked(terminal, notice)? => Ok(()),
            Kind::Prompt(_) | Kind::Plain => self.tell_person(notice),
        }
    }

    /// Shows a message of ours, which has that number if it waits for its delivery.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn said(&mut self, to: &str, mark: Mark, number: u64, text: &str) -> io::Result<()> {
        let Kind::Prompt(terminal) = &self.kind else {
            return Ok(());
        };
        let entry = Entry {
            time: clock::time(),
            head: Head::To(to.to_owned(), mark),
            body: clean_lines(text),
        };
        terminal.said(entry, number)
    }

    /// Shows how far all files together have come, where that is all that matters.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn show_whole(&mut self, bytes: u64, total: u64) -> io::Result<()> {
        match &mut self.kind {
            Kind::Handover(display) => display.progress(bytes, total),
            _ => Ok(()),
        }
    }

    /// Shows to whom lines go.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn set_prompt(&self, prompt: String) -> io::Result<()> {
        match &self.kind {
            Kind::Prompt(terminal) => terminal.set_prompt(prompt),
            _ => Ok(()),
        }
    }

    /// How many bars there are.
    pub fn bars(&self) -> usize {
        match &self.kind {
            Kind::Prompt(terminal) => terminal.bars(),
            _ => 0,
        }
    }

    /// Draws a bar for each file on its way, where there is a prompt. `relay` is the one that
    /// a peer is reached through.
    ///
    /// # Errors
    /// Those of the terminal.
    pub fn draw(
        &self,
        progress: &Progress,
        relay: impl Fn(&str) -> Option<Relay>,
    ) -> io::Result<()> {
        let Kind::Prompt(terminal) = &self.kind else {
            return Ok(());
        };
        let columns = terminal.columns().saturating_sub(1);
        let bars = progress.notices().map(|notice| {
            let through = match &notice {
                Notice::Progress { peer, .. } => relay(peer),
                _ => None,
            };
            notice.bar(columns, through)
        });
        terminal.set_bars(bars.collect())
    }

    fn tell_person(&mut self, notice: &Notice) -> io::Result<()> {
        let day = clock::day();
        if day != self.day {
            self.entry(Head::Notice, day.clone())?;
            self.day = day;
        }
        match notice {
            Notice::Message { from, text } => {
                self.entry(Head::From(from.clone()), clean_lines(text))?;
            }
            Notice::RoomMessage { room, from, text } => {
                self.entry(Head::From(format!("#{room} {from}")), clean_lines(text))?;
            }
            // What is to be copied stays in one piece.
            Notice::Who { .. } => {
                let text = notice.text();
                let (text, command) = text.rsplit_once('\n').unwrap_or((&text, ""));
                self.entry(Head::Notice, text.to_owned())?;
                self.entry(Head::Drawing, command.to_owned())?;
            }
            _ => self.entry(Head::Notice, notice.text())?,
        }
        if let Notice::Who { name, key, .. } = notice
            && let Kind::Prompt(terminal) = &self.kind
            && self.draws_qr
            && let Some(code) = qr::draw(&peer_address(name, key), terminal.columns().min(COLUMNS))
        {
            self.entry(Head::Drawing, code)?;
        }
        Ok(())
    }

    fn entry(&self, head: Head, body: String) -> io::Result<()> {
        let time = clock::time();
        let entry = Entry { time, head, body };
        match &self.kind {
            Kind::Prompt(terminal) => terminal.tell(entry),
            _ => print(&entry.rows(Entry::PLAIN).join("\n")),
        }
    }
}

/// Whether that is what somebody who cannot see a mark expects anyway.
fn is_expected(notice: &Notice) -> bool {
    match notice {
        Notice::Delivered { after, .. } => *after < Mark::SOON,
        Notice::RoomDelivered { after, .. } => after.is_some_and(|after| after < Mark::SOON),
        _ => false,
    }
}

/// Marks the message that the notice is about, where it stands; false if that is not
/// possible.
fn marked(terminal: &Terminal, notice: &Notice) -> io::Result<bool> {
    match notice {
        Notice::Delivered {
            to, number, after, ..
        } => terminal.delivered(to, *number, Mark::Delivered(*after)),
        Notice::RoomDelivered {
            room, tally, after, ..
        } => {
            let mark = room_mark(tally, *after);
            terminal.delivered(&format!("#{room}"), tally.number, mark)
        }
        Notice::Undelivered { to, text } => terminal.lost(to, &clean_lines(text)),
        Notice::Kept { to, .. } => terminal.kept(to).map(|()| false),
        _ => Ok(false),
    }
}

/// What stands behind a message in a room.
fn room_mark(tally: &Tally, after: Option<Duration>) -> Mark {
    let (has, of) = (tally.delivered, tally.of);
    match (tally.is_last(), has == of) {
        (false, _) => Mark::Part { has, of },
        (true, true) => Mark::All(of, after.unwrap_or_default()),
        (true, false) => Mark::Short { has, of },
    }
}

fn tell_script(notice: &Notice) -> io::Result<()> {
    if notice.is_message() {
        return print(&notice.text());
    }
    for line in notice.text().lines() {
        cli::stderr::line(format_args!("chat: {line}"));
    }
    Ok(())
}

/// Prints a line to stdout at once.
///
/// # Errors
/// Those of stdout.
pub fn print(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

//! How far the files on their way have come.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::Direction;
use super::carry::Carried;
use super::ledger::File;
use crate::notice::Notice;

/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// The files on their way, over all peers.
#[derive(Debug)]
pub struct Progress {
    files: Vec<Watched>,
    look_at: Instant,
}

#[derive(Debug)]
struct Watched {
    peer: String,
    number: u64,
    direction: Direction,
    name: String,
    carried: Carried,
    /// Keeps the speed; it does not draw, since the prompt has the terminal.
    bar: ProgressBar,
    /// The last tenth that was reported.
    tenth: u64,
}

impl Progress {
    /// With no file yet.
    pub fn new() -> Progress {
        Progress {
            files: Vec::new(),
            look_at: Instant::now(),
        }
    }

    /// A file sets out; returns the counter for the task that carries it.
    pub fn watch(&mut self, peer: &str, number: u64, direction: Direction, file: &File) -> Carried {
        self.unwatch(peer, number, direction);
        let carried = Carried::default();
        let bar = ProgressBar::hidden().with_elapsed(Duration::ZERO);
        bar.set_length(file.size);
        self.files.push(Watched {
            peer: peer.to_owned(),
            number,
            direction,
            name: file.name.clone(),
            carried: carried.clone(),
            bar,
            tenth: 0,
        });
        self.look_at = Instant::now() + TICK;
        carried
    }

    /// A file is no longer on its way.
    pub fn unwatch(&mut self, peer: &str, number: u64, direction: Direction) {
        self.files
            .retain(|w| (w.peer.as_str(), w.number, w.direction) != (peer, number, direction));
    }

    /// Nor are any of that peer.
    pub fn forget(&mut self, peer: &str) {
        self.files.retain(|watched| watched.peer != peer);
    }

    /// How many files are on their way.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// How much of them has come across, in all.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.carried.bytes()).sum()
    }

    /// When [`Self::look`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.files.is_empty()).then_some(self.look_at)
    }

    /// Looks how far the files have come: those that have reached another
    /// tenth; `None` if it is too early to look.
    pub fn look(&mut self, now: Instant) -> Option<Vec<Notice>> {
        if self.look_at > now {
            return None;
        }
        self.look_at = now + TICK;
        let reached = |watched: &mut Watched| watched.reaches_a_tenth().then(|| watched.notice());
        Some(self.files.iter_mut().filter_map(reached).collect())
    }

    /// How far each has come.
    pub fn notices(&self) -> impl Iterator<Item = Notice> {
        self.files.iter().map(Watched::notice)
    }
}

impl Watched {
    fn reaches_a_tenth(&mut self) -> bool {
        let bytes = self.carried.bytes();
        self.bar.set_position(bytes);
        let tenth = bytes.saturating_mul(10) / self.size().max(1);
        tenth < 10 && std::mem::replace(&mut self.tenth, tenth) != tenth
    }

    fn size(&self) -> u64 {
        self.bar.length().unwrap_or(0)
    }

    fn notice(&self) -> Notice {
        Notice::Progress {
            peer: self.peer.clone(),
            name: self.name.clone(),
            direction: self.direction,
            bytes: self.bar.position(),
            size: self.size(),
            speed: self.bar.per_sec(),
            left: self.bar.eta(),
        }
    }
}

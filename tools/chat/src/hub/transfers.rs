//! What is on its way, over all peers: tasks, offers, progress.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::Hub;
use crate::files::carry::{Arrival, Progress};
use crate::files::folder::{Folder, Part};
use crate::files::ledger::File;
use crate::notice::Notice;
use crate::screen::Screen;

/// How often progress is looked at.
const TICK: Duration = Duration::from_millis(200);

/// A task that has ended.
#[derive(Debug)]
pub enum Job {
    /// A file of ours was looked at, to be offered.
    Measured {
        to: String,
        path: PathBuf,
        result: anyhow::Result<u64>,
    },
    /// A file of ours was sent, or the link has ended.
    Sent {
        to: String,
        file: u64,
        result: anyhow::Result<()>,
    },
    /// What there is of a peer's file was read.
    Opened {
        from: String,
        file: u64,
        result: io::Result<Part>,
    },
    /// A peer's file was received, or the link has ended.
    Arrived {
        from: String,
        file: u64,
        arrival: Arrival,
    },
    /// A peer's file has got its name.
    Kept {
        from: String,
        file: u64,
        result: io::Result<PathBuf>,
    },
}

/// What is on its way, over all peers.
pub struct Transfers {
    pub(super) folder: Folder,
    pub(super) accept_all: bool,
    pub(super) jobs: mpsc::Sender<Job>,
    /// Files of ours that are being looked at before they are offered.
    pub(super) measuring: usize,
    /// Offers as the user numbers them: whose, and its number there.
    pub(super) offers: BTreeMap<u64, (String, u64)>,
    pub(super) next_offer: u64,
    watched: Vec<Watched>,
    look_at: Instant,
}

/// A file whose progress is told.
struct Watched {
    peer: String,
    file: u64,
    incoming: bool,
    name: String,
    progress: Progress,
    /// Keeps the speed; it does not draw, since the prompt has the terminal.
    bar: ProgressBar,
    told: u64,
}

impl Transfers {
    pub(super) fn new(folder: Folder, accept_all: bool, jobs: mpsc::Sender<Job>) -> Transfers {
        Transfers {
            folder,
            accept_all,
            jobs,
            measuring: 0,
            offers: BTreeMap::new(),
            next_offer: 0,
            watched: Vec::new(),
            look_at: Instant::now(),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.measuring > 0
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (!self.watched.is_empty()).then_some(self.look_at)
    }

    /// Reads what there is of a peer's file.
    pub(super) fn reopen(
        &self,
        name: &str,
        key: Option<[u8; 32]>,
        file: u64,
        announced: Option<&File>,
    ) {
        let (Some(announced), Some(key)) = (announced.cloned(), key) else {
            return;
        };
        let (folder, jobs, from) = (self.folder.clone(), self.jobs.clone(), name.to_owned());
        spawn_blocking(move || {
            let result = folder.part(&key, &announced.name, announced.size);
            let _ = jobs.blocking_send(Job::Opened { from, file, result });
        });
    }

    pub(super) fn watch(
        &mut self,
        peer: &str,
        number: u64,
        incoming: bool,
        file: &File,
    ) -> Progress {
        self.unwatch(peer, number, incoming);
        let progress = Progress::default();
        self.watched.push(Watched {
            peer: peer.to_owned(),
            file: number,
            incoming,
            name: file.name.clone(),
            progress: progress.clone(),
            bar: ProgressBar::hidden().with_elapsed(Duration::ZERO),
            told: 0,
        });
        let watched = self.watched.last().expect("just pushed");
        watched.bar.set_length(file.size);
        self.look_at = Instant::now() + TICK;
        progress
    }

    pub(super) fn unwatch(&mut self, peer: &str, file: u64, incoming: bool) {
        self.watched
            .retain(|w| (w.peer.as_str(), w.file, w.incoming) != (peer, file, incoming));
    }

    pub(super) fn forget_offer(&mut self, peer: &str, file: u64) {
        self.offers
            .retain(|_, offer| (offer.0.as_str(), offer.1) != (peer, file));
    }

    pub(super) fn forget_peer(&mut self, peer: &str) {
        self.offers.retain(|_, offer| offer.0 != peer);
        self.watched.retain(|watched| watched.peer != peer);
    }
}

impl Watched {
    /// Looks how far it has come: so many tenths.
    fn look(&mut self) -> u64 {
        let bytes = self.progress.bytes();
        self.bar.set_position(bytes);
        bytes.saturating_mul(10) / self.size().max(1)
    }

    fn size(&self) -> u64 {
        self.bar.length().unwrap_or(0)
    }

    fn notice(&self) -> Notice {
        Notice::Progress {
            peer: self.peer.clone(),
            name: self.name.clone(),
            incoming: self.incoming,
            bytes: self.bar.position(),
            size: self.size(),
            speed: self.bar.per_sec(),
            left: self.bar.eta(),
        }
    }
}

impl Hub {
    /// Shows how far files have come: a bar for each, or a line at every tenth.
    pub(super) fn show_progress(&mut self, now: Instant) -> io::Result<()> {
        if self.transfers.look_at > now {
            return Ok(());
        }
        self.transfers.look_at = now + TICK;
        for watched in &mut self.transfers.watched {
            let tenth = watched.look();
            if tenth != watched.told && tenth < 10 && !self.screen.is_interactive() {
                watched.told = tenth;
                self.notices.push_back(watched.notice());
            }
        }
        self.draw_bars()
    }

    /// Bars of files that have ended or begun since the last tick.
    pub(super) fn settle_bars(&mut self) -> io::Result<()> {
        match &self.screen {
            Screen::Prompt(at) if at.bars() != self.transfers.watched.len() => self.draw_bars(),
            _ => Ok(()),
        }
    }

    fn draw_bars(&mut self) -> io::Result<()> {
        let Screen::Prompt(terminal) = &mut self.screen else {
            return Ok(());
        };
        let bars = self.transfers.watched.iter();
        terminal.draw(bars.map(|watched| watched.notice().text()).collect())
    }
}

//! What the files of all peers share: the tasks that work for them, the offers
//! that wait for the user, the progress, and what is to be done.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::carry::Arrival;
use super::folder::{Folder, Part};
use super::progress::Progress;
use crate::frame::Item;
use crate::notice::Notice;

/// Jobs that have ended and wait to be dealt with, at most.
const MOST_JOBS: usize = 64;

/// What to do with a file that a peer offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOffer {
    /// Accept it.
    Accept,
    /// Ask the user.
    Ask,
    /// Decline it: nobody is there who could be asked.
    Decline,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Say this to the peer.
    Say(String, Item),
    /// Say this to the peer; if there is no room for it, withdraw the file of
    /// this number.
    Offer(String, u64, Item),
    /// Show this to the user.
    Tell(Notice),
}

/// A task that has ended.
#[derive(Debug)]
pub struct Job {
    /// For whose files it worked.
    pub peer: String,
    /// What it has done.
    pub done: Done,
}

/// What a task has done.
#[derive(Debug)]
pub enum Done {
    /// A file of ours was looked at, to be offered.
    Measured(PathBuf, anyhow::Result<u64>),
    /// A file of ours was sent, or the link has ended.
    Sent(u64, anyhow::Result<()>),
    /// What earlier links brought of a peer's file was read.
    Opened(u64, io::Result<Part>),
    /// A peer's file was received, or the link has ended.
    Arrived(u64, Arrival),
    /// A peer's file has got its name.
    Kept(u64, io::Result<PathBuf>),
}

/// What the files of all peers share.
#[derive(Debug)]
pub struct Transfers {
    /// Where received files go.
    pub folder: Folder,
    /// What to do with a file that a peer offers.
    pub on_offer: OnOffer,
    /// Offers that wait for the user.
    pub offers: Offers,
    /// The files on their way.
    pub progress: Progress,
    outputs: VecDeque<Output>,
    jobs: mpsc::Sender<Job>,
}

/// Offers that wait for the user, as the user numbers them: whose, and its
/// number there.
#[derive(Debug, Default)]
pub struct Offers {
    waiting: BTreeMap<u64, (String, u64)>,
    last: u64,
}

impl Transfers {
    /// With no file yet; returns the jobs that will end, too.
    pub fn new(folder: Folder, on_offer: OnOffer) -> (Transfers, mpsc::Receiver<Job>) {
        let (jobs, ended) = mpsc::channel(MOST_JOBS);
        let transfers = Transfers {
            folder,
            on_offer,
            offers: Offers::default(),
            progress: Progress::new(),
            outputs: VecDeque::new(),
            jobs,
        };
        (transfers, ended)
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The user cannot be asked any more.
    pub fn stop_asking(&mut self) {
        if self.on_offer == OnOffer::Ask {
            self.on_offer = OnOffer::Decline;
        }
    }

    /// Does work for a peer's files.
    pub fn spawn(
        &self,
        peer: &str,
        work: impl Future<Output = Done> + Send + 'static,
    ) -> AbortHandle {
        let (jobs, peer) = (self.jobs.clone(), peer.to_owned());
        let task = tokio::spawn(async move {
            let done = work.await;
            let _ = jobs.send(Job { peer, done }).await;
        });
        task.abort_handle()
    }

    /// Does work with the disk.
    pub fn spawn_blocking(&self, peer: &str, work: impl FnOnce() -> Done + Send + 'static) {
        let (jobs, peer) = (self.jobs.clone(), peer.to_owned());
        tokio::task::spawn_blocking(move || {
            let done = work();
            let _ = jobs.blocking_send(Job { peer, done });
        });
    }

    /// Something is to be done.
    pub fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// The user is to be told what is wrong.
    pub fn problem(&mut self, problem: String) {
        self.output(Output::Tell(Notice::Problem(problem)));
    }

    /// Forgets what waits and what is on its way of a peer's files.
    pub fn forget(&mut self, peer: &str) {
        self.offers.waiting.retain(|_, (from, _)| from != peer);
        self.progress.forget(peer);
    }
}

impl Offers {
    /// Adds one; returns its number.
    pub fn add(&mut self, peer: &str, file: u64) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, (peer.to_owned(), file));
        self.last
    }

    /// Removes that of a peer's file.
    pub fn remove(&mut self, peer: &str, file: u64) {
        self.waiting
            .retain(|_, (from, number)| (from.as_str(), *number) != (peer, file));
    }

    /// Whether there is one of that number.
    pub fn contains(&self, number: u64) -> bool {
        self.waiting.contains_key(&number)
    }

    /// Takes that of the number, else the oldest.
    pub fn take(&mut self, number: Option<u64>) -> Option<(String, u64)> {
        let oldest = self.waiting.keys().next().copied();
        self.waiting.remove(&number.or(oldest)?)
    }
}

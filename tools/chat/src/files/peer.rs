//! The files of one peer, both ways.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use quinn::{Connection, RecvStream, VarInt};
use session::identity::PublicKey;
use tokio::task::AbortHandle;

use super::Direction;
use super::carry::{self, Arrival, Source};
use super::folder::Part;
use super::ledger::{Action, File, Ledger, Start};
use super::transfers::{Done, OnOffer, Output, Transfers};
use crate::conversation::LinkId;
use crate::frame::{Item, MOST_NAME};
use crate::link::Link;
use crate::notice::Notice;
use crate::text::cut;

/// The files of one peer.
#[derive(Debug)]
pub struct PeerFiles {
    name: String,
    /// The peer's key, which its parts belong to.
    key: Option<PublicKey>,
    link: Option<(LinkId, Connection)>,
    ledger: Ledger,
    /// Our files that are being looked at before they are offered.
    measuring: usize,
    /// Where our files are that were offered.
    paths: HashMap<u64, PathBuf>,
    /// Our files on their way.
    sending: HashMap<u64, Sending>,
    /// The peer's files on their way.
    taking: HashMap<u64, Taking>,
}

/// A file of ours on its way.
#[derive(Debug)]
struct Sending {
    /// Over which link, and from where on.
    request: (LinkId, Start),
    task: AbortHandle,
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How far an accepted file of the peer has come.
#[derive(Debug)]
enum Taking {
    /// What earlier links brought of it is being read.
    Opening,
    /// The peer was asked for the rest, or will be on the next link.
    Ready(Part),
    /// The rest is being written.
    Writing,
}

impl PeerFiles {
    /// With no file yet.
    pub fn new(name: &str) -> PeerFiles {
        PeerFiles {
            name: name.to_owned(),
            key: None,
            link: None,
            ledger: Ledger::default(),
            measuring: 0,
            paths: HashMap::new(),
            sending: HashMap::new(),
            taking: HashMap::new(),
        }
    }

    /// Whether one is offered or on its way.
    pub fn is_busy(&self) -> bool {
        self.measuring > 0 || self.ledger.is_sending() || !self.taking.is_empty()
    }

    /// The user offers the file at the first of these paths that there is.
    pub fn measure(&mut self, transfers: &mut Transfers, meanings: Vec<PathBuf>) {
        self.measuring += 1;
        transfers.spawn_blocking(&self.name, move || {
            let (path, size) = carry::look(meanings);
            Done::Measured(path, size)
        });
    }

    /// The peer says something of files.
    pub fn handle_item(&mut self, transfers: &mut Transfers, item: Item) {
        match self.ledger.handle_item(item) {
            None => {}
            Some(Action::Say(item)) => self.say(transfers, item),
            Some(Action::Ask(file)) => self.offered(transfers, file),
            Some(Action::Send { file, from }) => self.send(transfers, file, from),
            Some(Action::Completed { file, number }) => {
                self.forget_outgoing(number);
                transfers
                    .progress
                    .unwatch(&self.name, number, Direction::Outgoing);
                tracing::debug!(peer = self.name, number, "file delivered");
                transfers.output(Output::Tell(Notice::Sent {
                    to: self.name.clone(),
                    name: file.name,
                    size: file.size,
                }));
            }
            Some(Action::Ended {
                file,
                number,
                direction,
                why,
            }) => {
                match direction {
                    Direction::Outgoing => self.forget_outgoing(number),
                    Direction::Incoming => {
                        self.taking.remove(&number);
                        transfers.offers.remove(&self.name, number);
                    }
                }
                transfers.progress.unwatch(&self.name, number, direction);
                self.ended(transfers, file, direction, why);
            }
        }
    }

    /// A stream with the bytes of a file, from `offset` on.
    pub fn receive(
        &mut self,
        transfers: &mut Transfers,
        file: u64,
        offset: u64,
        mut stream: RecvStream,
    ) {
        // From the beginning, too: the sender's file may be another one than
        // that of our part.
        let fits = |part: &Part| offset == 0 || part.written() == offset;
        let fits = matches!(self.taking.get(&file), Some(Taking::Ready(part)) if fits(part));
        let (true, Some(announced)) = (fits, self.ledger.accepted(file)) else {
            tracing::debug!(peer = self.name, file, "stream refused: not asked for");
            let _ = stream.stop(VarInt::from_u32(0));
            return;
        };
        let Some(Taking::Ready(part)) = self.taking.insert(file, Taking::Writing) else {
            return;
        };
        tracing::debug!(peer = self.name, file, offset, "file is being received");
        let (size, direction) = (announced.size, Direction::Incoming);
        let carried = transfers
            .progress
            .watch(&self.name, file, direction, announced);
        transfers.spawn(&self.name, async move {
            Done::Arrived(
                file,
                carry::receive(stream, part, offset, size, &carried).await,
            )
        });
    }

    /// A task has ended.
    pub fn handle_done(&mut self, transfers: &mut Transfers, done: Done) {
        match done {
            Done::Measured(path, result) => {
                self.measuring -= 1;
                match result {
                    Ok(size) => self.offer(transfers, path, size),
                    Err(error) => transfers.problem(format!("not sent: {error:#}")),
                }
            }
            Done::Sent(_, Ok(())) => {}
            Done::Sent(file, Err(error)) => {
                if let Some((ended, item)) = self.ledger.withdraw(file, "it cannot be read") {
                    let direction = Direction::Outgoing;
                    self.say(transfers, item);
                    transfers.progress.unwatch(&self.name, file, direction);
                    self.ended(transfers, ended, direction, format!("{error:#}"));
                }
            }
            Done::Opened(file, result) => self.opened(transfers, file, result),
            Done::Arrived(file, arrival) => self.arrived(transfers, file, arrival),
            Done::Kept(file, result) => self.kept(transfers, file, result),
        }
    }

    /// A new link: asks for the rest of what was interrupted.
    pub fn link_up(&mut self, transfers: &mut Transfers, link: &Link) {
        self.key = Some(link.key);
        self.link = Some((link.id, link.connection.clone()));
        for file in self.ledger.interrupted() {
            match self.taking.get(&file) {
                Some(Taking::Ready(part)) => self.ask(transfers, file, part.start()),
                // Its task has not yet seen that the old link is gone.
                Some(Taking::Opening | Taking::Writing) => {}
                None => self.open(transfers, file),
            }
        }
    }

    /// The link is gone.
    pub fn link_down(&mut self) {
        self.link = None;
    }

    /// The peer has forgotten what was agreed on: our files are offered again.
    pub fn restarted(&mut self, transfers: &mut Transfers) {
        transfers.forget(&self.name);
        self.taking.clear();
        self.sending.clear();
        for item in self.ledger.restarted() {
            self.say(transfers, item);
        }
    }

    /// The peer is gone; returns how many files of ours it has not got.
    pub fn gave_up(&mut self, transfers: &mut Transfers) -> usize {
        transfers.forget(&self.name);
        self.link = None;
        self.taking.clear();
        self.sending.clear();
        self.paths.clear();
        let lost = self.ledger.gave_up();
        let count = lost.len();
        for file in lost {
            let why = format!("{} is gone", self.name);
            self.ended(transfers, file, Direction::Outgoing, why);
        }
        count
    }

    /// Everything is forgotten, without a word.
    pub fn reset(&mut self, transfers: &mut Transfers) {
        transfers.forget(&self.name);
        self.taking.clear();
        self.sending.clear();
        self.paths.clear();
        self.ledger.gave_up();
    }

    /// Our offer was not said.
    pub fn withdraw(&mut self, file: u64) {
        self.ledger.withdraw(file, "");
        self.forget_outgoing(file);
    }

    /// The file is wanted: reads what earlier links brought of it.
    pub fn open(&mut self, transfers: &mut Transfers, file: u64) {
        if !self.ledger.accept(file) {
            return;
        }
        self.taking.insert(file, Taking::Opening);
        if let (Some(announced), Some(key)) = (self.ledger.incoming(file).cloned(), self.key) {
            let folder = transfers.folder.clone();
            transfers.spawn_blocking(&self.name, move || {
                Done::Opened(file, folder.part(&key, &announced.name, announced.size))
            });
        }
    }

    /// The user does not want the file.
    pub fn decline(&mut self, transfers: &mut Transfers, file: u64) {
        self.refuse(transfers, file, "declined");
    }

    fn refuse(&mut self, transfers: &mut Transfers, file: u64, why: &str) {
        self.taking.remove(&file);
        if let Some((refused, item)) = self.ledger.decline(file, why) {
            self.say(transfers, item);
            self.ended(transfers, refused, Direction::Incoming, why.to_owned());
        }
    }

    fn offer(&mut self, transfers: &mut Transfers, path: PathBuf, size: u64) {
        let name = offered_name(&path);
        self.offer_as(transfers, path, name, size);
    }

    /// Offers the file at `path` under that name.
    pub fn offer_as(&mut self, transfers: &mut Transfers, path: PathBuf, name: String, size: u64) {
        let Some((number, item)) = self.ledger.offer(File { name, size }) else {
            return transfers.problem("not sent: too many files are on their way already".into());
        };
        tracing::debug!(peer = self.name, number, size, "file offered");
        self.paths.insert(number, path);
        transfers.output(Output::Offer(self.name.clone(), number, item));
    }

    /// The peer asks for our file.
    fn send(&mut self, transfers: &mut Transfers, file: u64, from: Start) {
        let (Some((link, connection)), Some(path), Some(known)) = (
            &self.link,
            self.paths.get(&file),
            self.ledger.outgoing(file),
        ) else {
            return;
        };
        // The peer may have asked twice, if it could not know that we heard.
        let request = (*link, from);
        if self.sending.get(&file).map(|sending| sending.request) == Some(request) {
            return;
        }
        tracing::debug!(
            peer = self.name,
            file,
            offset = from.offset,
            "file is being sent"
        );
        let source = Source {
            path: path.clone(),
            number: file,
            size: known.size,
        };
        let direction = Direction::Outgoing;
        let carried = transfers.progress.watch(&self.name, file, direction, known);
        let connection = connection.clone();
        let task = transfers.spawn(&self.name, async move {
            Done::Sent(file, carry::send(&connection, source, from, &carried).await)
        });
        self.sending.insert(file, Sending { request, task });
    }

    /// The peer offers a file.
    fn offered(&mut self, transfers: &mut Transfers, file: u64) {
        let Some(announced) = self.ledger.incoming(file) else {
            return;
        };
        tracing::debug!(
            peer = self.name,
            file,
            size = announced.size,
            "file on offer"
        );
        match transfers.on_offer {
            OnOffer::Accept => self.open(transfers, file),
            OnOffer::Decline => self.refuse(transfers, file, "nobody is there to accept it"),
            OnOffer::Ask => {
                let number = transfers.offers.add(&self.name, file);
                transfers.output(Output::Tell(Notice::Offered {
                    from: self.name.clone(),
                    number,
                    name: announced.name.clone(),
                    size: announced.size,
                }));
            }
        }
    }

    fn opened(&mut self, transfers: &mut Transfers, file: u64, result: io::Result<Part>) {
        self.taking.remove(&file);
        match result {
            Ok(part) if self.ledger.accepted(file).is_some() => {
                // Without a link it is said on the next one.
                if self.link.is_some() {
                    self.ask(transfers, file, part.start());
                }
                self.taking.insert(file, Taking::Ready(part));
            }
            Ok(_) => {} // Withdrawn meanwhile.
            Err(error) => self.refuse(transfers, file, &format!("it cannot be written: {error}")),
        }
    }

    fn arrived(&mut self, transfers: &mut Transfers, file: u64, arrival: Arrival) {
        transfers
            .progress
            .unwatch(&self.name, file, Direction::Incoming);
        let Some(announced) = self.ledger.accepted(file) else {
            self.taking.remove(&file);
            return; // Withdrawn, or the peer is gone. The part stays.
        };
        match arrival {
            Arrival::Whole(part) => {
                let (folder, name) = (transfers.folder.clone(), announced.name.clone());
                transfers.spawn_blocking(&self.name, move || {
                    Done::Kept(file, folder.keep(part, &name))
                });
            }
            Arrival::Wrong(part) => {
                let mut why = "its hash is not the one that the sender gave".to_owned();
                if let Err(error) = part.discard() {
                    why += &format!("; what was received cannot be removed: {error}");
                }
                self.refuse(transfers, file, &why);
            }
            Arrival::Disk(error) => {
                self.refuse(transfers, file, &format!("it cannot be written: {error}"));
            }
            Arrival::Broken => self.open(transfers, file),
        }
    }

    fn kept(&mut self, transfers: &mut Transfers, file: u64, result: io::Result<PathBuf>) {
        self.taking.remove(&file);
        match result {
            Ok(path) => {
                let Some((kept, item)) = self.ledger.complete(file) else {
                    return;
                };
                tracing::debug!(peer = self.name, file, size = kept.size, "file received");
                self.say(transfers, item);
                transfers.output(Output::Tell(Notice::Received {
                    from: self.name.clone(),
                    name: kept.name,
                    path,
                    size: kept.size,
                }));
            }
            Err(error) => self.refuse(transfers, file, &format!("it cannot be kept: {error}")),
        }
    }

    fn forget_outgoing(&mut self, file: u64) {
        self.paths.remove(&file);
        self.sending.remove(&file);
    }

    fn ask(&self, transfers: &mut Transfers, file: u64, from: Start) {
        if let Some(item) = self.ledger.ask(file, from) {
            self.say(transfers, item);
        }
    }

    fn ended(&self, transfers: &mut Transfers, file: File, direction: Direction, why: String) {
        tracing::debug!(peer = self.name, ?direction, "file will not arrive");
        transfers.output(Output::Tell(Notice::FileEnded {
            peer: self.name.clone(),
            name: file.name,
            direction,
            why,
        }));
    }

    fn say(&self, transfers: &mut Transfers, item: Item) {
        transfers.output(Output::Say(self.name.clone(), item));
    }
}

/// The last component of a path, as far as a frame has room for it.
fn offered_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy());
    cut(&name.unwrap_or_default(), MOST_NAME).to_owned()
}

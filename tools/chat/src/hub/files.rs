//! Files: what the ledgers say is done here, by tasks beside the conversation.

use std::path::PathBuf;
use std::time::Instant;

use quinn::{RecvStream, VarInt};
use tokio::task::spawn_blocking;

use super::Hub;
use super::peer::{Sending, Taking};
use super::transfers::Job;
use crate::files::carry::{self, Arrival, Source};
use crate::files::ledger::{Act, File, Start};
use crate::frame::{Item, MOST_NAME};
use crate::notice::Notice;

impl Hub {
    /// Reads a file, to offer it to the chosen peer.
    pub(super) fn offer_file(&mut self, path: PathBuf) {
        let Some(to) = self.chosen.clone().filter(|to| self.peers.contains_key(to)) else {
            return self.problem("to whom? /connect NAME".into());
        };
        self.transfers.measuring += 1;
        let jobs = self.transfers.jobs.clone();
        spawn_blocking(move || {
            let result = carry::measure(&path);
            let _ = jobs.blocking_send(Job::Measured { to, path, result });
        });
    }

    /// What the user says to an offer: that of the number, else the oldest.
    pub(super) fn answer_offer(&mut self, number: Option<u64>, yes: bool) {
        let number = number.or_else(|| self.transfers.offers.keys().next().copied());
        let Some((from, file)) = number.and_then(|n| self.transfers.offers.remove(&n)) else {
            return self.problem("there is no such offer".into());
        };
        if yes {
            self.open_part(&from, file);
        } else {
            self.refuse(&from, file, "declined");
        }
    }

    /// What a peer says of files.
    pub(super) fn file_item(&mut self, now: Instant, name: &str, item: Item) {
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        match peer.ledger.handle_item(item) {
            None => {}
            Some(Act::Say(item)) => {
                let _ = peer.conversation.say(now, item);
            }
            Some(Act::Ask(file)) => self.ask(name, file),
            Some(Act::Send { file, from }) => self.send_file(name, file, from),
            Some(Act::Completed(file)) => {
                let number = peer
                    .sending
                    .keys()
                    .find(|n| peer.ledger.outgoing(**n).is_none());
                if let Some(number) = number.copied() {
                    peer.sending.remove(&number);
                    peer.sources.remove(&number);
                    self.transfers.unwatch(name, number, false);
                }
                self.tell(Notice::Sent {
                    to: name.to_owned(),
                    name: file.name,
                    size: file.size,
                });
            }
            Some(Act::Ended {
                file,
                number,
                ours,
                why,
            }) => {
                if ours {
                    self.failed |= !self.screen.is_interactive();
                    peer.sources.remove(&number);
                    peer.sending.remove(&number);
                } else {
                    peer.taking.remove(&number);
                    self.transfers.forget_offer(name, number);
                }
                self.transfers.unwatch(name, number, !ours);
                self.file_ended(name, file, !ours, why);
            }
        }
    }

    /// A stream of bytes of a peer's file.
    pub(super) fn take_data(
        &mut self,
        name: String,
        file: u64,
        offset: u64,
        mut stream: RecvStream,
    ) {
        let Some(peer) = self.peers.get_mut(&name) else {
            return;
        };
        let fits = matches!(
            peer.taking.get(&file),
            // Or from the beginning, if what we have is of something else.
            Some(Taking::Ready(part)) if offset == 0 || part.written() == offset
        );
        let (true, Some(announced)) = (fits, peer.ledger.accepted(file).cloned()) else {
            let _ = stream.stop(VarInt::from_u32(0)); // Nobody has asked for it.
            return;
        };
        let Some(Taking::Ready(part)) = peer.taking.insert(file, Taking::Writing) else {
            return;
        };
        let progress = self.transfers.watch(&name, file, true, &announced);
        let jobs = self.transfers.jobs.clone();
        tokio::spawn(async move {
            let arrival = carry::receive(stream, part, offset, announced.size, &progress).await;
            let from = name;
            let _ = jobs
                .send(Job::Arrived {
                    from,
                    file,
                    arrival,
                })
                .await;
        });
    }

    /// A task has ended.
    pub(super) fn job_done(&mut self, job: Job) {
        let now = Instant::now();
        match job {
            Job::Measured { to, path, result } => {
                self.transfers.measuring -= 1;
                match result {
                    Ok(size) => self.offer(now, &to, path, size),
                    Err(error) => self.problem(format!("not sent: {error:#}")),
                }
            }
            Job::Sent { to, file, result } => {
                let Some(peer) = self.peers.get_mut(&to) else {
                    return;
                };
                if let Err(error) = result
                    && let Some((ended, item)) = peer.ledger.withdraw(file, "it cannot be read")
                {
                    let _ = peer.conversation.say(now, item);
                    self.transfers.unwatch(&to, file, false);
                    self.failed |= !self.screen.is_interactive();
                    self.file_ended(&to, ended, false, format!("{error:#}"));
                }
            }
            Job::Opened { from, file, result } => {
                let Some(peer) = self.peers.get_mut(&from) else {
                    return;
                };
                peer.taking.remove(&file);
                match result {
                    Ok(part) => {
                        let Some(item) = peer.ledger.ask(file, part.start()) else {
                            return; // Withdrawn meanwhile.
                        };
                        peer.taking.insert(file, Taking::Ready(part));
                        // Without a link it is said on the next one.
                        if peer.conversation.is_up() {
                            let _ = peer.conversation.say(now, item);
                        }
                    }
                    Err(error) => self.refuse(&from, file, &format!("cannot be written: {error}")),
                }
            }
            Job::Arrived {
                from,
                file,
                arrival,
            } => self.arrived(&from, file, arrival),
            Job::Kept { from, file, result } => {
                let Some(peer) = self.peers.get_mut(&from) else {
                    return;
                };
                peer.taking.remove(&file);
                match result {
                    Ok(path) => {
                        let Some((kept, item)) = peer.ledger.complete(file) else {
                            return;
                        };
                        let _ = peer.conversation.say(now, item);
                        self.tell(Notice::Received {
                            from,
                            name: kept.name,
                            path,
                            size: kept.size,
                        });
                    }
                    Err(error) => self.refuse(&from, file, &format!("cannot be kept: {error}")),
                }
            }
        }
    }

    /// A new link: asks for the rest of what was interrupted.
    pub(super) fn resume_files(&mut self, name: &str) {
        let now = Instant::now();
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        for file in peer.ledger.interrupted() {
            match peer.taking.get(&file) {
                Some(Taking::Ready(part)) => {
                    if let Some(item) = peer.ledger.ask(file, part.start()) {
                        let _ = peer.conversation.say(now, item);
                    }
                }
                // Its task has not yet seen that the old link is gone.
                Some(Taking::Opening | Taking::Writing) => {}
                None => {
                    peer.taking.insert(file, Taking::Opening);
                    self.transfers
                        .reopen(name, peer.key, file, peer.ledger.incoming(file));
                }
            }
        }
    }

    /// The peer has forgotten what was agreed on.
    pub(super) fn files_restarted(&mut self, now: Instant, name: &str) {
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        for item in peer.ledger.restarted() {
            let _ = peer.conversation.say(now, item);
        }
        peer.taking.clear();
        peer.sending.clear();
        self.transfers.forget_peer(name);
    }

    /// Nobody is there any more.
    pub(super) fn files_gave_up(&mut self, name: &str) {
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        peer.taking.clear();
        peer.sending.clear();
        peer.sources.clear();
        self.transfers.forget_peer(name);
        for file in peer.ledger.gave_up() {
            self.failed = true;
            self.file_ended(name, file, false, "the peer is gone".into());
        }
    }

    fn offer(&mut self, now: Instant, to: &str, path: PathBuf, size: u64) {
        let Some(peer) = self.peers.get_mut(to) else {
            return;
        };
        let mut name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        while name.len() > MOST_NAME {
            name.pop();
        }
        let offered = peer.ledger.offer(File { name, size });
        let Some((number, item)) = offered else {
            return self.problem("too many files at once: not sent".into());
        };
        if peer.conversation.say(now, item).is_err() {
            peer.ledger.withdraw(number, "");
            return self.problem("too much waits to be delivered: not sent".into());
        }
        peer.sources.insert(number, path);
    }

    fn ask(&mut self, name: &str, file: u64) {
        if self.transfers.accept_all {
            return self.open_part(name, file);
        }
        let offered = self.peers.get(name).and_then(|p| p.ledger.incoming(file));
        let Some(offered) = offered.cloned() else {
            return;
        };
        if self.input_ended || self.leaving.is_some() {
            return self.refuse(name, file, "nobody is there to accept it");
        }
        self.transfers.next_offer += 1;
        let number = self.transfers.next_offer;
        self.transfers
            .offers
            .insert(number, (name.to_owned(), file));
        self.tell(Notice::Offered {
            from: name.to_owned(),
            number,
            name: offered.name,
            size: offered.size,
        });
    }

    fn open_part(&mut self, name: &str, file: u64) {
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        if !peer.ledger.accept(file) {
            return;
        }
        peer.taking.insert(file, Taking::Opening);
        self.transfers
            .reopen(name, peer.key, file, peer.ledger.incoming(file));
    }

    fn send_file(&mut self, name: &str, file: u64, from: Start) {
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        let (Some(link), Some(path)) = (&peer.link, peer.sources.get(&file)) else {
            return;
        };
        let Some(known) = peer.ledger.outgoing(file) else {
            return;
        };
        // The peer may have asked twice, if it could not know that we heard.
        let what = (link.id, from);
        if peer.sending.get(&file).is_some_and(|s| s.what == what) {
            return;
        }
        let source = Source {
            path: path.clone(),
            number: file,
            size: known.size,
        };
        let connection = link.connection.clone();
        let progress = self.transfers.watch(name, file, false, known);
        let (jobs, to) = (self.transfers.jobs.clone(), name.to_owned());
        let task = tokio::spawn(async move {
            let result = carry::send(&connection, source, from, &progress).await;
            let _ = jobs.send(Job::Sent { to, file, result }).await;
        });
        let task = task.abort_handle();
        peer.sending.insert(file, Sending { what, task });
    }

    fn arrived(&mut self, from: &str, file: u64, arrival: Arrival) {
        self.transfers.unwatch(from, file, true);
        let Some(peer) = self.peers.get_mut(from) else {
            return;
        };
        let Some(announced) = peer.ledger.accepted(file).cloned() else {
            peer.taking.remove(&file);
            return; // Withdrawn, or the peer is gone. The part stays.
        };
        match arrival {
            Arrival::Whole(part) => {
                let (folder, jobs) = (self.transfers.folder.clone(), self.transfers.jobs.clone());
                let from = from.to_owned();
                spawn_blocking(move || {
                    let result = folder.keep(part, &announced.name);
                    let _ = jobs.blocking_send(Job::Kept { from, file, result });
                });
            }
            Arrival::Wrong(part) => {
                let discarded = part.discard();
                let why = match discarded {
                    Ok(()) => "it is not what was sent".to_owned(),
                    Err(error) => format!("it is not what was sent, and stays: {error}"),
                };
                self.refuse(from, file, &why);
            }
            Arrival::Disk(error) => self.refuse(from, file, &format!("cannot be written: {error}")),
            Arrival::Broken => self.open_part(from, file),
        }
    }

    fn refuse(&mut self, name: &str, file: u64, why: &str) {
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        peer.taking.remove(&file);
        let Some((refused, item)) = peer.ledger.decline(file, why) else {
            return;
        };
        let _ = peer.conversation.say(Instant::now(), item);
        self.file_ended(name, refused, true, why.to_owned());
    }

    fn file_ended(&mut self, name: &str, file: File, incoming: bool, why: String) {
        self.tell(Notice::FileEnded {
            peer: name.to_owned(),
            name: file.name,
            incoming,
            why,
        });
    }
}

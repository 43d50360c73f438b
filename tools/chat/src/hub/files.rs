//! Files: what the ledgers say is done here, by tasks beside the conversation.

use std::path::PathBuf;
use std::time::Instant;

use tokio::task::spawn_blocking;

use super::Hub;
use super::peer::{Sending, Taking};
use super::transfers::Job;
use crate::files::carry::{self, Source};
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

    pub(super) fn file_ended(&mut self, name: &str, file: File, incoming: bool, why: String) {
        self.tell(Notice::FileEnded {
            peer: name.to_owned(),
            name: file.name,
            incoming,
            why,
        });
    }
}

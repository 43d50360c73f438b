//! Files of peers: asked about, received, resumed.

use std::time::Instant;

use quinn::{RecvStream, VarInt};
use tokio::task::spawn_blocking;

use super::Hub;
use super::peer::Taking;
use super::transfers::Job;
use crate::files::carry::{self, Arrival};
use crate::notice::Notice;

impl Hub {
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

    pub(super) fn ask(&mut self, name: &str, file: u64) {
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

    pub(super) fn open_part(&mut self, name: &str, file: u64) {
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

    pub(super) fn arrived(&mut self, from: &str, file: u64, arrival: Arrival) {
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

    pub(super) fn refuse(&mut self, name: &str, file: u64, why: &str) {
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
}

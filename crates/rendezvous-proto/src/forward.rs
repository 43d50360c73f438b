//! Introductions under way: an offer on its way to the target, its answer on
//! the way back, and what a caller that asks twice is told.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::Transaction;

use sansio::SocketId;
use session::identity::PublicKey;

/// When a notification is sent, after the caller has asked.
const NOTIFY_AT: [Duration; 9] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1000),
    Duration::from_millis(1400),
    Duration::from_millis(1800),
    Duration::from_millis(2200),
    Duration::from_millis(2600),
];

/// When the caller is told that the target is silent.
const GIVE_UP: Duration = Duration::from_millis(3000);

/// How long an answer is kept for a caller whose copy was lost.
const REMEMBER: Duration = Duration::from_secs(10);

/// Introductions under way or remembered, for all names and for one target.
const MOST: usize = 8192;
const MOST_FOR_ONE: usize = 16;

/// Who asked, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) socket: SocketId,
    pub(super) address: SocketAddr,
    pub(super) transaction: Transaction,
}

#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) asker: Asker,
    /// The caller's CONNECT: an answer may not be longer.
    pub(super) request: Vec<u8>,
    pub(super) caller: String,
    pub(super) key: PublicKey,
    pub(super) target: String,
    to: (SocketId, SocketAddr),
    notification: Vec<u8>,
    started: Instant,
    /// When it was first sent to where it is sent now.
    since: Instant,
    sent: usize,
    redirected: bool,
    given_up: bool,
    answer: Option<Vec<u8>>,
}

/// What the clock asks for.
#[derive(Debug)]
pub(super) enum Due {
    Notify {
        to: (SocketId, SocketAddr),
        notification: Vec<u8>,
    },
    /// The target is silent: tell the caller of this introduction.
    Silent(Transaction),
}

#[derive(Debug, Default)]
pub(super) struct Introductions {
    by_notification: HashMap<Transaction, Introduction>,
    by_asker: HashMap<Asker, Transaction>,
    /// When to look at which again; one entry for each.
    schedule: BTreeSet<(Instant, Transaction)>,
}

impl Introductions {
    /// What is known of a CONNECT that was seen before: `None` if nothing,
    /// else the answer if there is one yet.
    pub(super) fn seen(&self, asker: &Asker) -> Option<Option<&[u8]>> {
        let transaction = self.by_asker.get(asker)?;
        Some(self.by_notification.get(transaction)?.answer.as_deref())
    }

    /// Whether one more for this target fits.
    pub(super) fn room_for(&self, target: &str) -> bool {
        let pending = |i: &&Introduction| i.answer.is_none() && i.target == target;
        self.by_notification.len() < MOST
            && self.by_notification.values().filter(pending).count() < MOST_FOR_ONE
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn start(
        &mut self,
        now: Instant,
        transaction: Transaction,
        asker: Asker,
        request: &[u8],
        names: (&str, &str),
        key: PublicKey,
        to: (SocketId, SocketAddr),
        notification: Vec<u8>,
    ) {
        self.by_asker.insert(asker.clone(), transaction);
        self.schedule.insert((now, transaction));
        let introduction = Introduction {
            asker,
            request: request.to_vec(),
            caller: names.0.to_owned(),
            key,
            target: names.1.to_owned(),
            to,
            notification,
            started: now,
            since: now,
            sent: 0,
            redirected: false,
            given_up: false,
            answer: None,
        };
        self.by_notification.insert(transaction, introduction);
    }

    /// The introduction that the target at `from` answers for the first time.
    pub(super) fn pending(
        &self,
        transaction: &Transaction,
        from: SocketAddr,
    ) -> Option<&Introduction> {
        self.by_notification
            .get(transaction)
            .filter(|i| i.answer.is_none() && i.to.1 == from)
    }

    /// Those that wait for this target at another address than `to`. Each may
    /// follow it once: who moves all the time is asked for anew.
    pub(super) fn elsewhere(&self, target: &str, to: (SocketId, SocketAddr)) -> Vec<Transaction> {
        let waits = |i: &Introduction| {
            i.target == target && i.to != to && !i.redirected && i.answer.is_none() && !i.given_up
        };
        let all = self.by_notification.iter();
        all.filter(|(_, introduction)| waits(introduction))
            .map(|(transaction, _)| *transaction)
            .collect()
    }

    /// Sends another notification in place of the last, to another address,
    /// as often as the first. The caller waits no longer for it.
    pub(super) fn redirect(
        &mut self,
        now: Instant,
        transaction: &Transaction,
        to: (SocketId, SocketAddr),
        notification: Vec<u8>,
    ) {
        let Some(introduction) = self.by_notification.get_mut(transaction) else {
            return;
        };
        self.schedule.remove(&(introduction.next(), *transaction));
        introduction.to = to;
        introduction.notification = notification;
        introduction.since = now;
        introduction.sent = 0;
        introduction.redirected = true;
        self.schedule.insert((introduction.next(), *transaction));
    }

    /// What the caller was told; kept for its retransmissions.
    pub(super) fn answered(&mut self, transaction: &Transaction, answer: Vec<u8>) {
        if let Some(introduction) = self.by_notification.get_mut(transaction) {
            introduction.answer = Some(answer);
        }
    }

    pub(super) fn get(&self, transaction: &Transaction) -> Option<&Introduction> {
        self.by_notification.get(transaction)
    }

    /// A name has left: what it asked for is nobody's any more.
    pub(super) fn forget_calls_of(&mut self, caller: &str) {
        let left = self
            .by_notification
            .extract_if(|_, introduction| introduction.caller == caller);
        for (transaction, introduction) in left {
            // Where an answer has put off its turn, the earlier one comes to nothing.
            self.schedule.remove(&(introduction.next(), transaction));
            self.by_asker.remove(&introduction.asker);
        }
    }

    /// Everything that is due now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(&(at, transaction)) = self.schedule.first() {
            if at > now {
                break;
            }
            self.schedule.pop_first();
            let Some(introduction) = self.by_notification.get_mut(&transaction) else {
                continue;
            };
            let age = now.saturating_duration_since(introduction.started);
            if age >= GIVE_UP + REMEMBER {
                self.by_asker.remove(&introduction.asker);
                self.by_notification.remove(&transaction);
                continue;
            }
            if introduction.answer.is_none() && !introduction.given_up {
                due.push(introduction.act(now, transaction));
            }
            self.schedule.insert((introduction.next(), transaction));
        }
        due
    }

    /// When [`Self::due`] has something next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.schedule.first().map(|&(at, _)| at)
    }
}

impl Introduction {
    fn act(&mut self, now: Instant, transaction: Transaction) -> Due {
        if now >= self.started + GIVE_UP {
            self.given_up = true;
            return Due::Silent(transaction);
        }
        self.sent += 1;
        Due::Notify {
            to: self.to,
            notification: self.notification.clone(),
        }
    }

    fn next(&self) -> Instant {
        let end = self.started + GIVE_UP;
        match NOTIFY_AT.get(self.sent) {
            _ if self.given_up || self.answer.is_some() => end + REMEMBER,
            Some(&after) => end.min(self.since + after),
            None => end,
        }
    }
}

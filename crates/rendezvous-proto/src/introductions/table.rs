//! The introductions that are pending, and those whose answer is remembered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use session::identity::PublicKey;
use stun::Transaction;

use crate::types::FiveTuple;

/// When a notification is sent, from the caller's request on.
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

/// When the caller is told that the callee is silent.
const GIVE_UP: Duration = Duration::from_millis(3000);

/// How long an answer is kept for a caller whose copy was lost.
const REMEMBER: Duration = Duration::from_secs(10);

/// Introductions pending or remembered.
const MOST: usize = 8192;

/// Of these, pending for one callee.
const MOST_FOR_CALLEE: usize = 16;

/// A caller's request, retransmissions included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct CallerRequest {
    pub(super) from: FiveTuple,
    pub(super) transaction: Transaction,
}

/// An introduction that begins.
#[derive(Debug)]
pub(super) struct Introduction {
    pub(super) request: CallerRequest,
    /// The caller's Connect: no answer may be longer.
    pub(super) connect: Vec<u8>,
    pub(super) caller: String,
    pub(super) caller_key: PublicKey,
    pub(super) callee: String,
}

/// What the callee is sent, and where.
#[derive(Clone, Debug)]
pub(super) struct Notification {
    pub(super) to: FiveTuple,
    pub(super) payload: Vec<u8>,
}

/// What is known of a caller's request.
pub(super) enum Known<'a> {
    /// It is new.
    Nothing,
    /// Its answer is not there yet.
    Pending,
    Answered(&'a [u8]),
}

/// What is due.
#[derive(Debug)]
pub(super) enum Due {
    Notify(Notification),
    /// The callee is silent: tell the caller of this introduction.
    GiveUp(Transaction),
}

/// Introductions by the transaction of their notification.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Transaction, Entry>,
    by_request: HashMap<CallerRequest, Transaction>,
    /// When each entry is looked at next; one element for each.
    schedule: BTreeSet<(Instant, Transaction)>,
}

#[derive(Debug)]
struct Entry {
    introduction: Introduction,
    notification: Notification,
    started: Instant,
    /// When the first notification went to the callee's present address.
    notified_since: Instant,
    /// Notifications sent there.
    sent: usize,
    redirected: bool,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Pending,
    GivenUp,
    Answered(Vec<u8>),
}

impl Table {
    pub(super) fn known(&self, request: &CallerRequest) -> Known<'_> {
        let transaction = self.by_request.get(request);
        match transaction.and_then(|transaction| self.entries.get(transaction)) {
            None => Known::Nothing,
            Some(entry) => match &entry.outcome {
                Outcome::Answered(answer) => Known::Answered(answer),
                Outcome::Pending | Outcome::GivenUp => Known::Pending,
            },
        }
    }

    /// Whether there is room for one more introduction to this callee.
    pub(super) fn room_for(&self, callee: &str) -> bool {
        let waits = |entry: &&Entry| !entry.is_answered() && entry.introduction.callee == callee;
        self.entries.len() < MOST && self.entries.values().filter(waits).count() < MOST_FOR_CALLEE
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        transaction: Transaction,
        introduction: Introduction,
        notification: Notification,
    ) {
        let request = introduction.request.clone();
        self.by_request.insert(request, transaction);
        self.schedule.insert((now, transaction));
        let entry = Entry {
            introduction,
            notification,
            started: now,
            notified_since: now,
            sent: 0,
            redirected: false,
            outcome: Outcome::Pending,
        };
        self.entries.insert(transaction, entry);
    }

    pub(super) fn get(&self, transaction: &Transaction) -> Option<&Introduction> {
        let entry = self.entries.get(transaction);
        entry.map(|entry| &entry.introduction)
    }

    /// The introduction with this transaction, if the client that answers is its
    /// callee, and the first answer has not come yet.
    pub(super) fn unanswered(
        &self,
        transaction: &Transaction,
        client: SocketAddr,
    ) -> Option<&Introduction> {
        let entry = self.entries.get(transaction);
        let awaited = |e: &&Entry| !e.is_answered() && e.notification.to.client == client;
        entry.filter(awaited).map(|entry| &entry.introduction)
    }

    /// The introductions that wait for this callee at another address than `to`.
    /// Each follows it once: an address that keeps changing makes no more packets.
    pub(super) fn elsewhere(&self, callee: &str, to: FiveTuple) -> Vec<Transaction> {
        let waits = |entry: &Entry| {
            let pending = matches!(entry.outcome, Outcome::Pending) && !entry.redirected;
            pending && entry.introduction.callee == callee && entry.notification.to != to
        };
        let waiting = self.entries.iter().filter(|(_, entry)| waits(entry));
        waiting.map(|(transaction, _)| *transaction).collect()
    }

    /// Notifies the callee at another address, by the schedule of the first.
    /// The caller does not wait longer for it.
    pub(super) fn redirect(
        &mut self,
        now: Instant,
        transaction: &Transaction,
        notification: Notification,
    ) {
        let Some(entry) = self.entries.get_mut(transaction) else {
            return;
        };
        self.schedule.remove(&(entry.next(), *transaction));
        entry.notification = notification;
        entry.notified_since = now;
        entry.sent = 0;
        entry.redirected = true;
        self.schedule.insert((entry.next(), *transaction));
    }

    /// Keeps the answer to the caller for its retransmissions.
    pub(super) fn answered(&mut self, transaction: &Transaction, answer: Vec<u8>) {
        if let Some(entry) = self.entries.get_mut(transaction) {
            entry.outcome = Outcome::Answered(answer);
        }
    }

    /// Forgets the introductions that this caller has asked for.
    pub(super) fn forget_caller(&mut self, caller: &str) {
        self.entries.retain(|transaction, entry| {
            let forget = entry.introduction.caller == caller;
            if forget {
                // An answer may have come since this entry was scheduled; then
                // its element is still there and comes to nothing.
                self.schedule.remove(&(entry.next(), *transaction));
                self.by_request.remove(&entry.introduction.request);
            }
            !forget
        });
    }

    /// Everything that is due now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Due> {
        let mut due = Vec::new();
        while let Some(&(at, transaction)) = self.schedule.first() {
            if at > now {
                break;
            }
            self.schedule.pop_first();
            let Some(entry) = self.entries.get_mut(&transaction) else {
                continue;
            };
            let age = now.saturating_duration_since(entry.started);
            if age >= GIVE_UP + REMEMBER {
                self.by_request.remove(&entry.introduction.request);
                self.entries.remove(&transaction);
                continue;
            }
            if matches!(entry.outcome, Outcome::Pending) {
                due.push(entry.act(now, transaction));
            }
            self.schedule.insert((entry.next(), transaction));
        }
        due
    }

    /// When [`Self::due`] has something next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.schedule.first().map(|&(at, _)| at)
    }
}

impl Entry {
    fn is_answered(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(_))
    }

    fn act(&mut self, now: Instant, transaction: Transaction) -> Due {
        if now >= self.started + GIVE_UP {
            self.outcome = Outcome::GivenUp;
            return Due::GiveUp(transaction);
        }
        self.sent += 1;
        Due::Notify(self.notification.clone())
    }

    fn next(&self) -> Instant {
        let end = self.started + GIVE_UP;
        match (&self.outcome, NOTIFY_AT.get(self.sent)) {
            (Outcome::GivenUp | Outcome::Answered(_), _) => end + REMEMBER,
            (Outcome::Pending, Some(&after)) => end.min(self.notified_since + after),
            (Outcome::Pending, None) => end,
        }
    }
}

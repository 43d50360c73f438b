//! The introductions that are pending, and those whose answer is remembered.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansio::{Prefix, Shares};
use session::identity::PublicKey;
use stun::{Transaction, code};

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

/// When the caller gets the error answer that the callee is silent.
const GIVE_UP: Duration = Duration::from_millis(3000);

/// How long an answer is kept for a caller whose copy was lost: four times as long as
/// it took, within these bounds. A caller repeats its request at least every 400 ms.
const REMEMBER_LEAST: Duration = Duration::from_secs(1);
const REMEMBER_MOST: Duration = Duration::from_secs(4);

/// Introductions pending or remembered.
const MOST: usize = 16 * 1024;

/// Of these, asked for by one prefix. Its remembered answers make room for its
/// next introductions.
const MOST_OF_PREFIX: usize = 4 * 1024;

/// Of these, pending. Each makes the server send nine notifications, if its callee is silent.
const MOST_PENDING_OF_PREFIX: usize = 1024;

/// Pending for one callee.
const MOST_FOR_CALLEE: usize = 16;

/// Of these, asked for by one prefix.
const MOST_FOR_CALLEE_OF_PREFIX: usize = 4;

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
    /// The caller's Connect: no answer may be longer. Empty once it is answered.
    pub(super) connect: Vec<u8>,
    pub(super) caller: String,
    pub(super) caller_key: PublicKey,
    pub(super) callee: String,
}

/// What the callee is sent, and where.
#[derive(Clone, Debug)]
pub(super) struct Notification {
    pub(super) to: FiveTuple,
    /// Empty once it is answered.
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
    /// The callee is silent: the caller gets an error answer.
    GiveUp(Transaction),
}

/// The elements of one prefix in the order in which they began.
type ByPrefix = Shares<Prefix, (Instant, Transaction)>;

/// Introductions by the transaction of their notification.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<Transaction, Entry>,
    by_request: HashMap<CallerRequest, Transaction>,
    by_caller: HashMap<String, BTreeSet<Transaction>>,
    /// When each entry is looked at next; one element for each.
    schedule: BTreeSet<(Instant, Transaction)>,
    /// The pending ones, by the prefix of the caller.
    pending: ByPrefix,
    /// Those of each callee.
    by_callee: HashMap<String, ByPrefix>,
    /// The answered ones, by the prefix of the caller.
    answered: ByPrefix,
}

#[derive(Debug)]
struct Entry {
    introduction: Introduction,
    notification: Notification,
    /// The caller's.
    prefix: Prefix,
    started: Instant,
    /// When the first notification went to the callee's present address.
    notified_since: Instant,
    /// Notifications sent there.
    sent: usize,
    redirected: bool,
    /// The answer to the caller, and until when it is kept.
    answer: Option<(Vec<u8>, Instant)>,
}

impl Table {
    pub(super) fn known(&self, request: &CallerRequest) -> Known<'_> {
        let transaction = self.by_request.get(request);
        match transaction.and_then(|transaction| self.entries.get(transaction)) {
            None => Known::Nothing,
            Some(Entry {
                answer: Some((answer, _)),
                ..
            }) => Known::Answered(answer),
            Some(_) => Known::Pending,
        }
    }

    /// Whether the share of this caller's prefix is used up.
    pub(super) fn is_used_up(&self, caller: &CallerRequest) -> bool {
        let prefix = Prefix::of(caller.from.client.ip());
        self.pending.of(prefix) >= MOST_PENDING_OF_PREFIX
    }

    /// Makes room for one more introduction of this caller to this callee. Where a bound is
    /// reached, remembered answers make room first, then the oldest pending introduction of
    /// the prefix that has most of them. Returns those pending introductions, which have ended.
    ///
    /// # Errors
    /// The code for the caller: its prefix has used up its share, or no other prefix has more
    /// than its own. The table has not changed.
    pub(super) fn make_room(
        &mut self,
        caller: &CallerRequest,
        callee: &str,
    ) -> Result<Vec<Introduction>, u16> {
        let prefix = Prefix::of(caller.from.client.ip());
        let mut ended = BTreeSet::new();
        if let Some(calls) = self.by_callee.get(callee) {
            if calls.of(prefix) >= MOST_FOR_CALLEE_OF_PREFIX {
                return Err(code::QUOTA_REACHED);
            }
            if calls.len() >= MOST_FOR_CALLEE {
                let (_, (_, oldest)) = calls.pays(prefix).ok_or(code::INSUFFICIENT_CAPACITY)?;
                ended.insert(oldest);
            }
        }
        if self.is_used_up(caller) {
            return Err(code::QUOTA_REACHED);
        }
        if self.pending.of(prefix) + self.answered.of(prefix) >= MOST_OF_PREFIX
            && let Some((_, oldest)) = self.answered.oldest(prefix)
        {
            ended.insert(oldest);
        }
        if self.entries.len() - ended.len() >= MOST {
            let remembered = self.answered.biggest().map(|(_, _, oldest)| oldest);
            let pending = || self.pending.pays(prefix).map(|(_, oldest)| oldest);
            let (_, oldest) = remembered
                .or_else(pending)
                .ok_or(code::INSUFFICIENT_CAPACITY)?;
            ended.insert(oldest);
        }
        let ended = ended.iter().filter_map(|transaction| {
            let entry = self.remove(transaction)?;
            entry.answer.is_none().then_some(entry.introduction)
        });
        Ok(ended.collect())
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        transaction: Transaction,
        introduction: Introduction,
        notification: Notification,
    ) {
        let prefix = Prefix::of(introduction.request.from.client.ip());
        let Introduction {
            request,
            caller,
            callee,
            ..
        } = &introduction;
        self.by_request.insert(request.clone(), transaction);
        let of_caller = self.by_caller.entry(caller.clone()).or_default();
        of_caller.insert(transaction);
        let of_callee = self.by_callee.entry(callee.clone()).or_default();
        of_callee.insert(prefix, (now, transaction));
        self.pending.insert(prefix, (now, transaction));
        self.schedule.insert((now, transaction));
        let entry = Entry {
            introduction,
            notification,
            prefix,
            started: now,
            notified_since: now,
            sent: 0,
            redirected: false,
            answer: None,
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
        let awaited = |e: &&Entry| e.answer.is_none() && e.notification.to.client == client;
        entry.filter(awaited).map(|entry| &entry.introduction)
    }

    /// The introductions that wait for this callee at another address than `to`.
    /// Each follows it once: an address that keeps changing makes no more packets.
    pub(super) fn elsewhere(&self, callee: &str, to: FiveTuple) -> Vec<Transaction> {
        let waits = |transaction: &Transaction| {
            let entry = self.entries.get(transaction);
            entry.is_some_and(|entry| !entry.redirected && entry.notification.to != to)
        };
        let pending = self
            .by_callee
            .get(callee)
            .into_iter()
            .flat_map(Shares::iter);
        pending
            .map(|(_, (_, transaction))| transaction)
            .filter(waits)
            .collect()
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

    /// Keeps the answer to the caller for its retransmissions, and nothing else.
    pub(super) fn answered(&mut self, now: Instant, transaction: &Transaction, answer: Vec<u8>) {
        let Some(entry) = self.entries.get_mut(transaction) else {
            return;
        };
        // It may have been taken out already.
        self.schedule.remove(&(entry.next(), *transaction));
        let age = now.saturating_duration_since(entry.started);
        let until = now + (4 * age).clamp(REMEMBER_LEAST, REMEMBER_MOST);
        entry.answer = Some((answer, until));
        entry.introduction.connect = Vec::new();
        entry.notification.payload = Vec::new();
        self.schedule.insert((until, *transaction));
        let (prefix, element) = (entry.prefix, (entry.started, *transaction));
        self.answered.insert(prefix, element);
        let callee = std::mem::take(&mut entry.introduction.callee);
        self.no_longer_pending(&callee, prefix, element);
    }

    fn no_longer_pending(&mut self, callee: &str, prefix: Prefix, element: (Instant, Transaction)) {
        self.pending.remove(prefix, element);
        if let Some(calls) = self.by_callee.get_mut(callee) {
            calls.remove(prefix, element);
            if calls.is_empty() {
                self.by_callee.remove(callee);
            }
        }
    }

    /// Forgets the introductions that this caller has asked for.
    pub(super) fn forget_caller(&mut self, caller: &str) {
        for transaction in self.by_caller.get(caller).cloned().unwrap_or_default() {
            self.remove(&transaction);
        }
    }

    fn remove(&mut self, transaction: &Transaction) -> Option<Entry> {
        let entry = self.entries.remove(transaction)?;
        self.schedule.remove(&(entry.next(), *transaction));
        let Introduction {
            request,
            caller,
            callee,
            ..
        } = &entry.introduction;
        self.by_request.remove(request);
        if let Some(of_caller) = self.by_caller.get_mut(caller) {
            of_caller.remove(transaction);
            if of_caller.is_empty() {
                self.by_caller.remove(caller);
            }
        }
        let element = (entry.started, *transaction);
        match entry.answer {
            Some(_) => _ = self.answered.remove(entry.prefix, element),
            None => self.no_longer_pending(callee, entry.prefix, element),
        }
        Some(entry)
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
            if entry.answer.is_some() {
                self.remove(&transaction);
            } else if now >= entry.started + GIVE_UP {
                // The answer that follows at once schedules it again.
                due.push(Due::GiveUp(transaction));
            } else {
                entry.sent += 1;
                due.push(Due::Notify(entry.notification.clone()));
                self.schedule.insert((entry.next(), transaction));
            }
        }
        due
    }

    /// When [`Self::due`] has something next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.schedule.first().map(|&(at, _)| at)
    }
}

impl Entry {
    fn next(&self) -> Instant {
        let end = self.started + GIVE_UP;
        match (&self.answer, NOTIFY_AT.get(self.sent)) {
            (Some((_, until)), _) => *until,
            (None, Some(&after)) => end.min(self.notified_since + after),
            (None, None) => end,
        }
    }
}

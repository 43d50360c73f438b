//! The table of names, the keys that own them, and the owners' addresses.
//!
//! A name is charged to the network (an IPv4 /24, an IPv6 /48) that its owner
//! registered it from last. What an owner does with its own name is never refused
//! for that: the bounds are on new names alone. Each operation takes the same time,
//! however many names there are.

mod list;
mod names;
mod new_names;
mod registration;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use sansio::Prefix;
use session::identity::PublicKey;
use session::rotation::Rotation;
use session::seal::Fresh;
use session::work::{LEAST_BITS, MOST_BITS};

use self::names::Names;
use self::new_names::{NewNames, Rate};
pub(crate) use self::registration::Registration;
use crate::bindings::{Binding, Change};
use crate::cookie;
use crate::types::FiveTuple;

/// A name stays bound to its key for this long after its registration has ended:
/// no other client takes it over while its owner restarts.
pub(crate) const HOLD: Duration = Duration::from_secs(24 * 3600);

/// A network may hold this part of the table before it has to work for more.
const FAIR_SHARE: usize = 64;

/// A share is not smaller than this.
const LEAST_SHARE: usize = 16;

/// A proof of work counts if it is one bit short: the difficulty may have risen
/// while the client was at it.
const SLACK_BITS: u8 = 1;

/// Why a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another key owns the name.
    Taken,
    /// The operator has reserved the name for the key that signed the rotation.
    Reserved,
    /// The sequence number does not grow: an old request was sent again.
    Replayed,
    /// A new name costs a proof of work of so many bits now.
    Work(u8),
    /// There is no room for another new name of that network.
    Full,
}

/// What a registration asks for.
#[derive(Clone, Debug)]
pub(crate) struct Application<'a> {
    pub(crate) name: &'a str,
    pub(crate) sequence: u64,
    /// Zero ends the registration.
    pub(crate) lifetime: Duration,
    pub(crate) place: Place,
    /// Not checked yet.
    pub(crate) rotation: Option<Rotation>,
    /// The difficulty that its proof of work meets, in bits.
    pub(crate) work: u8,
}

/// What a registration binds its name to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) key: PublicKey,
    pub(crate) at: FiveTuple,
    pub(crate) cookie: [u8; cookie::LENGTH],
    pub(crate) fresh: Fresh,
    pub(crate) asks_proof: bool,
}

/// The table of names.
#[derive(Debug)]
pub(crate) struct Registry {
    names: Names,
    /// The names that the operator has reserved. They are charged to nobody.
    reserved: HashMap<String, Reserved>,
    new_names: NewNames,
    most: usize,
    /// What is to be stored; `None`: nobody stores it.
    changes: Option<VecDeque<Change>>,
}

/// A name that belongs to one key for ever.
#[derive(Debug)]
struct Reserved {
    key: PublicKey,
    registration: Option<Registration>,
}

impl Registry {
    /// A table of at most `most` names.
    pub(crate) fn new(most: usize) -> Self {
        Registry {
            names: Names::default(),
            reserved: HashMap::new(),
            new_names: NewNames::default(),
            most,
            changes: None,
        }
    }

    /// Takes over what is stored, in the order in which it ends. From now on, there are
    /// changes to be stored. A name is bound for the whole of [`HOLD`] again.
    pub(crate) fn restore(&mut self, now: Instant, bindings: impl IntoIterator<Item = Binding>) {
        self.changes = Some(VecDeque::new());
        for binding in bindings {
            if !self.reserved.contains_key(&binding.name) {
                let registration = Registration::restored(now, &binding);
                self.names.put(&binding.name, registration, true);
            }
        }
    }

    /// Has room for this many names from now on. Those that it has stay.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// The changes that are to be stored.
    pub(crate) fn changes(&mut self) -> Option<&mut VecDeque<Change>> {
        self.changes.as_mut()
    }

    /// Notes what a request about this name has changed.
    fn note_changes(&mut self, name: &str) {
        let forgotten = self.names.forgotten().map(Change::Forgotten);
        let Some(changes) = &mut self.changes else {
            return drop(forgotten);
        };
        changes.extend(forgotten);
        let held = self.names.get_mut(name);
        changes.extend(
            held.and_then(|held| held.take_change(name))
                .map(Change::Bound),
        );
    }

    /// Reserves these names, and no others. An owner that has its name already stays registered; any
    /// other loses it. A name that is no longer reserved stays bound to its key as long as any other.
    pub(crate) fn set_reserved(&mut self, now: Instant, names: BTreeMap<String, PublicKey>) {
        let mut before = std::mem::take(&mut self.reserved);
        for (name, key) in names {
            let held = match before.remove(&name) {
                Some(held) => held.registration,
                None => self.names.get(&name).cloned(),
            };
            let registration = held
                .filter(|held| held.key == key)
                .map(|held| Registration {
                    stored: None,
                    ..held
                });
            self.names.remove(&name);
            self.note_changes(&name);
            self.reserved.insert(name, Reserved { key, registration });
        }
        // In this order, whatever that of the table is.
        let released: BTreeMap<_, _> = before.drain().collect();
        for (name, held) in released {
            if let Some(registration) = held.registration {
                let ended = registration.expires <= now;
                self.names.put(&name, registration, ended);
                self.note_changes(&name);
            }
        }
    }

    /// Registers, or refreshes. The caller has checked cookie and signature. If the
    /// name has another key now than before, that one is returned.
    ///
    /// # Errors
    /// See [`Refusal`]; the table has not changed.
    pub(crate) fn register(
        &mut self,
        now: Instant,
        application: Application<'_>,
    ) -> Result<Option<PublicKey>, Refusal> {
        let name = application.name;
        let registered = self.apply(now, application);
        self.note_changes(name);
        registered
    }

    fn apply(
        &mut self,
        now: Instant,
        application: Application<'_>,
    ) -> Result<Option<PublicKey>, Refusal> {
        let (name, ended) = (application.name, application.lifetime.is_zero());
        if let Some(reserved) = self.reserved.get_mut(name) {
            reserved.register(now, application)?;
            return Ok(None);
        }
        let held = self.names.get(name);
        let before = held.map(|held| held.key);
        let renewed = match held.filter(|held| now < held.expires + HOLD) {
            Some(held) => held.renewed(now, application)?,
            // There is nothing to end.
            None if ended => return Ok(None),
            None => {
                self.names.remove(name);
                let prefix = Prefix::of(application.place.at.client.ip());
                self.admit(now, prefix, &application)?;
                let registration = Registration::new(now, application);
                self.names.put(name, registration, ended);
                return Ok(None);
            }
        };
        let Some(registration) = renewed else {
            return Ok(None);
        };
        let before = before.filter(|before| *before != registration.key);
        self.names.put(name, registration, ended);
        Ok(before)
    }

    /// Makes room for a new name, if its network may have one.
    fn admit(
        &mut self,
        now: Instant,
        network: Prefix,
        application: &Application<'_>,
    ) -> Result<(), Refusal> {
        self.names.forget_unbound(now);
        let rate = self.new_names.rate(now, &network);
        let full = self.names.len() >= self.most;
        let pays = match full {
            true => self.names.find_room(now, &network),
            false => None,
        };
        if rate == Rate::FarOver || full && pays.is_none() {
            return Err(Refusal::Full);
        }
        let bits = self.difficulty(rate, &network);
        if application.work + SLACK_BITS < bits {
            return Err(Refusal::Work(bits));
        }
        if let Some(pays) = pays {
            self.names.forget(pays);
        }
        self.new_names.count(now, network);
        Ok(())
    }

    /// What a new name of that network costs, in bits: nothing, unless the table is
    /// more than three quarters full, the network has more than its fair share of
    /// it, or it is over its rate.
    fn difficulty(&self, rate: Rate, network: &Prefix) -> u8 {
        let quarter = self.most / 4;
        let above = (self.names.len() + 1).checked_sub(self.most - quarter + 1);
        let by_table = above.map_or(0, |above| {
            let range = usize::from(MOST_BITS - LEAST_BITS);
            usize::from(LEAST_BITS) + above * range / quarter.max(1)
        });
        let share = (self.most / FAIR_SHARE).max(LEAST_SHARE);
        let shares = (self.names.charged_to(network) / share).checked_ilog2();
        let by_share = shares.map_or(0, |doubled| usize::from(LEAST_BITS) + doubled as usize);
        let by_rate = match rate {
            Rate::Within => 0,
            Rate::Over | Rate::FarOver => usize::from(MOST_BITS),
        };
        let bits = by_table.max(by_share).max(by_rate);
        bits.min(usize::from(MOST_BITS)) as u8
    }

    fn get(&self, name: &str) -> Option<&Registration> {
        match self.reserved.get(name) {
            Some(reserved) => reserved.registration.as_ref(),
            None => self.names.get(name),
        }
    }

    /// The highest SEQUENCE of a name's owner, in a Register or a Connect.
    pub(crate) fn last_sequence(&self, name: &str) -> Option<u64> {
        let held = self.get(name)?;
        Some(held.sequence.max(held.connect_sequence))
    }

    /// Whether a Connect with this sequence number is newer than all before it;
    /// if so, the number is kept.
    pub(crate) fn advance(&mut self, name: &str, sequence: u64) -> bool {
        let held = match self.reserved.get_mut(name) {
            Some(reserved) => reserved.registration.as_mut(),
            None => self.names.get_mut(name),
        };
        let Some(held) = held else {
            return false;
        };
        let newer = sequence > held.connect_sequence;
        held.connect_sequence = held.connect_sequence.max(sequence);
        newer
    }

    /// The registration of a name, if it lives.
    pub(crate) fn find(&self, now: Instant, name: &str) -> Option<&Registration> {
        self.get(name).filter(|held| now < held.expires)
    }

    /// The number of registrations that live. It looks at each.
    pub(crate) fn alive(&self, now: Instant) -> usize {
        let reserved = self.reserved.values();
        let reserved = reserved.filter_map(|reserved| reserved.registration.as_ref());
        let all = reserved.chain(self.names.iter());
        all.filter(|held| now < held.expires).count()
    }
}

impl Reserved {
    fn register(&mut self, now: Instant, application: Application<'_>) -> Result<(), Refusal> {
        if application.place.key != self.key {
            let rotated = application.rotation.as_ref().is_some_and(|rotation| {
                rotation.old() == self.key
                    && rotation.leads_to(application.name, &application.place.key)
            });
            return Err(match rotated {
                true => Refusal::Reserved,
                false => Refusal::Taken,
            });
        }
        match &self.registration {
            Some(held) => {
                if let Some(renewed) = held.renewed(now, application)? {
                    self.registration = Some(renewed);
                }
            }
            None if application.lifetime.is_zero() => {}
            None => self.registration = Some(Registration::new(now, application)),
        }
        Ok(())
    }
}

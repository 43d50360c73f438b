//! The names, in the orders in which they are asked for: by themselves, by the end
//! of their registration, and by the network that they are charged to.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use sansio::Prefix;
use session::name::NAME_MAX;
use slab::Slab;

use super::list::{Id, Linked, Links, List};
use super::{HOLD, Registration};

/// A name, in the entry itself: an allocation for each would cost more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    length: u8,
    bytes: [u8; NAME_MAX],
}

impl Name {
    fn as_str(&self) -> &str {
        let bytes = &self.bytes[..usize::from(self.length)];
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// `None` if it is too long to be a name.
    pub(super) fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; NAME_MAX];
        bytes
            .get_mut(..name.len())?
            .copy_from_slice(name.as_bytes());
        let length = name.len() as u8;
        Some(Name { length, bytes })
    }
}

/// A list that an entry may be in.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// All names, by the end of their registration.
    All,
    /// The names of one network, by the end of their registration.
    OfNetwork,
    /// The names of one network, in the order in which they came to it.
    Arrived,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    registration: Registration,
    /// Its owner has ended the registration, which has not lapsed by itself.
    ended: bool,
    links: [Links; 3],
}

impl Linked<Kind> for Entry {
    fn links(&mut self, kind: Kind) -> &mut Links {
        &mut self.links[kind as usize]
    }
}

/// Names by the end of their registration. Each registration lasts equally long,
/// so whatever is registered or refreshed is the last to lapse; what is ended by
/// its owner is the last to have ended.
#[derive(Debug, Default)]
struct ByEnd {
    lapsing: List,
    ended: List,
}

impl ByEnd {
    fn list(&mut self, ended: bool) -> &mut List {
        match ended {
            true => &mut self.ended,
            false => &mut self.lapsing,
        }
    }

    /// The name whose registration ends, or has ended, first.
    fn first(&self, entries: &Slab<Entry>) -> Option<Id> {
        let first = [self.lapsing.first(), self.ended.first()];
        let expires = |id: &Id| entries[*id as usize].registration.expires;
        first.into_iter().flatten().min_by_key(expires)
    }
}

/// The names that are charged to one network.
#[derive(Debug, Default)]
struct Holder {
    count: u32,
    by_end: ByEnd,
    arrived: List,
}

/// The names.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: HashMap<Name, Id>,
    entries: Slab<Entry>,
    by_end: ByEnd,
    holders: HashMap<Prefix, Holder>,
    /// The networks with two names and more, by their number.
    biggest: BTreeSet<(u32, Prefix)>,
    /// Those that were forgotten since they were asked for.
    forgotten: Vec<Name>,
    /// Entries that were looked at to make room.
    #[cfg(test)]
    pub(super) examined: usize,
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Registration> {
        self.entries.iter().map(|(_, entry)| &entry.registration)
    }

    fn id(&self, name: &str) -> Option<Id> {
        self.ids.get(&Name::new(name)?).copied()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Registration> {
        let id = self.id(name)?;
        Some(&self.entries[id as usize].registration)
    }

    /// For what changes neither the end nor the address.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Registration> {
        let id = self.id(name)?;
        Some(&mut self.entries[id as usize].registration)
    }

    /// How many names are charged to that network.
    pub(super) fn charged_to(&self, network: &Prefix) -> usize {
        let holder = self.holders.get(network);
        holder.map_or(0, |holder| holder.count as usize)
    }

    /// Adds a name, or replaces its registration. It is charged to the network of
    /// its address. `ended`: its owner has ended it now.
    pub(super) fn put(&mut self, name: &str, registration: Registration, ended: bool) {
        let Some(key) = Name::new(name) else {
            return;
        };
        match self.ids.get(&key) {
            Some(&id) => self.replace(id, registration, ended),
            None => {
                let network = Prefix::of(registration.at.client.ip());
                let id = self.entries.insert(Entry {
                    name: key,
                    registration,
                    ended,
                    links: [Links::NONE; 3],
                }) as Id;
                self.ids.insert(key, id);
                self.by_end
                    .list(ended)
                    .append(&mut self.entries, Kind::All, id);
                self.charge(network, id);
            }
        }
    }

    fn replace(&mut self, id: Id, registration: Registration, ended: bool) {
        let before = self.network_of(id);
        let after = Prefix::of(registration.at.client.ip());
        self.unlink(id);
        if before != after {
            self.discharge(before, id);
        }
        let entry = &mut self.entries[id as usize];
        (entry.registration, entry.ended) = (registration, ended);
        self.by_end
            .list(ended)
            .append(&mut self.entries, Kind::All, id);
        if before != after {
            self.charge(after, id);
        } else if let Some(holder) = self.holders.get_mut(&after) {
            let list = holder.by_end.list(ended);
            list.append(&mut self.entries, Kind::OfNetwork, id);
        }
    }

    fn network_of(&self, id: Id) -> Prefix {
        Prefix::of(self.entries[id as usize].registration.at.client.ip())
    }

    /// Takes it out of the orders by the end.
    fn unlink(&mut self, id: Id) {
        let (network, ended) = (self.network_of(id), self.entries[id as usize].ended);
        let list = self.by_end.list(ended);
        list.remove(&mut self.entries, Kind::All, id);
        if let Some(holder) = self.holders.get_mut(&network) {
            let list = holder.by_end.list(ended);
            list.remove(&mut self.entries, Kind::OfNetwork, id);
        }
    }

    fn charge(&mut self, network: Prefix, id: Id) {
        let holder = self.holders.entry(network).or_default();
        let list = holder.by_end.list(self.entries[id as usize].ended);
        list.append(&mut self.entries, Kind::OfNetwork, id);
        holder.arrived.append(&mut self.entries, Kind::Arrived, id);
        self.biggest.remove(&(holder.count, network));
        holder.count += 1;
        if holder.count > 1 {
            self.biggest.insert((holder.count, network));
        }
    }

    /// After [`Self::unlink`].
    fn discharge(&mut self, network: Prefix, id: Id) {
        let Some(holder) = self.holders.get_mut(&network) else {
            return;
        };
        holder.arrived.remove(&mut self.entries, Kind::Arrived, id);
        self.biggest.remove(&(holder.count, network));
        holder.count -= 1;
        match holder.count {
            0 => drop(self.holders.remove(&network)),
            1 => {}
            count => drop(self.biggest.insert((count, network))),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(id) = self.id(name) {
            self.forget(id);
        }
    }

    pub(super) fn forget(&mut self, id: Id) {
        let network = self.network_of(id);
        self.unlink(id);
        self.discharge(network, id);
        let Entry { name, .. } = self.entries.remove(id as usize);
        self.ids.remove(&name);
        self.forgotten.push(name);
    }

    /// The names that were forgotten since the last call.
    pub(super) fn forgotten(&mut self) -> impl Iterator<Item = String> {
        let names = self.forgotten.drain(..);
        names.map(|name| name.as_str().to_owned())
    }

    /// Forgets names that are no longer bound to their keys: two at most, which
    /// is one more than are added meanwhile.
    pub(super) fn forget_unbound(&mut self, now: Instant) {
        for _ in 0..2 {
            self.examine();
            let first = self.by_end.first(&self.entries);
            let unbound = |id: &Id| self.entries[*id as usize].registration.expires + HOLD <= now;
            let Some(id) = first.filter(unbound) else {
                return;
            };
            self.forget(id);
        }
    }

    /// Which name makes room for a new one of that network. The network with the
    /// most names pays, as long as it has more than the other then has: the name
    /// that ended first, or if none has, the one that came last. So a network
    /// with one name never pays. Where none has more, the newcomer's own network
    /// pays, but only with a name that has ended.
    pub(super) fn find_room(&mut self, now: Instant, newcomer: &Prefix) -> Option<Id> {
        self.examine();
        let count = self.charged_to(newcomer) as u32;
        let bigger = self.biggest.last().filter(|(most, _)| *most > count + 1);
        let payer = bigger.map_or(newcomer, |(_, network)| network);
        let holder = self.holders.get(payer)?;
        let ended = |id: &Id| self.entries[*id as usize].registration.expires <= now;
        let first = holder.by_end.first(&self.entries).filter(ended);
        first.or_else(|| holder.arrived.last().filter(|_| bigger.is_some()))
    }

    fn examine(&mut self) {
        #[cfg(test)]
        {
            self.examined += 1;
        }
    }

    /// Checks that all orders have the same names.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.ids.len(), self.entries.len());
        let counts = self.holders.values().map(|holder| holder.count as usize);
        assert_eq!(counts.sum::<usize>(), self.entries.len());
        let several = self.holders.iter().filter(|(_, holder)| holder.count > 1);
        let several: BTreeSet<_> = several.map(|(net, holder)| (holder.count, *net)).collect();
        assert_eq!(several, self.biggest);
    }
}

//! Names, the keys that own them, and where their owners are.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cookie;
use sansio::SocketId;
use session::identity::PublicKey;

/// A name stays its key's for this long after its registration has ended, so
/// that nobody takes it over while its owner restarts.
pub const HOLD: Duration = Duration::from_secs(24 * 3600);

/// Somebody who can be introduced.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The name's owner.
    pub key: PublicKey,
    /// Where the server sees it.
    pub address: SocketAddr,
    /// The server's socket that it speaks to, hence the one whose packets
    /// its NAT lets in.
    pub socket: SocketId,
    /// The cookie that it registered with: a notification that shows it is ours.
    pub cookie: [u8; cookie::LENGTH],
    expires: Instant,
    /// The last registration's number, and the last introduction's. They are
    /// kept apart, since the two kinds may overtake each other on the way.
    sequence: u64,
    asked: u64,
}

/// Why a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another key owns the name.
    Taken,
    /// The sequence number does not grow: an old request, sent again.
    Replayed,
    /// There is no room, and nothing that may be forgotten.
    Full,
}

/// The table of names.
#[derive(Debug)]
pub struct Registry {
    names: HashMap<Arc<str>, Registration>,
    /// One entry for each name: who has ended first is found at once, however
    /// many there are, since anybody may ask for room as often as it likes.
    ends: BTreeSet<(Instant, Arc<str>)>,
    most: usize,
    /// Names looked at to make room.
    #[cfg(test)]
    looked: usize,
}

impl Registry {
    /// A table of at most `most` names.
    pub fn new(most: usize) -> Self {
        Registry {
            names: HashMap::new(),
            ends: BTreeSet::new(),
            most,
            #[cfg(test)]
            looked: 0,
        }
    }

    /// Registers, or refreshes. The caller has checked cookie and signature.
    ///
    /// # Errors
    /// See [`Refusal`]; the table is as it was.
    pub fn register(
        &mut self,
        now: Instant,
        name: &str,
        sequence: u64,
        lifetime: Duration,
        registration: Place,
    ) -> Result<(), Refusal> {
        match self.names.get(name) {
            Some(held) if now < held.expires + HOLD => {
                if held.key != registration.key {
                    return Err(Refusal::Taken);
                }
                if sequence == held.sequence && registration.address == held.address {
                    return Ok(()); // Its answer was lost: once more, and nothing changes.
                }
                if sequence <= held.sequence {
                    return Err(Refusal::Replayed);
                }
            }
            _ => self.make_room(now)?,
        }
        let before = self.names.remove_entry(name);
        let asked = before.as_ref().map_or(0, |(_, held)| held.asked);
        let name: Arc<str> = match before {
            Some((name, held)) => {
                self.ends.remove(&(held.expires, Arc::clone(&name)));
                name
            }
            None => name.into(),
        };
        let Place {
            key,
            address,
            socket,
            cookie,
        } = registration;
        let registration = Registration {
            key,
            address,
            socket,
            cookie,
            expires: now + lifetime,
            sequence,
            asked,
        };
        self.ends.insert((registration.expires, Arc::clone(&name)));
        self.names.insert(name, registration);
        Ok(())
    }

    /// Whether this request for an introduction is newer than all before it;
    /// if so it is remembered.
    pub fn advance(&mut self, name: &str, sequence: u64) -> bool {
        let Some(held) = self.names.get_mut(name) else {
            return false;
        };
        let newer = sequence > held.asked;
        held.asked = held.asked.max(sequence);
        newer
    }

    /// Who is registered under that name now.
    pub fn find(&self, now: Instant, name: &str) -> Option<&Registration> {
        self.names.get(name).filter(|held| now < held.expires)
    }

    /// How many names are registered now.
    pub fn alive(&self, now: Instant) -> usize {
        self.names
            .values()
            .filter(|held| now < held.expires)
            .count()
    }

    /// When it is full, the name that has ended first is forgotten, whether it
    /// is held or not; a living registration never.
    fn make_room(&mut self, now: Instant) -> Result<(), Refusal> {
        while self.names.len() >= self.most {
            #[cfg(test)]
            {
                self.looked += 1;
            }
            let ended = self.ends.first().filter(|(expires, _)| *expires <= now);
            let (_, name) = ended.cloned().ok_or(Refusal::Full)?;
            self.ends.pop_first();
            self.names.remove(&name);
        }
        Ok(())
    }
}

/// Where an owner is, as its request showed.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its key.
    pub key: PublicKey,
    /// Its address.
    pub address: SocketAddr,
    /// The socket that it spoke to.
    pub socket: SocketId,
    /// The cookie that it brought.
    pub cookie: [u8; cookie::LENGTH],
}

#[cfg(test)]
mod tests {
    use session::name::LIFETIME;

    use super::*;

    fn place(key: u8) -> Place {
        Place {
            key: [key; 32],
            address: "203.0.113.17:40000".parse().unwrap(),
            socket: 0,
            cookie: [0; cookie::LENGTH],
        }
    }

    #[test]
    fn a_name_is_its_keys_until_the_hold_is_over() {
        let mut registry = Registry::new(10);
        let start = Instant::now();
        let mut register = |at, name: &str, sequence, key| {
            registry.register(at, name, sequence, LIFETIME, place(key))
        };
        assert_eq!(register(start, "alice", 5, 1), Ok(()));
        assert_eq!(register(start, "alice", 9, 2), Err(Refusal::Taken));
        assert_eq!(register(start, "alice", 4, 1), Err(Refusal::Replayed));
        assert_eq!(
            register(start + HOLD, "alice", 5, 1),
            Ok(()),
            "the same again"
        );
        assert_eq!(register(start, "alice", 6, 1), Ok(()));
        let expired = start + LIFETIME;
        assert_eq!(register(expired, "alice", 9, 2), Err(Refusal::Taken));
        assert_eq!(register(expired + HOLD, "alice", 1, 2), Ok(()));
        assert_eq!(registry.alive(expired), 1);
    }

    #[test]
    fn an_expired_name_is_not_found() {
        let mut registry = Registry::new(10);
        let start = Instant::now();
        registry
            .register(start, "bob", 1, LIFETIME, place(1))
            .unwrap();
        assert!(registry.find(start, "bob").is_some());
        assert!(registry.find(start + LIFETIME, "bob").is_none());
    }

    #[test]
    fn full_of_the_living_refuses_full_of_the_held_forgets() {
        let mut registry = Registry::new(2);
        let start = Instant::now();
        for (name, key) in [("a", 1), ("b", 2)] {
            registry
                .register(start, name, 1, LIFETIME, place(key))
                .unwrap();
        }
        let third = |registry: &mut Registry, at| registry.register(at, "c", 1, LIFETIME, place(3));
        assert_eq!(third(&mut registry, start), Err(Refusal::Full));
        assert_eq!(third(&mut registry, start + LIFETIME), Ok(()));
    }

    #[test]
    fn room_is_made_of_the_name_that_ended_first_and_of_no_other() {
        let mut registry = Registry::new(2);
        let start = Instant::now();
        let second = Duration::from_secs(1);
        for (name, key, at) in [("b", 2, start), ("a", 1, start + second)] {
            registry
                .register(at, name, 1, LIFETIME, place(key))
                .unwrap();
        }
        let later = start + LIFETIME + second;
        let register = |registry: &mut Registry, name: &str, key| {
            registry.register(later, name, 2, LIFETIME, place(key))
        };
        assert_eq!(register(&mut registry, "c", 3), Ok(()));
        assert_eq!(register(&mut registry, "a", 9), Err(Refusal::Taken));
        assert_eq!(register(&mut registry, "a", 1), Ok(()), "it is alive again");
        assert_eq!(register(&mut registry, "b", 2), Err(Refusal::Full));
    }

    #[test]
    fn a_full_table_is_not_searched_for_each_who_asks() {
        const MOST: usize = 1000;
        let mut registry = Registry::new(MOST);
        let start = Instant::now();
        let step = Duration::from_millis(1);
        for n in 0..MOST as u32 {
            registry
                .register(start + step * n, &n.to_string(), 1, LIFETIME, place(1))
                .unwrap();
        }
        for n in 0..MOST {
            let new = registry.register(start, &format!("new-{n}"), 1, LIFETIME, place(2));
            assert_eq!(new, Err(Refusal::Full));
        }
        // Nor where there is room for one and no more, time after time.
        for n in 0..MOST as u32 {
            let (at, name) = (start + LIFETIME + step * n, format!("new-{n}"));
            assert_eq!(registry.register(at, &name, 1, LIFETIME, place(2)), Ok(()));
        }
        assert!(registry.looked <= 3 * MOST, "{}", registry.looked);
        assert_eq!((registry.names.len(), registry.ends.len()), (MOST, MOST));
    }
}

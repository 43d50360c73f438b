//! The table of names, the keys that own them, and the owners' addresses.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use session::identity::PublicKey;
use session::seal::Fresh;

use crate::cookie;
use crate::types::FiveTuple;

/// A name stays bound to its key for this long after its registration has ended:
/// no other client takes it over while its owner restarts.
pub(crate) const HOLD: Duration = Duration::from_secs(24 * 3600);

/// A name's entry.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// The owner's key.
    pub(crate) key: PublicKey,
    /// The owner's reflexive address, and the socket of the server's whose
    /// packets its NAT lets in.
    pub(crate) at: FiveTuple,
    /// The cookie that it registered with: it shows that a notification comes
    /// from this server.
    pub(crate) cookie: [u8; cookie::LENGTH],
    /// The owner's nonce, to which callers bind their offers.
    pub(crate) fresh: Fresh,
    /// The owner wants notifications to be proved.
    pub(crate) asks_proof: bool,
    expires: Instant,
    /// The sequence number of the last registration.
    sequence: u64,
    /// That of the last Connect. It has a count of its own, since requests of the
    /// two kinds may overtake each other on the way.
    connect_sequence: u64,
}

/// Why a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Another key owns the name.
    Taken,
    /// The sequence number does not grow: an old request was sent again.
    Replayed,
    /// The table is full of registrations that live.
    Full,
}

/// The table of names.
#[derive(Debug)]
pub(crate) struct Registry {
    names: HashMap<Arc<str>, Registration>,
    /// When each registration ends, one element for each name. The first to end
    /// is found at once: any client may ask for room as often as it likes.
    ends: BTreeSet<(Instant, Arc<str>)>,
    most: usize,
    /// Names examined to make room.
    #[cfg(test)]
    examined: usize,
}

impl Registry {
    /// A table of at most `most` names.
    pub(crate) fn new(most: usize) -> Self {
        Registry {
            names: HashMap::new(),
            ends: BTreeSet::new(),
            most,
            #[cfg(test)]
            examined: 0,
        }
    }

    /// Registers, or refreshes. The caller has checked cookie and signature.
    ///
    /// # Errors
    /// See [`Refusal`]; the table has not changed.
    pub(crate) fn register(
        &mut self,
        now: Instant,
        name: &str,
        sequence: u64,
        lifetime: Duration,
        place: Place,
    ) -> Result<(), Refusal> {
        match self.names.get(name) {
            Some(held) if now < held.expires + HOLD => {
                if held.key != place.key {
                    return Err(Refusal::Taken);
                }
                if sequence == held.sequence && place.at.client == held.at.client {
                    return Ok(()); // A retransmission: its answer was lost.
                }
                if sequence <= held.sequence {
                    return Err(Refusal::Replayed);
                }
            }
            _ => self.make_room(now)?,
        }
        let before = self.names.remove_entry(name);
        let connect_sequence = before.as_ref().map_or(0, |(_, held)| held.connect_sequence);
        let name: Arc<str> = match before {
            Some((name, held)) => {
                self.ends.remove(&(held.expires, Arc::clone(&name)));
                name
            }
            None => name.into(),
        };
        let Place {
            key,
            at,
            cookie,
            fresh,
            asks_proof,
        } = place;
        let registration = Registration {
            key,
            at,
            cookie,
            fresh,
            asks_proof,
            expires: now + lifetime,
            sequence,
            connect_sequence,
        };
        self.ends.insert((registration.expires, Arc::clone(&name)));
        self.names.insert(name, registration);
        Ok(())
    }

    /// The highest SEQUENCE of a name's owner, in a Register or a Connect.
    pub(crate) fn last_sequence(&self, name: &str) -> Option<u64> {
        let held = self.names.get(name)?;
        Some(held.sequence.max(held.connect_sequence))
    }

    /// Whether a Connect with this sequence number is newer than all before it;
    /// if so, the number is kept.
    pub(crate) fn advance(&mut self, name: &str, sequence: u64) -> bool {
        let Some(held) = self.names.get_mut(name) else {
            return false;
        };
        let newer = sequence > held.connect_sequence;
        held.connect_sequence = held.connect_sequence.max(sequence);
        newer
    }

    /// The registration of a name, if it lives.
    pub(crate) fn find(&self, now: Instant, name: &str) -> Option<&Registration> {
        self.names.get(name).filter(|held| now < held.expires)
    }

    /// The number of registrations that live.
    pub(crate) fn alive(&self, now: Instant) -> usize {
        self.names
            .values()
            .filter(|held| now < held.expires)
            .count()
    }

    /// When the table is full, the name whose registration ended first is
    /// forgotten, whether it is still bound to its key or not. A registration
    /// that lives is never forgotten.
    fn make_room(&mut self, now: Instant) -> Result<(), Refusal> {
        while self.names.len() >= self.most {
            #[cfg(test)]
            {
                self.examined += 1;
            }
            let ended = self.ends.first().filter(|(expires, _)| *expires <= now);
            let (_, name) = ended.cloned().ok_or(Refusal::Full)?;
            self.ends.pop_first();
            self.names.remove(&name);
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use session::name::LIFETIME;

    use super::*;

    fn place(key: u8) -> Place {
        Place {
            key: [key; 32],
            at: FiveTuple {
                socket: 0,
                client: "203.0.113.17:40000".parse().unwrap(),
            },
            cookie: [0; cookie::LENGTH],
            fresh: [0; 8],
            asks_proof: false,
        }
    }

    #[test]
    fn a_name_stays_bound_to_its_key_until_the_hold_is_over() {
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
    fn a_registration_that_has_expired_is_not_found() {
        let mut registry = Registry::new(10);
        let start = Instant::now();
        registry
            .register(start, "bob", 1, LIFETIME, place(1))
            .unwrap();
        assert!(registry.find(start, "bob").is_some());
        assert!(registry.find(start + LIFETIME, "bob").is_none());
    }

    #[test]
    fn a_full_table_forgets_a_name_that_has_ended_and_none_that_lives() {
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
    fn the_name_that_ended_first_is_forgotten_and_no_other() {
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
    fn making_room_does_not_search_the_table() {
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
        // Nor when one name after the other ends.
        for n in 0..MOST as u32 {
            let (at, name) = (start + LIFETIME + step * n, format!("new-{n}"));
            assert_eq!(registry.register(at, &name, 1, LIFETIME, place(2)), Ok(()));
        }
        assert!(registry.examined <= 3 * MOST, "{}", registry.examined);
        assert_eq!((registry.names.len(), registry.ends.len()), (MOST, MOST));
    }
}

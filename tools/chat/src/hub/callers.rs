//! Callers that are not known and wait for the user: few at a time, so that the screen
//! is the user's however many call.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sansio::Prefix;
use session::identity::PublicKey;

/// Callers that wait at once.
const MOST: usize = 4;

/// Of these, callers of one /24 or /48.
const MOST_OF_PREFIX: usize = 2;

/// Of these, those that members of a room tell of: one place is left for who calls.
const MOST_TOLD: usize = MOST - 1;

/// A caller that has not called for this long has gone.
const GONE: Duration = Duration::from_secs(60);

/// How often the user is told that there are more.
const MORE_EVERY: Duration = Duration::from_secs(60);

/// Further callers that are told apart.
const MOST_COUNTED: usize = 1000;

#[derive(Debug)]
struct Caller {
    name: String,
    key: PublicKey,
    /// Of its address; `None` if it has not called, and a member of a room has told us of it.
    prefix: Option<Prefix>,
    heard: Instant,
}

/// Callers that wait for the user.
#[derive(Debug, Default)]
pub struct Callers {
    waiting: Vec<Caller>,
    /// Those that have no room, by their keys.
    more: BTreeSet<PublicKey>,
    more_told: Option<Instant>,
}

/// What a call means to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing new.
    Nothing,
    /// A caller waits from now on.
    Caller,
    /// So many others have no room.
    More(usize),
}

impl Callers {
    /// A stranger calls, from that address if it has called us itself.
    pub fn call(
        &mut self,
        now: Instant,
        name: &str,
        key: PublicKey,
        from: Option<SocketAddr>,
    ) -> Told {
        let prefix = from.map(|from| Prefix::of(from.ip()));
        // One name is one question: the key that the user has seen stays.
        if let Some(caller) = self.waiting.iter_mut().find(|c| c.name == name) {
            if caller.key == key {
                caller.heard = now;
                caller.prefix = prefix.or(caller.prefix);
            }
            return Told::Nothing;
        }
        let same = |c: &&Caller| c.prefix == prefix;
        let most = match prefix {
            Some(_) => MOST_OF_PREFIX,
            None => MOST_TOLD,
        };
        let of_prefix = self.waiting.iter().filter(same);
        if self.waiting.len() < MOST && of_prefix.count() < most {
            self.more.remove(&key);
            self.waiting.push(Caller {
                name: name.to_owned(),
                key,
                prefix,
                heard: now,
            });
            return Told::Caller;
        }
        if self.more.len() < MOST_COUNTED {
            self.more.insert(key);
        }
        if self.more_told.is_some_and(|at| now < at + MORE_EVERY) {
            return Told::Nothing;
        }
        self.more_told = Some(now);
        Told::More(self.more.len())
    }

    /// Forgets those that no longer call; returns their names.
    pub fn forget_gone(&mut self, now: Instant) -> Vec<String> {
        let gone = |caller: &Caller| now >= caller.heard + GONE;
        let names = self.waiting.iter().filter(|c| gone(c));
        let names = names.map(|caller| caller.name.clone()).collect();
        self.waiting.retain(|caller| !gone(caller));
        names
    }

    /// The user decides about this one: its key, and whether it has called itself.
    pub fn take(&mut self, name: &str) -> Option<(PublicKey, bool)> {
        let at = self.waiting.iter().position(|c| c.name == name)?;
        let Caller { key, prefix, .. } = self.waiting.remove(at);
        Some((key, prefix.is_some()))
    }

    /// Whether a caller of this name waits.
    pub fn contains(&self, name: &str) -> bool {
        self.names().any(|waiting| waiting == name)
    }

    /// The names of those that wait.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.waiting.iter().map(|caller| &caller.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(prefix: u8) -> Option<SocketAddr> {
        Some(([198, 51, prefix, 7], 8900).into())
    }

    #[test]
    fn each_caller_is_told_once_and_the_screen_is_not_flooded() {
        let now = Instant::now();
        let mut callers = Callers::default();
        assert_eq!(callers.call(now, "carol", [1; 32], from(1)), Told::Caller);
        for second in 0..30 {
            let now = now + Duration::from_secs(second);
            let again = callers.call(now, "carol", [1; 32], from(1));
            assert_eq!(again, Told::Nothing);
        }
        let mut told = Vec::new();
        for n in 0..200u8 {
            let call = callers.call(now, &format!("x{n}"), [n; 32], from(n));
            told.extend((call != Told::Nothing).then_some(call));
        }
        let expected = [Told::Caller, Told::Caller, Told::Caller, Told::More(1)];
        assert_eq!(told, expected);
        let later = now + MORE_EVERY;
        assert_eq!(
            callers.call(later, "y", [250; 32], from(9)),
            Told::More(198)
        );
    }

    #[test]
    fn one_network_has_half_of_the_room() {
        let now = Instant::now();
        let mut callers = Callers::default();
        for n in 0..4u8 {
            callers.call(now, &format!("x{n}"), [n; 32], from(1));
        }
        assert_eq!(Vec::from_iter(callers.names()), ["x0", "x1"]);
        assert_eq!(callers.call(now, "carol", [9; 32], from(2)), Told::Caller);
    }

    #[test]
    fn those_that_members_of_a_room_tell_of_are_of_no_network() {
        let now = Instant::now();
        let mut callers = Callers::default();
        let told = (0..5u8).map(|n| callers.call(now, &format!("x{n}"), [n; 32], None));
        let told = Vec::from_iter(told);
        assert_eq!(told[..3], [Told::Caller; 3]);
        assert_eq!(told[3], Told::More(1));
        // However many they tell of, somebody who calls is shown.
        assert_eq!(callers.call(now, "eve", [9; 32], from(9)), Told::Caller);
        assert_eq!(callers.take("x0"), Some(([0; 32], false)));
        // One that calls as well is a caller.
        callers.call(now, "x1", [1; 32], from(1));
        callers.call(now, "x1", [1; 32], None);
        assert_eq!(callers.take("x1"), Some(([1; 32], true)));
    }

    #[test]
    fn the_key_that_the_user_has_seen_is_the_one_that_is_accepted() {
        let now = Instant::now();
        let mut callers = Callers::default();
        callers.call(now, "carol", [1; 32], from(1));
        assert_eq!(callers.call(now, "carol", [2; 32], from(2)), Told::Nothing);
        assert!(callers.contains("carol"));
        assert_eq!(callers.take("carol"), Some(([1; 32], true)));
        assert_eq!(callers.take("carol"), None);
    }

    #[test]
    fn a_caller_that_no_longer_calls_makes_room() {
        let now = Instant::now();
        let mut callers = Callers::default();
        callers.call(now, "carol", [1; 32], from(1));
        callers.call(now + GONE / 2, "dave", [2; 32], from(2));
        assert_eq!(callers.forget_gone(now + GONE), ["carol"]);
        assert_eq!(Vec::from_iter(callers.names()), ["dave"]);
    }
}

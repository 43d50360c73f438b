//! How many places of a bounded table each owner has, and whose element makes room
//! when the table is full.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The elements of a table by their owner: most often a source
/// [`Prefix`](crate::Prefix). Elements are ordered by age, the oldest first: a
/// pair of time and key, for example.
///
/// Where the table is full, the owner of most elements makes room for a newcomer, with
/// its oldest element. An owner of few loses nothing to an owner of many.
///
/// ```
/// use sansio::Shares;
///
/// let mut shares = Shares::new();
/// for element in 1..=3 {
///     shares.insert("big", element);
/// }
/// shares.insert("small", 0);
/// assert_eq!(shares.pays("new"), Some(("big", 1)));
/// assert_eq!(shares.pays("big"), None);
/// ```
#[derive(Clone, Debug)]
pub struct Shares<O, E> {
    of: BTreeMap<O, BTreeSet<E>>,
    /// The owners by their number of elements. Among equals, the one with the oldest
    /// element comes last.
    by_size: BTreeSet<(usize, Reverse<E>, O)>,
    len: usize,
}

impl<O, E> Default for Shares<O, E> {
    fn default() -> Self {
        Shares {
            of: BTreeMap::new(),
            by_size: BTreeSet::new(),
            len: 0,
        }
    }
}

impl<O: Ord + Copy, E: Ord + Copy> Shares<O, E> {
    /// No element.
    pub fn new() -> Self {
        Shares::default()
    }

    /// All elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements of one owner.
    pub fn of(&self, owner: O) -> usize {
        self.of.get(&owner).map_or(0, BTreeSet::len)
    }

    /// The elements of one owner, the oldest first.
    pub fn elements_of(&self, owner: O) -> impl Iterator<Item = E> {
        self.of.get(&owner).into_iter().flatten().copied()
    }

    /// The oldest element of one owner.
    pub fn oldest(&self, owner: O) -> Option<E> {
        self.of.get(&owner)?.first().copied()
    }

    /// All elements, owner by owner.
    pub fn iter(&self) -> impl Iterator<Item = (O, E)> {
        let owners = self.of.iter();
        owners.flat_map(|(&owner, elements)| elements.iter().map(move |&element| (owner, element)))
    }

    /// The owner of most elements, with their number and the oldest of them. Of several owners
    /// with as many, the one with the oldest element.
    pub fn biggest(&self) -> Option<(O, usize, E)> {
        let &(size, Reverse(oldest), owner) = self.by_size.last()?;
        Some((owner, size, oldest))
    }

    /// The element that makes room for one more of `newcomer`: the oldest of the
    /// biggest owner. `None` if no other owner has more than `newcomer`.
    pub fn pays(&self, newcomer: O) -> Option<(O, E)> {
        let (owner, size, oldest) = self.biggest()?;
        (size > self.of(newcomer)).then_some((owner, oldest))
    }

    /// Adds an element. Nothing happens if it is there already.
    pub fn insert(&mut self, owner: O, element: E) {
        self.change(owner, |elements| elements.insert(element));
    }

    /// Removes an element; whether it was there.
    pub fn remove(&mut self, owner: O, element: E) -> bool {
        self.change(owner, |elements| elements.remove(&element))
    }

    fn change(&mut self, owner: O, change: impl FnOnce(&mut BTreeSet<E>) -> bool) -> bool {
        let elements = self.of.entry(owner).or_default();
        let place = |elements: &BTreeSet<E>| {
            let oldest = elements.first().copied();
            oldest.map(|oldest| (elements.len(), Reverse(oldest), owner))
        };
        let (before, count) = (place(elements), elements.len());
        let changed = change(elements);
        let after = place(elements);
        self.len = self.len - count + elements.len();
        if elements.is_empty() {
            self.of.remove(&owner);
        }
        if before != after {
            if let Some(before) = before {
                self.by_size.remove(&before);
            }
            self.by_size.extend(after);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_biggest_owner_pays_with_its_oldest_element_and_a_bigger_newcomer_gets_nothing() {
        let mut shares = Shares::new();
        assert_eq!(shares.pays('a'), None);
        for (owner, element) in [('a', 5), ('a', 3), ('a', 9), ('b', 1), ('b', 2)] {
            shares.insert(owner, element);
        }
        assert_eq!(shares.biggest(), Some(('a', 3, 3)));
        assert_eq!(shares.pays('b'), Some(('a', 3)));
        assert_eq!(shares.pays('c'), Some(('a', 3)));
        assert_eq!(shares.pays('a'), None, "it is the biggest");
        assert!(shares.remove('a', 3));
        assert!(!shares.remove('a', 3), "it has gone");
        assert_eq!(shares.biggest(), Some(('b', 2, 1)), "the oldest of equals");
        assert_eq!(shares.pays('a'), None, "as big as the biggest");
        assert_eq!(shares.oldest('a'), Some(5));
        assert_eq!(shares.len(), 4);
    }

    #[test]
    fn nothing_is_left_of_an_owner_without_elements() {
        let mut shares = Shares::new();
        for element in 0..100 {
            shares.insert(element % 7, element);
            shares.insert(element % 7, element);
        }
        assert_eq!(shares.len(), 100);
        for element in 0..100 {
            assert!(shares.remove(element % 7, element));
        }
        assert!(shares.is_empty() && shares.of.is_empty() && shares.by_size.is_empty());
    }
}

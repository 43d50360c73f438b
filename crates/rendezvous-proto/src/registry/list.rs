//! Lists that run through the entries of a slab: each operation takes the same
//! time, however long a list is, and an entry costs eight bytes in each list.

use slab::Slab;

/// The number of an entry.
pub(super) type Id = u32;

const NONE: Id = Id::MAX;

/// An entry's neighbours in one list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    before: Id,
    after: Id,
}

impl Links {
    pub(super) const NONE: Links = Links {
        before: NONE,
        after: NONE,
    };
}

/// What is linked. An entry is in at most one list of each kind at once.
pub(super) trait Linked<Kind: Copy> {
    fn links(&mut self, kind: Kind) -> &mut Links;
}

/// A list, by its two ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    first: Id,
    last: Id,
}

impl Default for List {
    fn default() -> Self {
        List {
            first: NONE,
            last: NONE,
        }
    }
}

impl List {
    pub(super) fn first(&self) -> Option<Id> {
        (self.first != NONE).then_some(self.first)
    }

    pub(super) fn last(&self) -> Option<Id> {
        (self.last != NONE).then_some(self.last)
    }

    pub(super) fn append<K: Copy, E: Linked<K>>(&mut self, all: &mut Slab<E>, kind: K, id: Id) {
        *all[id as usize].links(kind) = Links {
            before: self.last,
            after: NONE,
        };
        match self.last {
            NONE => self.first = id,
            last => all[last as usize].links(kind).after = id,
        }
        self.last = id;
    }

    pub(super) fn remove<K: Copy, E: Linked<K>>(&mut self, all: &mut Slab<E>, kind: K, id: Id) {
        let Links { before, after } = std::mem::replace(all[id as usize].links(kind), Links::NONE);
        match before {
            NONE => self.first = after,
            before => all[before as usize].links(kind).after = after,
        }
        match after {
            NONE => self.last = before,
            after => all[after as usize].links(kind).before = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Linked<()> for Links {
        fn links(&mut self, (): ()) -> &mut Links {
            self
        }
    }

    #[test]
    fn entries_come_out_in_the_order_in_which_they_were_appended_whatever_is_removed() {
        for removed in 0..3 {
            let (mut all, mut list) = (Slab::new(), List::default());
            for n in 0..3 {
                assert_eq!(all.insert(Links::NONE), n as usize);
                list.append(&mut all, (), n);
            }
            list.remove(&mut all, (), removed);
            list.append(&mut all, (), removed);
            let mut order = Vec::new();
            while let Some(first) = list.first() {
                order.push(first);
                list.remove(&mut all, (), first);
            }
            let mut expected: Vec<Id> = (0..3).filter(|n| *n != removed).collect();
            expected.push(removed);
            assert_eq!((order, list.last()), (expected, None));
        }
    }
}

//! The datagrams of one socket that wait to be handled. The kernel keeps them in one queue, which a
//! flood fills for all. So they are taken out at once, and handled in turns: known clients, newcomers
//! and others take turns, and within each of these the prefixes do.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rendezvous_proto::server::Standing;
use sansio::{Prefix, Shares};

/// Datagrams that may wait. When there are as many, the owner of most of them loses its oldest.
const MOST: usize = 4096;

/// Of these, of one owner. Further ones are dropped.
const MOST_OF_OWNER: usize = 256;

/// The clients of a prefix that the server knows, its newcomers, or the others.
pub type Owner = (Standing, Prefix);

#[derive(Debug, PartialEq, Eq)]
pub struct Datagram {
    pub from: SocketAddr,
    /// The address of ours that it came to, if that is known.
    pub at: Option<IpAddr>,
    pub payload: Vec<u8>,
    /// When it was received.
    pub arrived: Instant,
}

#[derive(Debug, Default)]
pub struct Inbox {
    waiting: BTreeMap<u64, Datagram>,
    shares: Shares<Owner, u64>,
    /// The owners of each standing in the order of their turns, and the turn of each.
    turns: [BTreeMap<u64, Owner>; STANDINGS],
    turn_of: BTreeMap<Owner, u64>,
    next: u64,
    /// Whose turn it is.
    standing: usize,
}

const STANDINGS: usize = 3;

impl Inbox {
    pub fn push(&mut self, owner: Owner, datagram: Datagram) {
        if self.shares.of(owner) >= MOST_OF_OWNER {
            return;
        }
        if self.waiting.len() >= MOST {
            let Some((bigger, oldest)) = self.shares.pays(owner) else {
                return;
            };
            self.take(bigger, oldest);
        }
        let number = self.number();
        self.waiting.insert(number, datagram);
        self.shares.insert(owner, number);
        if self.shares.of(owner) == 1 {
            self.line_up(owner, number);
        }
    }

    /// The oldest datagram of the owner whose turn it is.
    pub fn pop(&mut self) -> Option<Datagram> {
        let after = |n| (self.standing + n) % STANDINGS;
        let mut standings = (1..=STANDINGS).map(after);
        self.standing = standings.find(|n| !self.turns[*n].is_empty())?;
        let (turn, owner) = self.turns[self.standing].pop_first()?;
        let oldest = self.shares.oldest(owner)?;
        let datagram = self.take(owner, oldest);
        if self.turn_of.get(&owner) == Some(&turn) {
            // It has more.
            let turn = self.number();
            self.line_up(owner, turn);
        }
        datagram
    }

    fn line_up(&mut self, owner: Owner, turn: u64) {
        self.turns[owner.0 as usize].insert(turn, owner);
        self.turn_of.insert(owner, turn);
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take(&mut self, owner: Owner, number: u64) -> Option<Datagram> {
        self.shares.remove(owner, number);
        if self.shares.of(owner) == 0
            && let Some(turn) = self.turn_of.remove(&owner)
        {
            self.turns[owner.0 as usize].remove(&turn);
        }
        self.waiting.remove(&number)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(net: u32, n: u16) -> (Owner, Datagram) {
        let address = IpAddr::from((net << 8).to_be_bytes());
        let datagram = Datagram {
            from: SocketAddr::new(address, n),
            at: None,
            payload: Vec::new(),
            arrived: Instant::now(),
        };
        ((Standing::Other, Prefix::of(address)), datagram)
    }

    fn push(inbox: &mut Inbox, net: u32, n: u16) {
        let (owner, datagram) = from(net, n);
        inbox.push(owner, datagram);
    }

    fn ports(inbox: &mut Inbox, count: usize) -> Vec<u16> {
        let popped = std::iter::from_fn(|| inbox.pop());
        popped
            .take(count)
            .map(|datagram| datagram.from.port())
            .collect()
    }

    #[test]
    fn owners_take_turns_and_each_has_its_datagrams_in_order() {
        let mut inbox = Inbox::default();
        for n in 100..110 {
            push(&mut inbox, 1, n);
        }
        push(&mut inbox, 2, 200);
        push(&mut inbox, 2, 201);
        assert_eq!(ports(&mut inbox, 5), [100, 200, 101, 201, 102]);
        push(&mut inbox, 2, 202);
        assert_eq!(ports(&mut inbox, 4), [103, 202, 104, 105]);
        assert_eq!(ports(&mut inbox, 9), [106, 107, 108, 109]);
        assert!(inbox.is_empty() && inbox.shares.is_empty());
        assert!(inbox.turns.iter().all(BTreeMap::is_empty) && inbox.turn_of.is_empty());
    }

    #[test]
    fn known_clients_newcomers_and_others_take_turns_however_many_prefixes_there_are() {
        let mut inbox = Inbox::default();
        for net in 0..1000 {
            push(&mut inbox, net, 9);
        }
        for (standing, n) in [
            (Standing::Known, 1),
            (Standing::Known, 2),
            (Standing::Newcomer, 5),
        ] {
            let ((_, prefix), datagram) = from(1, n);
            inbox.push((standing, prefix), datagram);
        }
        assert_eq!(ports(&mut inbox, 6), [5, 9, 1, 9, 2, 9]);
    }

    #[test]
    fn a_flood_fills_the_place_of_its_own_prefix() {
        let mut inbox = Inbox::default();
        for n in 0..10_000 {
            push(&mut inbox, 1, n);
        }
        assert_eq!(inbox.waiting.len(), MOST_OF_OWNER);
        push(&mut inbox, 2, 7);
        assert_eq!(ports(&mut inbox, 2), [0, 7]);
    }

    #[test]
    fn where_all_places_are_taken_the_biggest_makes_room() {
        let mut inbox = Inbox::default();
        for net in 0..=(MOST / MOST_OF_OWNER) as u32 {
            for n in 0..MOST_OF_OWNER as u16 {
                push(&mut inbox, net, n);
            }
        }
        assert_eq!(inbox.waiting.len(), MOST);
        push(&mut inbox, 99, 9999);
        assert_eq!(inbox.waiting.len(), MOST);
        assert!(ports(&mut inbox, 20).contains(&9999));
        // Forged sources of more prefixes than there are places.
        for net in 1000..20_000 {
            push(&mut inbox, net, 1);
        }
        assert_eq!(inbox.waiting.len(), MOST);
        let turns: usize = inbox.turns.iter().map(BTreeMap::len).sum();
        assert!(turns <= MOST && inbox.turn_of.len() == turns);
    }
}

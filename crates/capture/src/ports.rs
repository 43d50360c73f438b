//! The local ports to watch, which may change while a capture runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Direction, Packet, What};

const WORDS: usize = (u16::MAX as usize + 1) / 64;

/// A shared set of local UDP ports. Clones are the same set; a change applies from the next packet on,
/// in every capture that uses it.
#[derive(Clone, Debug)]
pub struct Ports(Arc<[AtomicU64]>);

impl Ports {
    /// A set of these ports.
    pub fn of(ports: impl IntoIterator<Item = u16>) -> Self {
        let set = Ports::filled_with(0);
        ports.into_iter().for_each(|port| set.watch(port));
        set
    }

    /// Every port.
    pub fn all() -> Self {
        Ports::filled_with(u64::MAX)
    }

    /// Adds a port.
    pub fn watch(&self, port: u16) {
        let (word, bit) = self.place(port);
        word.fetch_or(bit, Relaxed);
    }

    /// Removes a port.
    pub fn forget(&self, port: u16) {
        let (word, bit) = self.place(port);
        word.fetch_and(!bit, Relaxed);
    }

    /// Whether the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let (word, bit) = self.place(port);
        word.load(Relaxed) & bit != 0
    }

    /// Whether the packet, which went in this direction, left from or arrived at one of the ports, or is
    /// an ICMP error about a packet that did.
    pub fn concern(&self, direction: Direction, packet: &Packet) -> bool {
        let local = match (&packet.what, direction) {
            (What::IcmpError(error), Direction::In) => error.quoted_src,
            (What::IcmpError(error), Direction::Out) => error.quoted_dst,
            (_, Direction::In) => packet.dst,
            (_, Direction::Out) => packet.src,
        };
        self.contains(local.port())
    }

    fn filled_with(word: u64) -> Self {
        Ports((0..WORDS).map(|_| AtomicU64::new(word)).collect())
    }

    fn place(&self, port: u16) -> (&AtomicU64, u64) {
        (&self.0[usize::from(port) / 64], 1 << (port % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_clone_changes_the_set() {
        let ports = Ports::of([0, 41000, u16::MAX]);
        let same = ports.clone();
        same.watch(41001);
        same.forget(0);
        assert_eq!(
            [0, 40999, 41000, 41001, u16::MAX].map(|port| ports.contains(port)),
            [false, false, true, true, true]
        );
        assert!((0..=u16::MAX).all(|port| Ports::all().contains(port)));
    }
}

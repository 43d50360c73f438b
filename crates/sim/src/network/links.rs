//! The links between routers and their parent segments.

use std::time::Instant;

use link::{Direction, Fate, Link};
use rand_chacha::rand_core::RngCore;

use super::flight::{Packet, Stop};
use super::{Network, Place};
use crate::Dropped;

/// What a payload has before it on a link, in bytes: Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 14 + 20 + 8;
/// The directions of a link, as indices.
pub(super) const UP: usize = 0;
const DOWN: usize = 1;

impl Network {
    /// Sets what the link between the router of this segment and its parent does, beside the time
    /// of the hop.
    ///
    /// # Panics
    ///
    /// When this is the core, which has no parent.
    pub fn set_link(&mut self, place: Place, link: &Link) {
        assert_ne!(place, Self::CORE, "the core has no link to a parent");
        let directions = [link.up, link.down];
        let link = directions.map(|settings| Direction::new(settings, self.rng.next_u64()));
        self.segments[place.0].link = Some(link);
    }

    /// Whether the way to this router from its parent is a link of [`Network::set_link`].
    pub(super) fn has_link(&self, place: Place) -> bool {
        self.segments[place.0].link.is_some()
    }

    /// Crosses the link to a router.
    pub(super) fn cross_down(
        &mut self,
        place: Place,
        packet: Packet,
    ) -> Result<(), (Packet, Dropped)> {
        if !self.has_link(place) {
            return self.come_in(place, packet);
        }
        for (at, packet) in self.crossed(place, DOWN, Stop::Down(place), packet)? {
            self.schedule_at(at, Stop::Arrived(place), packet);
        }
        Ok(())
    }

    /// When the packet, and its copy if there is one, has crossed the link of a router.
    pub(super) fn crossed(
        &mut self,
        place: Place,
        way: usize,
        next: Stop,
        packet: Packet,
    ) -> Result<Vec<(Instant, Packet)>, (Packet, Dropped)> {
        let Some(link) = &mut self.segments[place.0].link else {
            return Ok(vec![(self.now, packet)]);
        };
        match link[way].offer(self.now, packet.payload.len() + HEADERS) {
            Fate::Dropped(why) => {
                self.loses(place, next, why.word(), &packet);
                Err((packet, Dropped::Loss))
            }
            Fate::Arrives { at, twice: false } => Ok(vec![(at, packet)]),
            Fate::Arrives { at, twice: true } => Ok(vec![(at, packet.clone()), (at, packet)]),
        }
    }
}

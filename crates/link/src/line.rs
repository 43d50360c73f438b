//! A direction of a link that holds the frames until they arrive.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Instant;

use super::{Direction, Fate, Settings, Why};

/// The most frames that a direction holds.
pub const MOST_FRAMES: usize = 100_000;
/// The most bytes of frames that a direction holds.
pub const MOST_BYTES: usize = 64 << 20;

/// How many frames met which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that were given to the direction.
    pub frames: u64,
    /// The bytes of them.
    pub bytes: u64,
    /// Frames that have arrived, copies included.
    pub arrived: u64,
    /// Frames that were lost on the way.
    pub loss: u64,
    /// Frames that the queue had no room for.
    pub queue: u64,
    /// Frames that were larger than the MTU.
    pub mtu: u64,
}

/// A [`Direction`] with the frames that are under way.
#[derive(Debug)]
pub struct Line<F> {
    direction: Direction,
    waiting: BinaryHeap<Reverse<Waiting<F>>>,
    held: usize,
    accepted: u64,
    counters: Counters,
}

#[derive(Debug)]
struct Waiting<F> {
    at: Instant,
    /// Frames that arrive at one moment arrive in the order in which they came.
    order: u64,
    bytes: usize,
    frame: F,
}

impl<F> Waiting<F> {
    fn key(&self) -> (Instant, u64) {
        (self.at, self.order)
    }
}

impl<F> PartialEq for Waiting<F> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<F> Eq for Waiting<F> {}

impl<F> PartialOrd for Waiting<F> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<F> Ord for Waiting<F> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl<F: Clone> Line<F> {
    /// A direction with no frames under way.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Line {
            direction: Direction::new(settings, seed),
            waiting: BinaryHeap::new(),
            held: 0,
            accepted: 0,
            counters: Counters::default(),
        }
    }

    /// Takes a frame of this many bytes, Ethernet header included.
    ///
    /// # Errors
    /// The frame, and why it does not arrive.
    pub fn accept(&mut self, now: Instant, frame: F, bytes: usize) -> Result<(), (Why, F)> {
        self.counters.frames += 1;
        self.counters.bytes += bytes as u64;
        let full = self.waiting.len() >= MOST_FRAMES || self.held + bytes > MOST_BYTES;
        match self.direction.offer(now, bytes) {
            Fate::Arrives { at, twice } if !full => {
                if twice && self.waiting.len() + 1 < MOST_FRAMES {
                    self.hold(at, frame.clone(), bytes);
                }
                self.hold(at, frame, bytes);
                Ok(())
            }
            fate => {
                let why = match fate {
                    Fate::Dropped(why) => why,
                    Fate::Arrives { .. } => Why::Queue,
                };
                *match why {
                    Why::Loss => &mut self.counters.loss,
                    Why::Queue => &mut self.counters.queue,
                    Why::Mtu => &mut self.counters.mtu,
                } += 1;
                Err((why, frame))
            }
        }
    }

    fn hold(&mut self, at: Instant, frame: F, bytes: usize) {
        self.accepted += 1;
        self.held += bytes;
        self.waiting.push(Reverse(Waiting {
            at,
            order: self.accepted,
            bytes,
            frame,
        }));
    }

    /// The next frame that has arrived by `now`.
    pub fn pop(&mut self, now: Instant) -> Option<F> {
        self.poll_timeout().filter(|&at| at <= now)?;
        let Reverse(waiting) = self.waiting.pop()?;
        self.held -= waiting.bytes;
        self.counters.arrived += 1;
        Some(waiting.frame)
    }

    /// When the next frame arrives.
    pub fn poll_timeout(&self) -> Option<Instant> {
        Some(self.waiting.peek()?.0.at)
    }

    /// Other settings from now on: see [`Direction::set`].
    pub fn set(&mut self, settings: Settings) {
        self.direction.set(settings);
    }

    /// What it does now.
    pub fn settings(&self) -> &Settings {
        self.direction.settings()
    }

    /// What became of the frames so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many frames are under way.
    pub fn under_way(&self) -> usize {
        self.waiting.len()
    }
}

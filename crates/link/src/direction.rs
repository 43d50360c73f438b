//! What becomes of each frame in one direction of a link.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::Settings;

/// What an Ethernet frame has around its IP packet, in bytes, as a TAP device gives it.
const HEADER: usize = 14;

/// Why a frame does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// Lost on the way.
    Loss,
    /// The queue was full, or the link already held as many frames as it can.
    Queue,
    /// The packet was larger than the MTU.
    Mtu,
}

impl Why {
    /// The word for it in records.
    pub fn word(self) -> &'static str {
        match self {
            Why::Loss => "loss",
            Why::Queue => "queue",
            Why::Mtu => "mtu",
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then.
    Arrives {
        /// When.
        at: Instant,
        /// Whether it arrives a second time, right after.
        twice: bool,
    },
    /// It does not arrive.
    Dropped(Why),
}

/// One direction of a link. It holds no frames: it says when each one arrives.
#[derive(Clone, Debug)]
pub struct Direction {
    settings: Settings,
    rng: ChaCha8Rng,
    /// The state of the Gilbert–Elliott model.
    bad: bool,
    /// When the last frame will have been sent, where there is a rate.
    sent: Option<Instant>,
    /// When the latest frame arrives that others must not pass.
    latest: Option<Instant>,
}

impl Direction {
    /// A direction with these settings. The n-th frame meets the same fate with the same seed,
    /// whatever becomes of those before it, but for what the queue drops.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Direction {
            settings,
            rng: ChaCha8Rng::seed_from_u64(seed),
            bad: false,
            sent: None,
            latest: None,
        }
    }

    /// What it does now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Other settings for the frames from now on. Those under way keep their times, and order is
    /// kept across the change.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
        self.bad = false;
        self.sent = None;
    }

    /// What becomes of a frame of this many bytes, Ethernet header included, that is given to the
    /// link at `now`.
    pub fn offer(&mut self, now: Instant, bytes: usize) -> Fate {
        // Five draws a frame, needed or not, so that no frame's fate depends on another's.
        let [turn, lose, spread, hold, copy] = std::array::from_fn(|_| self.draw());
        let settings = self.settings;
        let [to_bad, to_good, in_bad, in_good] = settings.loss.odds();
        self.bad = match self.bad {
            true => turn >= to_good,
            false => turn < to_bad,
        };
        if settings
            .mtu
            .is_some_and(|mtu| bytes > usize::from(mtu) + HEADER)
        {
            return Fate::Dropped(Why::Mtu);
        }
        let Some(sent) = self.send(now, bytes) else {
            return Fate::Dropped(Why::Queue);
        };
        if lose < if self.bad { in_bad } else { in_good } {
            return Fate::Dropped(Why::Loss);
        }
        let earliest = settings.delay.saturating_sub(settings.jitter);
        let width = settings.delay + settings.jitter - earliest;
        let mut at = sent + earliest + width.mul_f64(spread);
        if settings.order_kept {
            at = at.max(self.latest.unwrap_or(at));
        }
        match settings.reorder {
            Some(reorder) if hold * 100.0 < reorder.percent => at += reorder.by,
            _ => self.latest = self.latest.max(Some(at)),
        }
        Fate::Arrives {
            at,
            twice: copy * 100.0 < settings.duplicate,
        }
    }

    /// When the frame has been sent; `None`: it would wait too long.
    fn send(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(rate) = self.settings.rate else {
            return Some(now);
        };
        let start = self.sent.map_or(now, |sent| sent.max(now));
        if start - now > self.settings.queue {
            return None;
        }
        let nanoseconds = bytes as u128 * 8 * 1_000_000_000 / u128::from(rate);
        let sent = start + Duration::from_nanos(nanoseconds as u64);
        self.sent = Some(sent);
        self.sent
    }

    /// From 0 to 1, without 1.
    fn draw(&mut self) -> f64 {
        (self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

//! How far the clocks of two hosts are apart, from packets that went between them.
//!
//! A packet takes some time, never less than none. So each one that went from us to the peer bounds the
//! difference of the clocks from above, and each one that came from below. The middle of the closest two
//! bounds is NTP's estimate from the exchanges with the least delay (RFC 5905 §8), and the error is at
//! most half of their distance.

/// The bounds so far. Times are microseconds, each of its host's own clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    least: Option<i64>,
    most: Option<i64>,
}

/// The peer's clock minus ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// In microseconds.
    pub us: i64,
    /// At most this many microseconds more or less, as long as both clocks go equally fast.
    pub error_us: u64,
}

impl Clock {
    /// A packet left us at `sent` and came to the peer at `received`.
    pub fn went(&mut self, sent: u64, received: u64) {
        let bound = difference(received, sent);
        self.most = Some(self.most.map_or(bound, |most| most.min(bound)));
    }

    /// A packet left the peer at `sent` and came to us at `received`.
    pub fn came(&mut self, sent: u64, received: u64) {
        let bound = difference(sent, received);
        self.least = Some(self.least.map_or(bound, |least| least.max(bound)));
    }

    /// The estimate; `None` before a packet has gone each way.
    pub fn offset(&self) -> Option<Offset> {
        let (least, most) = (self.least?, self.most?);
        let us = least.midpoint(most);
        // Clocks that go differently fast may have crossed the bounds.
        let error_us = us.abs_diff(least).max(us.abs_diff(most));
        Some(Offset { us, error_us })
    }
}

impl Offset {
    /// A time of the peer's clock, in our clock.
    pub fn to_ours(&self, theirs: u64) -> i64 {
        clamped(theirs).saturating_sub(self.us)
    }
}

fn difference(a: u64, b: u64) -> i64 {
    clamped(a).saturating_sub(clamped(b))
}

/// A peer may claim any time: 100,000 years are enough.
fn clamped(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX).min(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packets_with_the_least_delay_decide() {
        let mut clock = Clock::default();
        assert_eq!(clock.offset(), None);
        // The peer's clock is 7,000 ahead; delays of 1,000 and 40,000 there, 3,000 and 90,000 back.
        clock.went(100, 48_000 - 900);
        clock.went(200_000, 208_000);
        assert_eq!(clock.offset(), None, "no packet has come back");
        clock.came(300_000, 383_000);
        clock.came(400_000, 396_000);
        let offset = clock.offset().unwrap();
        assert_eq!(offset.us, 6_000);
        assert_eq!(
            offset.error_us, 2_000,
            "half of what the delays differ and more"
        );
        assert_eq!(offset.to_ours(207_000), 201_000);
    }

    #[test]
    fn absurd_times_do_no_harm() {
        let mut clock = Clock::default();
        clock.went(0, u64::MAX);
        clock.came(0, u64::MAX);
        clock.went(u64::MAX, 0);
        let offset = clock.offset().unwrap();
        let _ = (offset.to_ours(u64::MAX), offset.to_ours(0));
    }
}

//! How far a file has come, in one row.

use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use super::Notice;
use super::text::way;
use crate::text::{clean, clip, size};

impl Notice {
    /// For people: how far a file has come, in as many columns at most. Where there are
    /// few, less is told. A relay is named, since it limits the rate; where it does so now,
    /// its limit as well.
    pub fn bar(&self, columns: usize, relay: Option<Relay>) -> String {
        let Notice::Progress {
            peer,
            name,
            direction,
            bytes,
            size: whole,
            speed,
            left,
        } = self
        else {
            return self.text();
        };
        let (name, to) = (clean(name), format!(" {} {peer}: ", way(*direction)));
        let over = relay.map_or(String::new(), |relay| relay.said(*speed));
        let (speed, left) = (format!("{}/s{over}", size(*speed as u64)), short(*left));
        let percent = bytes.saturating_mul(100) / (*whole).max(1);
        let bar = drawn(*bytes, *whole);
        let tails = [
            format!(
                "{bar} {} of {}, {speed}, {left} left",
                size(*bytes),
                size(*whole)
            ),
            format!("{bar} {percent} %, {speed}, {left} left"),
            format!("{percent} %, {speed}, {left} left"),
            format!("{percent} %, {left} left"),
        ];
        // The name keeps ten columns as long as something else can go.
        let least = name.width().min(10) + to.width();
        let fits = |tail: &&String| least + tail.width() <= columns;
        let tail = tails.iter().find(fits).unwrap_or(&tails[tails.len() - 1]);
        let room = columns.saturating_sub(to.width() + tail.width());
        format!("{}{to}{tail}", shortened(&name, room))
    }
}

/// A relay that a file goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay {
    /// What it passes, in bytes per second, where that is known.
    pub rate: Option<u32>,
}

impl Relay {
    /// What is said of it beside the speed. It limits a file that comes near to its rate: its
    /// own count includes headers and acknowledgements.
    fn said(self, speed: f64) -> String {
        match self.rate.map(f64::from) {
            Some(rate) if (0.8 * rate..1.2 * rate).contains(&speed) => {
                format!(", limited by the relay to {}/s", size(rate as u64))
            }
            _ => " over the relay".into(),
        }
    }
}

/// A name of at most so many columns: its beginning and its end, which has the extension.
fn shortened(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let half = columns.saturating_sub(1) / 2;
    let backwards: String = name.chars().rev().collect();
    let end: String = clip(&backwards, half).chars().rev().collect();
    let beginning = clip(name, columns.saturating_sub(1 + end.width()));
    format!("{beginning}…{end}")
}

/// A bar of ten characters.
fn drawn(bytes: u64, whole: u64) -> String {
    let tenths = (bytes.saturating_mul(10) / whole.max(1)).min(10) as usize;
    format!("▕{}{}▏", "█".repeat(tenths), " ".repeat(10 - tenths))
}

/// A time that is left, as `1h 02m`, `3m 20s` or `7s`.
fn short(left: Duration) -> String {
    let seconds = left.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Direction;

    fn progress(name: &str) -> Notice {
        Notice::Progress {
            peer: "bob".into(),
            name: name.into(),
            direction: Direction::Outgoing,
            bytes: 3 << 20,
            size: 10 << 20,
            speed: 1e6,
            left: Duration::from_secs(200),
        }
    }

    #[test]
    fn a_bar_fits_into_the_terminal() {
        let notice = progress("holiday.mp4");
        let long =
            "holiday.mp4 to bob: ▕███       ▏ 3.00 MiB of 10.00 MiB, 976.56 KiB/s, 3m 20s left";
        assert_eq!(notice.bar(200, None), long);
        assert_eq!(
            notice.bar(79, None),
            "holiday.mp4 to bob: ▕███       ▏ 30 %, 976.56 KiB/s, 3m 20s left"
        );
        assert_eq!(notice.bar(36, None), "holid….mp4 to bob: 30 %, 3m 20s left");
        let relayed = "holiday.mp4 to bob: 30 %, 976.56 KiB/s over the relay, 3m 20s left";
        let at = |rate| Some(Relay { rate });
        assert_eq!(notice.bar(75, at(None)), relayed);
        assert_eq!(notice.bar(75, at(Some(9_000_000))), relayed);
        let limited = "holiday.mp4 to bob: 30 %, 953.67 KiB/s, limited by the relay to 976.56 KiB/s, \
                       3m 20s left";
        let mut slow = progress("holiday.mp4");
        if let Notice::Progress { speed, .. } = &mut slow {
            *speed = 976_562.0;
        }
        assert_eq!(slow.bar(95, at(Some(1_000_000))), limited);
        let notice = progress(&"größe 👋 ".repeat(20));
        for columns in 30..200 {
            assert!(
                notice.bar(columns, None).width() <= columns,
                "{}",
                notice.bar(columns, None)
            );
        }
    }
}

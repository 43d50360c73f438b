//! What a link does to the frames that cross it: delay, jitter, loss, duplication, reordering, a
//! rate with a queue, and a largest packet. No device and no clock: the time and the seed are
//! arguments, and the same seed, frames and times give the same run.
//!
//! ```text
//!   frame ─▶ larger than the MTU? ─▶ queue full? ─▶ sent at the rate ─▶ lost? ─▶ delay ± jitter ─▶ frame
//! ```
//!
//! [`Link`] says what a link does in both directions, and is read from words as in
//! `4g,up-rate:5mbit`. A [`Direction`] decides about one frame after the other; the simulator uses
//! it as it is. A [`Line`] is a direction that holds the frames until they arrive: give it each
//! frame by [`Line::accept`], and take those that are due by [`Line::pop`] at
//! [`Line::poll_timeout`]:
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use link::{Line, Link};
//!
//! let link: Link = "delay:50ms".parse()?;
//! let mut line = Line::new(link.up, 7);
//! let now = Instant::now();
//! assert!(line.accept(now, "frame", 100).is_ok());
//! let due = line.poll_timeout().unwrap();
//! assert_eq!(due, now + Duration::from_millis(50));
//! assert_eq!(line.pop(now), None);
//! assert_eq!(line.pop(due), Some("frame"));
//! # Ok::<(), link::SettingsError>(())
//! ```
//!
//! It does not model a medium that both directions share, nor one whose rate or delay changes by
//! itself.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::iter_over_hash_type
    )
)]

mod direction;
mod line;
mod number;
mod preset;
mod settings;
mod words;

pub use direction::{Direction, Fate, Why};
pub use line::{Counters, Line, MOST_BYTES, MOST_FRAMES};
pub use preset::{PRESETS, Preset};
pub use settings::{Link, Loss, Reorder, Settings};
pub use words::SettingsError;

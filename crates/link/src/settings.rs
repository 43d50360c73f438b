//! What a link does, as values.

use std::time::Duration;

/// What a link does in one direction. The default is a perfect link: nothing is changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How long each frame is under way, after it has been sent.
    pub delay: Duration,
    /// Each frame's delay is spread evenly over `delay` ± `jitter`, and is never below zero.
    pub jitter: Duration,
    /// Whether a frame with a short delay waits for those that were sent before it.
    pub order_kept: bool,
    /// Frames that are held back while later ones pass them.
    pub reorder: Option<Reorder>,
    /// Which frames are lost.
    pub loss: Loss,
    /// The part of the frames that arrives twice, in percent.
    pub duplicate: f64,
    /// How many bits the link sends in a second; `None`: any number.
    pub rate: Option<u64>,
    /// How long a frame may wait for those before it to be sent. One that would wait longer is
    /// dropped. Without a rate, no frame waits.
    pub queue: Duration,
    /// The largest IP packet, in bytes. A larger one is dropped, and its sender is not told.
    pub mtu: Option<u16>,
}

/// Frames that are held back, so that later ones pass them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reorder {
    /// The part of the frames, in percent.
    pub percent: f64,
    /// How much longer such a frame is under way.
    pub by: Duration,
}

/// Which frames are lost. All parts are in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Each frame with the same odds.
    Independent(f64),
    /// In bursts: this part of all frames, in bursts of so many frames on average. It is a
    /// Gilbert–Elliott model that loses every frame in its bad state and none in its good one.
    Bursts(f64, f64),
    /// A Gilbert–Elliott model with all its numbers.
    GilbertElliott {
        /// The odds with each frame that the state turns from good to bad.
        to_bad: f64,
        /// The odds with each frame that the state turns from bad to good.
        to_good: f64,
        /// The part of the frames that is lost in the bad state.
        in_bad: f64,
        /// The part of the frames that is lost in the good state.
        in_good: f64,
    },
}

impl Loss {
    /// The odds of the model, from 0 to 1: to the bad state, to the good state, loss in the bad
    /// state, loss in the good state.
    pub(crate) fn odds(&self) -> [f64; 4] {
        match *self {
            Loss::Independent(percent) => [0.0, 1.0, 0.0, percent / 100.0],
            Loss::Bursts(percent, length) => {
                let (lost, to_good) = (percent / 100.0, 1.0 / length);
                [lost * to_good / (1.0 - lost), to_good, 1.0, 0.0]
            }
            Loss::GilbertElliott {
                to_bad,
                to_good,
                in_bad,
                in_good,
            } => [to_bad, to_good, in_bad, in_good].map(|percent| percent / 100.0),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            order_kept: true,
            reorder: None,
            loss: Loss::Independent(0.0),
            duplicate: 0.0,
            rate: None,
            queue: Duration::from_millis(100),
            mtu: None,
        }
    }
}

/// What a link does in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// From the end that is farther from the core to the nearer one: from a home, to a server.
    pub up: Settings,
    /// From the end that is nearer to the core to the farther one.
    pub down: Settings,
}

//! Settings as words: `4g,up-rate:5mbit`, and back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::number::{percent, plain, rate, show_rate, show_time, time};
use super::{Link, Loss, PRESETS, Reorder, Settings};

/// How much longer a reordered frame is under way, if that is not given.
const HELD_BACK: Duration = Duration::from_millis(10);

/// Why words are not settings of a link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A word is neither a preset nor `KEY:VALUE`.
    #[error("\"{0}\" is not a kind of link; there are {kinds}, and KEY:VALUE with the keys {KEYS}", kinds = kinds())]
    NoPreset(String),
    /// There is no such key.
    #[error(
        "a link has no setting \"{0}\"; it has {KEYS}, each with up- or down- before it for one direction"
    )]
    NoKey(String),
    /// The value does not fit the key.
    #[error("{key} is {wanted}, not \"{value}\"")]
    Value {
        /// The key.
        key: String,
        /// What was given.
        value: String,
        /// What is wanted, with an example.
        wanted: &'static str,
    },
    /// There is no such loss.
    #[error(
        "a loss of {percent} % cannot come in bursts of {length} frames: give burst:{least} or more"
    )]
    Bursts {
        /// The loss.
        percent: String,
        /// The average length of a burst.
        length: String,
        /// The shortest that can be.
        least: u64,
    },
}

const KEYS: &str =
    "delay, jitter, order, reorder, loss, burst, gilbert-elliott, duplicate, rate, queue, mtu";

fn kinds() -> String {
    PRESETS.map(|preset| preset.name).join(", ")
}

/// Settings while they are read: `loss` and `burst` are words of their own, in any order.
#[derive(Clone, Copy, Default)]
struct Draft {
    settings: Settings,
    burst: Option<f64>,
}

impl FromStr for Link {
    type Err = SettingsError;

    /// Words with commas between them; a later one overrides an earlier one. `none` and the empty
    /// text are a perfect link.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let (mut up, mut down) = (Draft::default(), Draft::default());
        for word in text.split(',').filter(|word| !word.is_empty()) {
            let Some((key, value)) = word.split_once(':') else {
                let link = named(word)?;
                up = Draft::from(link.up);
                down = Draft::from(link.down);
                continue;
            };
            match (key.strip_prefix("up-"), key.strip_prefix("down-")) {
                (Some(key), _) => up.set(key, value)?,
                (_, Some(key)) => down.set(key, value)?,
                _ => {
                    up.set(key, value)?;
                    down.set(key, value)?;
                }
            }
        }
        Ok(Link {
            up: up.whole()?,
            down: down.whole()?,
        })
    }
}

fn named(word: &str) -> Result<Link, SettingsError> {
    if word == "none" {
        return Ok(Link::default());
    }
    match PRESETS.iter().find(|preset| preset.name == word) {
        Some(preset) => preset.settings.parse(),
        None => Err(SettingsError::NoPreset(word.into())),
    }
}

impl From<Settings> for Draft {
    fn from(settings: Settings) -> Self {
        match settings.loss {
            Loss::Bursts(percent, length) => Draft {
                settings: Settings {
                    loss: Loss::Independent(percent),
                    ..settings
                },
                burst: Some(length),
            },
            _ => Draft {
                settings,
                burst: None,
            },
        }
    }
}

impl Draft {
    fn set(&mut self, key: &str, value: &str) -> Result<(), SettingsError> {
        let to = &mut self.settings;
        let (done, wanted) = match key {
            "delay" => (put(&mut to.delay, time(value)), TIME),
            "jitter" => (put(&mut to.jitter, time(value)), TIME),
            "queue" => (put(&mut to.queue, time(value)), TIME),
            "loss" => (
                put(&mut to.loss, percent(value).map(Loss::Independent)),
                PERCENT,
            ),
            "burst" => (put(&mut self.burst, burst(value)), BURST),
            "gilbert-elliott" => {
                self.burst = None;
                (put(&mut to.loss, gilbert_elliott(value)), GILBERT_ELLIOTT)
            }
            "duplicate" => (put(&mut to.duplicate, percent(value)), PERCENT),
            "reorder" => (put(&mut to.reorder, reorder(value)), REORDER),
            "order" => (put(&mut to.order_kept, order(value)), ORDER),
            "rate" => (put(&mut to.rate, limit(value, rate)), RATE),
            "mtu" => (put(&mut to.mtu, limit(value, mtu)), MTU),
            _ => return Err(SettingsError::NoKey(key.into())),
        };
        done.ok_or_else(|| SettingsError::Value {
            key: key.into(),
            value: value.into(),
            wanted,
        })
    }

    fn whole(self) -> Result<Settings, SettingsError> {
        let mut settings = self.settings;
        if let (Loss::Independent(percent), Some(length)) = (settings.loss, self.burst) {
            let most = 100.0 * length / (length + 1.0);
            if percent > most {
                return Err(SettingsError::Bursts {
                    percent: percent.to_string(),
                    length: length.to_string(),
                    least: (percent / (100.0 - percent).max(0.001)).ceil() as u64,
                });
            }
            settings.loss = Loss::Bursts(percent, length);
        }
        Ok(settings)
    }
}

const TIME: &str = "a time with its unit up to 100s, such as 50ms";
const PERCENT: &str = "a percentage from 0 to 100, such as 1%";
const BURST: &str = "the average number of frames in a burst, from 1 to 1000000";
const GILBERT_ELLIOTT: &str = "four percentages, such as 1/20/100/0: the odds of turning bad and \
     of turning good, the loss while bad and while good";
const REORDER: &str =
    "a percentage and the time by which those frames are held back, such as 2%/10ms";
const ORDER: &str = "kept or free";
const RATE: &str = "a rate with its unit from 1kbit to 100gbit, such as 20mbit, or none";
const MTU: &str = "a number of bytes from 68 to 65535, or none";

fn put<T>(to: &mut T, value: Option<T>) -> Option<()> {
    *to = value?;
    Some(())
}

/// The outer `None`: the value is wrong; the inner one: no limit.
fn limit<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        "none" => Some(None),
        _ => read(text).map(Some),
    }
}

fn burst(text: &str) -> Option<Option<f64>> {
    let length = plain(text)?;
    (1.0..=1e6).contains(&length).then_some(Some(length))
}

fn gilbert_elliott(text: &str) -> Option<Loss> {
    let mut parts = text.split('/').map(percent);
    let mut next = || parts.next().flatten();
    let loss = Loss::GilbertElliott {
        to_bad: next()?,
        to_good: next()?,
        in_bad: next()?,
        in_good: next()?,
    };
    parts.next().is_none().then_some(loss)
}

fn reorder(text: &str) -> Option<Option<Reorder>> {
    let (part, by) = match text.split_once('/') {
        Some((part, by)) => (part, time(by)?),
        None => (text, HELD_BACK),
    };
    let percent = percent(part)?;
    Some((percent > 0.0).then_some(Reorder { percent, by }))
}

fn order(text: &str) -> Option<bool> {
    match text {
        "kept" => Some(true),
        "free" => Some(false),
        _ => None,
    }
}

fn mtu(text: &str) -> Option<u16> {
    text.parse().ok().filter(|&bytes| bytes >= 68)
}

impl fmt::Display for Link {
    /// As [`FromStr`] reads it; what differs between the directions has `up-` and `down-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (up, down) = (words(&self.up), words(&self.down));
        let only = |these: &[String], others: &[String], prefix| -> Vec<String> {
            let own = these.iter().filter(|word| !others.contains(word));
            own.map(|word| format!("{prefix}{word}")).collect()
        };
        let mut all: Vec<String> = up
            .iter()
            .filter(|word| down.contains(word))
            .cloned()
            .collect();
        all.extend(only(&down, &up, "down-"));
        all.extend(only(&up, &down, "up-"));
        match all.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&all.join(",")),
        }
    }
}

impl fmt::Display for Settings {
    /// As [`Link`] is written, without directions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = Link {
            up: *self,
            down: *self,
        };
        both.fmt(f)
    }
}

/// What differs from a perfect link.
fn words(settings: &Settings) -> Vec<String> {
    let none = Settings::default();
    let mut words = Vec::new();
    let mut push = |differs: bool, key: &str, value: String| {
        if differs {
            words.push(format!("{key}:{value}"));
        }
    };
    push(
        settings.delay != none.delay,
        "delay",
        show_time(settings.delay),
    );
    push(
        settings.jitter != none.jitter,
        "jitter",
        show_time(settings.jitter),
    );
    push(!settings.order_kept, "order", "free".into());
    if let Some(Reorder { percent, by }) = settings.reorder {
        push(true, "reorder", format!("{percent}%/{}", show_time(by)));
    }
    match settings.loss {
        Loss::Independent(percent) => push(percent > 0.0, "loss", format!("{percent}%")),
        Loss::Bursts(percent, length) => {
            push(percent > 0.0, "loss", format!("{percent}%"));
            push(true, "burst", length.to_string());
        }
        Loss::GilbertElliott {
            to_bad,
            to_good,
            in_bad,
            in_good,
        } => push(
            true,
            "gilbert-elliott",
            format!("{to_bad}/{to_good}/{in_bad}/{in_good}"),
        ),
    }
    push(
        settings.duplicate > 0.0,
        "duplicate",
        format!("{}%", settings.duplicate),
    );
    if let Some(rate) = settings.rate {
        push(true, "rate", show_rate(rate));
    }
    push(
        settings.queue != none.queue,
        "queue",
        show_time(settings.queue),
    );
    if let Some(mtu) = settings.mtu {
        push(true, "mtu", mtu.to_string());
    }
    words
}

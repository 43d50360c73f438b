//! Numbers with units, as they are written on a command line.

use std::time::Duration;

/// The longest time: no frame is held longer.
const LONGEST: Duration = Duration::from_secs(100);
const TIMES: [(&str, f64); 3] = [("us", 1.0), ("ms", 1e3), ("s", 1e6)]; // microseconds
const RATES: [(&str, f64); 4] = [("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9), ("bit", 1.0)];

/// A time with its unit, to a microsecond.
pub(crate) fn time(text: &str) -> Option<Duration> {
    let micros = with_unit(text, &TIMES)?;
    let time = Duration::from_micros(micros.round() as u64);
    (time <= LONGEST).then_some(time)
}

/// A rate with its unit, in bits per second: from 1 kbit to 100 gbit.
pub(crate) fn rate(text: &str) -> Option<u64> {
    let bits = with_unit(text, &RATES)?.round();
    (1e3..=1e11).contains(&bits).then_some(bits as u64)
}

/// A percentage from 0 to 100, with or without its sign.
pub(crate) fn percent(text: &str) -> Option<f64> {
    let percent = plain(text.strip_suffix('%').unwrap_or(text))?;
    (percent <= 100.0).then_some(percent)
}

/// Digits, with or without decimals.
pub(crate) fn plain(text: &str) -> Option<f64> {
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| digits && text.len() <= 20)
}

fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Some(plain(number)? * factor)
}

/// A time as [`time`] reads it.
pub(crate) fn show_time(time: Duration) -> String {
    format!("{}ms", time.as_micros() as f64 / 1e3)
}

/// A rate as [`rate`] reads it.
pub(crate) fn show_rate(bits: u64) -> String {
    let (unit, factor) = match bits {
        1_000_000_000.. => ("gbit", 1e9),
        1_000_000.. => ("mbit", 1e6),
        _ => ("kbit", 1e3),
    };
    format!("{}{unit}", bits as f64 / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_unit() {
        assert_eq!(time("50ms"), Some(Duration::from_millis(50)));
        assert_eq!(time("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(time("200us"), Some(Duration::from_micros(200)));
        for wrong in [
            "50", "ms", "-5ms", "1e3ms", "5 ms", "5m", "101s", "inf", "", "1.2.3ms",
        ] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_in_bits_a_second() {
        assert_eq!(rate("20mbit"), Some(20_000_000));
        assert_eq!(rate("1.5mbit"), Some(1_500_000));
        assert_eq!(rate("64kbit"), Some(64_000));
        assert_eq!(rate("1000bit"), Some(1000));
        for wrong in ["20", "0mbit", "1bit", "20mbps", "200gbit", "-1mbit"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_percentage_may_have_its_sign() {
        assert_eq!(percent("1%"), Some(1.0));
        assert_eq!(percent("0.25"), Some(0.25));
        for wrong in ["101", "-1", "%", "NaN", "1%%"] {
            assert_eq!(percent(wrong), None, "{wrong}");
        }
    }
}

//! What a link does to frames, with made-up times.

use std::time::{Duration, Instant};

use link::{Fate, Line, Link, MOST_BYTES, MOST_FRAMES, Settings, Why};

fn up(words: &str) -> Settings {
    words.parse::<Link>().unwrap().up
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Gives a direction `frames` frames, `apart` from each other; returns when each arrives after
/// the first was given, in the order in which they were given.
fn arrivals(words: &str, frames: u32, apart: Duration) -> Vec<Option<Duration>> {
    let start = Instant::now();
    let mut direction = link::Direction::new(up(words), 7);
    (0..frames)
        .map(|n| match direction.offer(start + apart * n, 1014) {
            Fate::Arrives { at, .. } => Some(at - start),
            Fate::Dropped(_) => None,
        })
        .collect()
}

/// The part of the frames that did not arrive, in percent.
fn lost(words: &str) -> f64 {
    let all = arrivals(words, 100_000, ms(1));
    let lost = all.iter().filter(|at| at.is_none()).count();
    lost as f64 / 1000.0
}

#[test]
fn a_perfect_link_changes_nothing() {
    let all = arrivals("none", 3, ms(2));
    assert_eq!(all, [Some(ms(0)), Some(ms(2)), Some(ms(4))]);
}

#[test]
fn the_delay_is_exact_without_jitter() {
    assert!(
        arrivals("delay:50ms", 100, ms(1))
            .iter()
            .zip(50..)
            .all(|(at, n)| *at == Some(ms(n)))
    );
}

#[test]
fn jitter_is_spread_over_both_sides_of_the_delay() {
    // Frames so far apart that none waits for another.
    let all = arrivals("delay:50ms,jitter:10ms", 10_000, ms(100));
    let delays: Vec<f64> = all
        .iter()
        .zip(0..)
        .map(|(at, n)| (at.unwrap() - ms(100) * n).as_secs_f64() * 1e3)
        .collect();
    let mean = delays.iter().sum::<f64>() / delays.len() as f64;
    assert!((mean - 50.0).abs() < 0.3, "{mean}");
    let (least, most) = delays
        .iter()
        .fold((99.0, 0.0), |(a, b): (f64, f64), &d| (a.min(d), b.max(d)));
    assert!(
        (40.0..40.1).contains(&least) && (59.9..=60.0).contains(&most),
        "{least} {most}"
    );
}

#[test]
fn jitter_above_the_delay_gives_none_below_zero() {
    let all = arrivals("delay:1ms,jitter:5ms", 1000, ms(100));
    assert!(all.iter().zip(0..).all(|(at, n)| {
        let delay = at.unwrap() - ms(100) * n;
        delay <= ms(6)
    }));
}

#[test]
fn order_is_kept_unless_asked_otherwise() {
    let sorted = |words| arrivals(words, 1000, ms(1)).is_sorted();
    assert!(sorted("delay:50ms,jitter:20ms"));
    assert!(!sorted("delay:50ms,jitter:20ms,order:free"));
    assert!(!sorted("delay:50ms,reorder:2%"));
}

#[test]
fn a_frame_that_is_held_back_holds_no_other_back() {
    let all = arrivals("delay:50ms,reorder:5%/30ms", 1000, ms(10));
    let late = all
        .iter()
        .zip(0..)
        .filter(|(at, n)| at.unwrap() - ms(10) * *n == ms(80))
        .count();
    let plain = all
        .iter()
        .zip(0..)
        .filter(|(at, n)| at.unwrap() - ms(10) * *n == ms(50))
        .count();
    assert_eq!(late + plain, 1000);
    assert!((25..85).contains(&late), "{late}");
}

#[test]
fn as_many_frames_are_lost_as_asked() {
    assert_eq!(lost("none"), 0.0);
    assert_eq!(lost("loss:100%"), 100.0);
    assert!((lost("loss:3%") - 3.0).abs() < 0.3);
    assert!((lost("loss:3%,burst:5") - 3.0).abs() < 0.6);
    // In the bad state for a third of the time, half of the frames lost there, and a tenth elsewhere.
    let expected = 100.0 * (0.5 / 3.0 + 0.1 * 2.0 / 3.0);
    assert!((lost("gilbert-elliott:5/10/50/10") - expected).abs() < 2.0);
}

#[test]
fn bursts_are_as_long_as_asked() {
    let length = |words| {
        let all = arrivals(words, 100_000, ms(1));
        let lost = all.iter().filter(|at| at.is_none()).count();
        let starts = all
            .windows(2)
            .filter(|w| w[0].is_some() && w[1].is_none())
            .count();
        lost as f64 / starts as f64
    };
    assert!((length("loss:5%,burst:8") - 8.0).abs() < 1.0);
    assert!(length("loss:5%") < 1.2);
}

#[test]
fn the_rate_spaces_frames_and_the_queue_drops_what_would_wait_too_long() {
    // 1014 bytes at 8.112 mbit are 1 ms: frame n waits n ms, and the 12th would wait for 11.
    let all = arrivals("rate:8112kbit,queue:10ms,delay:5ms", 20, ms(0));
    let (kept, dropped) = all.split_at(11);
    assert!(
        kept.iter().zip(6..).all(|(at, n)| *at == Some(ms(n))),
        "{kept:?}"
    );
    assert!(dropped.iter().all(|at| at.is_none()));
    // Slower than the rate, no frame waits.
    assert!(
        arrivals("rate:8112kbit,queue:10ms", 100, ms(1))
            .iter()
            .zip(1..)
            .all(|(at, n)| *at == Some(ms(n)))
    );
}

#[test]
fn a_packet_larger_than_the_mtu_is_dropped() {
    let mut line = Line::new(up("mtu:1000"), 1);
    let now = Instant::now();
    assert_eq!(line.accept(now, 1, 1014), Ok(()));
    assert_eq!(line.accept(now, 2, 1015), Err((Why::Mtu, 2)));
    assert_eq!(line.counters().mtu, 1);
}

#[test]
fn a_duplicate_arrives_right_after_its_frame() {
    let mut line = Line::new(up("delay:5ms,duplicate:100%"), 1);
    let now = Instant::now();
    line.accept(now, 'a', 100).unwrap();
    line.accept(now, 'b', 100).unwrap();
    let all: Vec<_> = std::iter::from_fn(|| line.pop(now + ms(5))).collect();
    assert_eq!(all, ['a', 'a', 'b', 'b']);
}

#[test]
fn the_same_seed_gives_the_same_fates_whatever_the_times_are() {
    let fates = |seed, apart: Duration| {
        let (start, mut direction) = (
            Instant::now(),
            link::Direction::new(up("loss:30%,burst:3"), seed),
        );
        (0..200u32)
            .map(|n| {
                matches!(
                    direction.offer(start + apart * n, 100),
                    Fate::Arrives { .. }
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(fates(1, ms(1)), fates(1, ms(50)));
    assert_ne!(fates(1, ms(1)), fates(2, ms(1)));
}

#[test]
fn settings_change_for_the_frames_to_come_and_order_is_kept() {
    let mut line = Line::new(up("delay:100ms"), 1);
    let now = Instant::now();
    line.accept(now, 'a', 100).unwrap();
    line.set(up("delay:10ms"));
    line.accept(now, 'b', 100).unwrap();
    assert_eq!(line.poll_timeout(), Some(now + ms(100)));
    let all: Vec<_> = std::iter::from_fn(|| line.pop(now + ms(100))).collect();
    assert_eq!(all, ['a', 'b']);
    line.accept(now + ms(200), 'c', 100).unwrap();
    assert_eq!(line.poll_timeout(), Some(now + ms(210)));
}

#[test]
fn what_is_under_way_is_bounded() {
    let now = Instant::now();
    let mut line = Line::new(up("delay:1s"), 1);
    let small = (0..MOST_FRAMES + 5)
        .filter(|_| line.accept(now, (), 60).is_ok())
        .count();
    assert_eq!((small, line.counters().queue), (MOST_FRAMES, 5));
    let mut line = Line::new(up("delay:1s,duplicate:0%"), 1);
    let large = (0..MOST_BYTES / 65_000 + 5)
        .filter(|_| line.accept(now, (), 65_000).is_ok())
        .count();
    assert_eq!(large, MOST_BYTES / 65_000);
    // What has arrived makes room.
    assert_eq!(line.pop(now + ms(1000)), Some(()));
    assert!(line.accept(now, (), 65_000).is_ok());
}

//! Settings as words: what is read is what is written, and errors say what is wanted.

use std::time::Duration;

use link::{Link, Loss, PRESETS, Settings};
use proptest::prelude::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn both_directions_have_what_is_given_without_a_direction() {
    let link: Link = "delay:50ms,jitter:10ms,loss:1%,rate:20mbit,up-rate:5mbit,down-mtu:1400"
        .parse()
        .unwrap();
    let down = Settings {
        delay: ms(50),
        jitter: ms(10),
        loss: Loss::Independent(1.0),
        rate: Some(20_000_000),
        mtu: Some(1400),
        ..Settings::default()
    };
    assert_eq!(link.down, down);
    let up = Settings {
        rate: Some(5_000_000),
        mtu: None,
        ..down
    };
    assert_eq!(link.up, up);
}

#[test]
fn what_follows_a_preset_overrides_it() {
    let link: Link = "4g,delay:80ms,burst:7,up-rate:none".parse().unwrap();
    assert_eq!((link.up.delay, link.down.delay), (ms(80), ms(80)));
    assert_eq!(link.down.loss, Loss::Bursts(0.2, 7.0));
    assert_eq!((link.up.rate, link.down.rate), (None, Some(35_000_000)));
}

#[test]
fn every_preset_is_read() {
    for preset in PRESETS {
        let link: Link = preset.name.parse().unwrap();
        assert_eq!(link, preset.settings.parse().unwrap(), "{}", preset.name);
        assert!(link.up.delay > Duration::ZERO && link.up.rate.is_some());
        assert_eq!(link.to_string().parse(), Ok(link), "{link}");
    }
}

#[test]
fn a_perfect_link_is_none() {
    assert_eq!(Link::default().to_string(), "none");
    assert_eq!("none".parse(), Ok(Link::default()));
    assert_eq!("".parse(), Ok(Link::default()));
}

#[test]
fn an_error_says_what_is_wanted() {
    for (words, part) in [
        ("5g,3g", "\"3g\" is not a kind of link; there are fibre,"),
        ("latency:5ms", "no setting \"latency\"; it has delay,"),
        ("sideways-delay:5ms", "no setting \"sideways-delay\""),
        (
            "delay:50",
            "delay is a time with its unit up to 100s, such as 50ms, not \"50\"",
        ),
        ("loss:200%", "loss is a percentage from 0 to 100"),
        ("rate:0mbit", "rate is a rate with its unit"),
        ("mtu:10", "mtu is a number of bytes from 68"),
        ("order:maybe", "order is kept or free"),
        (
            "gilbert-elliott:1/2/3",
            "gilbert-elliott is four percentages",
        ),
        (
            "loss:90%,burst:2",
            "cannot come in bursts of 2 frames: give burst:9 or more",
        ),
    ] {
        let error = words.parse::<Link>().unwrap_err().to_string();
        assert!(error.contains(part), "{words}: {error}");
    }
}

fn settings() -> impl Strategy<Value = String> {
    let percent = || (0u32..=4500).prop_map(|n| format!("{}%", f64::from(n) / 100.0));
    let time = || (0u32..=90_000_000).prop_map(|us| format!("{us}us"));
    let word = prop_oneof![
        (prop_oneof!["delay", "jitter", "queue"], time()).prop_map(|(k, v)| format!("{k}:{v}")),
        (prop_oneof!["loss", "duplicate", "reorder"], percent())
            .prop_map(|(k, v)| format!("{k}:{v}")),
        (1u32..50).prop_map(|n| format!("burst:{n}")),
        (percent(), percent()).prop_map(|(a, b)| format!("gilbert-elliott:{a}/{b}/{b}/{a}")),
        (1000u64..=100_000_000_000).prop_map(|n| format!("rate:{n}bit")),
        (68u16..).prop_map(|n| format!("mtu:{n}")),
        prop_oneof![Just("order:free".to_string()), Just("cable".to_string())],
    ];
    let word = (prop_oneof![Just(""), Just("up-"), Just("down-")], word).prop_map(
        |(side, word)| match word.contains(':') {
            true => format!("{side}{word}"),
            false => word,
        },
    );
    prop::collection::vec(word, 0..8).prop_map(|words| words.join(","))
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_link(words in settings()) {
        let link: Link = words.parse().unwrap();
        prop_assert_eq!(link.to_string().parse(), Ok(link));
    }

    #[test]
    fn no_words_make_it_panic(words in "[a-z0-9.:/%,-]{0,40}") {
        if let Ok(link) = words.parse::<Link>() {
            prop_assert_eq!(link.to_string().parse(), Ok(link));
        }
    }
}

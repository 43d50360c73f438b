//! The table of `rendezvous status`.

use crate::snapshot::{Snapshot, Times};

/// A row: what it counts, how many there are now, and the count since the start.
struct Row {
    what: &'static str,
    now: Option<usize>,
    count: Option<Count>,
}

/// How many since the start, and until the report before.
struct Count {
    all: u64,
    before: Option<u64>,
}

/// The table of this report; with the one before, if there was one, it has rates.
pub fn draw(now: &Snapshot, before: Option<&Snapshot>) -> String {
    let addresses: Vec<String> = now.addresses.iter().map(ToString::to_string).collect();
    let mut text = format!(
        "rendezvous on {}, up {}{}\n\n{:<36}{:>12}{:>14}{:>16}\n",
        addresses.join(", "),
        duration(now.uptime_s),
        if now.ready { "" } else { ", takes no names" },
        "",
        "now",
        "a second",
        "since the start"
    );
    // The server was restarted: there is nothing to compare with.
    let before = before.filter(|before| before.uptime_s < now.uptime_s);
    let seconds = before.map_or(now.uptime_s, |before| now.uptime_s - before.uptime_s);
    for Row { what, now, count } in rows(now, before) {
        let there = now.map_or_else(String::new, |now| grouped(now as u64));
        let (rate, all) = count.map_or_else(Default::default, |Count { all, before }| {
            let rate = before.map(|before| all.saturating_sub(before) as f64 / seconds.max(1e-3));
            (
                rate.map_or_else(String::new, |rate| format!("{rate:.1}")),
                grouped(all),
            )
        });
        text += format!("{what:<36}{there:>12}{rate:>14}{all:>16}").trim_end();
        text.push('\n');
    }
    let lately = before.map(|before| now.latency.since(&before.latency));
    text += &format!(
        "\n{:<36}{:>12}{:>14}{:>16}\n",
        "datagrams are handled within", "half", "99 %", "99.9 %"
    );
    text += &times("in the last second", lately.as_ref());
    text += &times("since the start", Some(&now.latency));
    text
}

fn rows(now: &Snapshot, before: Option<&Snapshot>) -> Vec<Row> {
    let mut rows = vec![Row {
        what: "names",
        now: Some(now.names),
        count: None,
    }];
    let mut count = |what, of: &dyn Fn(&Snapshot) -> u64| {
        let (all, before) = (of(now), before.map(of));
        rows.push(Row {
            what,
            now: None,
            count: Some(Count { all, before }),
        });
    };
    count("Binding requests", &|it| it.stats.bindings);
    count("registrations and refreshes", &|it| it.stats.registrations);
    count("introductions asked for", &|it| it.stats.connects);
    count("introductions made", &|it| it.stats.introduced);
    count("requests refused", &|it| it.stats.refused);
    count("dropped: garbage", &|it| it.stats.garbage);
    count("dropped: asks for nothing", &|it| it.stats.ignored);
    count("dropped: over the rate", &|it| it.stats.limited);
    count("dropped: answer would be too long", &|it| {
        it.stats.too_short
    });
    count("ended to make room", &|it| it.stats.made_room);
    if let Some(relay) = &now.relay {
        let mut relayed = |what, of: fn(&rendezvous_proto::relay::Stats) -> u64| {
            count(what, &move |it| {
                it.relay.as_ref().map_or(0, |relay| of(&relay.stats))
            });
        };
        relayed("relay: bytes", |stats| stats.bytes);
        relayed("relay: packets", |stats| stats.packets);
        relayed("relay: addresses given", |stats| stats.allocations);
        relayed("relay: requests refused", |stats| stats.refused);
        relayed("relay: dropped, over the rate", |stats| stats.over_rate);
        relayed("relay: dropped, no permission", |stats| stats.unpermitted);
        rows.push(Row {
            what: "relay: addresses in use",
            now: Some(relay.in_use),
            count: None,
        });
    }
    rows
}

fn times(what: &str, times: Option<&Times>) -> String {
    let of = |part| match times.and_then(|times| times.quantile(part)) {
        Some(microseconds) if microseconds < 1000 => format!("{microseconds} µs"),
        Some(microseconds) => format!("{:.1} ms", microseconds as f64 / 1e3),
        None => "-".to_owned(),
    };
    format!(
        "{what:<36}{:>12}{:>14}{:>16}\n",
        of(0.5),
        of(0.99),
        of(0.999)
    )
}

fn duration(seconds: f64) -> String {
    let seconds = seconds as u64;
    match (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// With a comma after each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Relay;

    fn snapshot(uptime_s: f64, bindings: u64) -> Snapshot {
        let stats = rendezvous_proto::server::Stats {
            bindings,
            ..Default::default()
        };
        let latency = Times {
            buckets: vec![(16, bindings), (2048, 1)],
            above: 0,
        };
        Snapshot {
            uptime_s,
            addresses: vec!["203.0.113.1:8848".parse().unwrap()],
            ready: true,
            names: 12_345,
            stats,
            relay: Some(Relay {
                in_use: 3,
                stats: Default::default(),
            }),
            latency,
        }
    }

    fn row<'a>(text: &'a str, what: &str) -> Vec<&'a str> {
        let row = text.lines().find_map(|line| line.strip_prefix(what));
        row.map_or_else(Vec::new, |rest| rest.split_whitespace().collect())
    }

    #[test]
    fn rates_are_those_since_the_report_before() {
        let (first, second) = (snapshot(3700.0, 1_000_000), snapshot(3702.0, 1_000_025));
        let text = draw(&first, None);
        assert!(
            text.starts_with("rendezvous on 203.0.113.1:8848, up 1 h 1 min\n"),
            "{text}"
        );
        assert_eq!(row(&text, "names"), ["12,345"]);
        assert_eq!(row(&text, "Binding requests"), ["1,000,000"]);
        let text = draw(&second, Some(&first));
        assert_eq!(row(&text, "Binding requests"), ["12.5", "1,000,025"]);
        assert_eq!(row(&text, "relay: addresses in use"), ["3"]);
        assert_eq!(
            row(&text, "in the last second"),
            ["16", "µs", "16", "µs", "16", "µs"]
        );
        // A restart in between.
        let text = draw(&snapshot(1.0, 5), Some(&first));
        assert_eq!(row(&text, "Binding requests"), ["5"]);
        assert_eq!(row(&text, "in the last second"), ["-"; 3]);
    }

    #[test]
    fn durations_and_numbers_are_for_people() {
        for (seconds, text) in [(5.9, "5 s"), (61.0, "1 min 1 s"), (90_000.0, "1 d 1 h")] {
            assert_eq!(duration(seconds), text);
        }
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}

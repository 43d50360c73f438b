//! The odds of guessing ports.

/// The chance that at least one of `probes` distinct ports is the port of one of `sockets`
/// mappings, where the NAT assigns from `pool` ports: 1 − C(P−k, n)/C(P, n).
///
/// ```
/// let odds = nat::plan::spray_odds(64512, 256, 1024);
/// assert!((odds - 0.983).abs() < 0.001);
/// ```
pub fn spray_odds(pool: u32, sockets: u32, probes: u32) -> f64 {
    if sockets == 0 {
        return 0.0;
    }
    if u64::from(sockets) + u64::from(probes) > u64::from(pool) {
        return f64::from(u8::from(probes > 0));
    }
    let misses = (0..probes).map(|i| (1.0 - f64::from(sockets) / f64::from(pool - i)).ln());
    1.0 - misses.sum::<f64>().exp()
}

/// The least number of probes that have at least these odds; at most the whole pool.
///
/// ```
/// assert_eq!(nat::plan::probes_for(0.99, 64512, 256), 1148);
/// ```
pub fn probes_for(odds: f64, pool: u32, sockets: u32) -> u32 {
    let (mut low, mut high) = (0, pool);
    while low < high {
        let middle = low + (high - low) / 2;
        match spray_odds(pool, sockets, middle) >= odds {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

/// The chance that a mapping of one side fits a mapping of the other, where each side creates
/// mappings at random ports of its own pool towards random ports of the other's: 1 − e^(−nm/PQ).
/// Each argument is a pool of ports and the number of mappings in it.
pub fn block_odds((pool, pairs): (u32, u32), (other, others): (u32, u32)) -> f64 {
    let meetings = f64::from(pairs) * f64::from(others);
    1.0 - (-meetings / (f64::from(pool) * f64::from(other))).exp()
}

/// The chance that a Poisson variable of this mean is at most `most`.
pub fn poisson(mean: f64, most: u32) -> f64 {
    let mut term = (-mean).exp();
    let mut sum = term;
    for n in 1..=most {
        term *= mean / f64::from(n);
        sum += term;
    }
    sum.min(1.0)
}

/// Odds in per cent, for people. Only 1 is "100 %": what is less is rounded down.
///
/// ```
/// use nat::plan::percent;
/// assert_eq!([0.97, 0.99994, 0.99999, 1.0].map(percent), ["97.0 %", "99.99 %", "99.99 %", "100 %"]);
/// ```
pub fn percent(odds: f64) -> String {
    match odds {
        1.0.. => "100 %".to_owned(),
        0.999.. => format!("{:.2} %", (odds * 10_000.0 + 1e-6).floor() / 100.0),
        _ => format!("{:.1} %", odds * 100.0),
    }
}

/// The prediction window of a sequential NAT, in ports: with these odds, the next mapping is at
/// most that far ahead, if other hosts create `rate` mappings per second and the last port was
/// seen `delay` seconds ago.
///
/// ```
/// assert_eq!(nat::plan::window(0.94, 20.0, 0.2), 8);
/// ```
pub fn window(odds: f64, rate: f64, delay: f64) -> u32 {
    let mean = rate * delay;
    (0..1024)
        .find(|&others| poisson(mean, others) >= odds)
        .unwrap_or(1023)
        + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spray_has_the_odds_of_the_birthday_paradox() {
        for (sockets, probes, odds) in [(84, 512, 0.488), (256, 512, 0.870), (600, 512, 0.992)] {
            assert!((spray_odds(64512, sockets, probes) - odds).abs() < 0.001);
        }
        assert_eq!(spray_odds(512, 0, 512), 0.0);
        assert_eq!(spray_odds(512, 1, 512), 1.0);
        assert_eq!(spray_odds(512, 512, 0), 0.0);
        for (sockets, probes) in [(84, 3440), (256, 1148), (600, 491)] {
            assert_eq!(probes_for(0.99, 64512, sockets), probes);
        }
    }

    #[test]
    fn mappings_of_two_hidden_sides_fit_with_these_odds() {
        assert!((block_odds((512, 1099), (512, 1099)) - 0.99).abs() < 0.001);
        assert!((block_odds((64512, 53_700), (64512, 53_700)) - 0.5).abs() < 0.001);
    }

    #[test]
    fn a_nat_with_more_load_needs_a_wider_window() {
        assert_eq!(window(0.99, 0.0, 0.2), 1);
        assert!(window(0.99, 100.0, 0.2) > window(0.99, 20.0, 0.2));
    }
}

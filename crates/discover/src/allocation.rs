//! How a NAT chooses outer ports (RFC 4787 §4.2), and what that is worth to a
//! peer who has to guess one.

use nat::PortAssignment;
use nat::plan::spray_odds;
use serde::Serialize;

/// The inner and the outer port of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The host's own port.
    pub inner: u16,
    /// The NAT's.
    pub outer: u16,
}

/// A model of the choice, from the mappings that were seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Allocation {
    /// How it chooses, `None` if the samples are too few to say.
    pub policy: Option<PortAssignment>,
    /// From one mapping to the next, if sequential.
    pub step: Option<i32>,
    /// The lowest and the highest port seen.
    pub range: [u16; 2],
    /// Are even ports mapped to even ones and odd to odd? (RFC 4787 REQ-4)
    /// `None`: too few samples.
    pub parity: Option<bool>,
    /// The port of the next mapping, if sequential.
    pub next_port: Option<u16>,
    /// How many ports the next mapping may get, as estimated.
    pub pool: Option<u32>,
    /// What guessing takes, unless ports are kept or foreseen.
    pub spray: Option<Spray>,
    /// What was seen, in the order of birth.
    pub samples: Vec<Sample>,
}

/// The chance that a peer's probes hit one of many mappings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spray {
    /// Sockets behind this NAT, each with a mapping towards the peer.
    pub sockets: u32,
    /// Distinct ports that the peer sends to.
    pub probes: u32,
    /// That at least one hits.
    pub odds: f64,
}

/// The ports that a NAT without a block may choose from.
const ALL_PORTS: u32 = 65536 - 1024;

/// Chance alone keeps the parity of so many ports as rarely as this.
const FOOLED: f64 = 1e-3;

/// Chance alone brings ports so close together as rarely as this. A real block
/// needs no more: six ports of 512 are 2e-10.
const CLOSE: f64 = 1e-6;

impl Allocation {
    /// The model behind these mappings, which are in the order of their birth;
    /// `None` without any.
    pub fn of(samples: Vec<Sample>) -> Option<Self> {
        let ports = || samples.iter().map(|s| s.outer);
        let range = [ports().min()?, ports().max()?];
        let step = step(&samples);
        let count = samples.len() as f64;
        let width = f64::from(range[1] - range[0]) + 1.0;
        let kept = samples.iter().filter(|s| s.inner == s.outer).count();
        // That so many random ports lie so close together.
        let by_chance = count * (width / f64::from(ALL_PORTS)).powf(count - 1.0);
        let policy = if 2 * kept > samples.len() {
            Some(PortAssignment::Preserving)
        } else if step.is_some() {
            Some(PortAssignment::Sequential)
        } else if samples.len() < ENOUGH {
            None
        } else if by_chance < CLOSE {
            Some(PortAssignment::Block)
        } else {
            Some(PortAssignment::Random)
        };
        let step = step.filter(|_| policy == Some(PortAssignment::Sequential));
        let pool = policy.and_then(|policy| match policy {
            PortAssignment::Preserving | PortAssignment::Sequential => None,
            // The seen range leaves out about one gap at each end.
            PortAssignment::Block => Some((width * (count + 1.0) / (count - 1.0)).round() as u32),
            PortAssignment::Random => Some(ALL_PORTS),
        });
        Some(Self {
            policy,
            step,
            range,
            parity: parity(&samples),
            next_port: step.and_then(|step| next_port(&samples, step)),
            pool,
            spray: pool.map(|pool| Spray {
                sockets: SOCKETS,
                probes: PROBES,
                odds: spray_odds(pool, SOCKETS, PROBES),
            }),
            samples,
        })
    }
}

/// The spray that the odds are told for: what a careful peer would send.
const SOCKETS: u32 = 256;
const PROBES: u32 = 1024;

/// Below it no policy is named.
const ENOUGH: usize = 6;

/// The step that most mappings are from their neighbour, whatever the order in
/// which lost packets let them be born; or, where others' mappings lie between
/// most of ours, the one that all gaps are a multiple of, if nearly every
/// mapping is further than the one before. The order of birth tells the sign.
fn step(samples: &[Sample]) -> Option<i32> {
    let born: Vec<i32> = samples.iter().map(|s| i32::from(s.outer)).collect();
    let mut sorted = born.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < ENOUGH {
        return None;
    }
    let gaps: Vec<i32> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = |gap| gaps.iter().filter(|&&g| g == gap).count();
    let usual = gaps.iter().copied().max_by_key(|&gap| count(gap))?;
    let up = born.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let steps = born.len() - 1;
    let trend = up.max(steps - up) as f64 / steps as f64;
    let crowded = trend >= TREND && gaps.iter().all(|&gap| gap <= CROWD);
    let size = if 2 * count(usual) > gaps.len() {
        usual
    } else {
        gaps.iter().copied().reduce(gcd).filter(|_| crowded)?
    };
    let sign = if 2 * up >= steps { 1 } else { -1 };
    (size <= CROWD).then_some(sign * size)
}

/// So much of a random order goes one way once in ten thousand times (of 16).
const TREND: f64 = 0.85;

/// The largest gap, in ports, that is still a sequence.
const CROWD: i32 = 64;

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One step beyond the newest. What is one step beyond the last answer may
/// have been given out, too, when an answer was lost.
fn next_port(samples: &[Sample], step: i32) -> Option<u16> {
    let given = |port: i32| samples.iter().any(|s| i32::from(s.outer) == port);
    let mut next = i32::from(samples.last()?.outer) + step;
    while given(next) {
        next += step;
    }
    u16::try_from(next).ok()
}

/// One mapping of the other parity is a no; a yes takes many that agree.
fn parity(samples: &[Sample]) -> Option<bool> {
    let kept = samples.iter().all(|s| s.inner % 2 == s.outer % 2);
    let strict = samples.iter().all(|s| s.inner == s.outer);
    let by_chance = 0.5_f64.powf(samples.len() as f64);
    match kept {
        false => Some(false),
        true => (strict || by_chance < FOOLED).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outer: &[u16]) -> Allocation {
        // Inner ports as the system gives them: without a pattern.
        let inner = (0..).map(|i: u16| 33000 + i.wrapping_mul(7919) % 20000);
        let samples = inner
            .zip(outer)
            .map(|(inner, &outer)| Sample { inner, outer });
        Allocation::of(samples.collect()).unwrap()
    }

    #[test]
    fn kept_ports_are_preserving_even_with_a_collision() {
        let kept = |inner| Sample {
            inner,
            outer: inner,
        };
        let mut samples = vec![kept(40000), kept(41000), kept(42001)];
        assert_eq!(Allocation::of(samples.clone()).unwrap().parity, Some(true));
        samples[2].outer = 1024;
        let found = Allocation::of(samples).unwrap();
        assert_eq!(
            (found.policy, found.parity),
            (Some(PortAssignment::Preserving), Some(false))
        );
    }

    #[test]
    fn sequences_survive_gaps_and_wraps() {
        let found = of(&[40000, 40001, 40002, 40003, 40004, 40005, 40006]);
        assert_eq!(
            (found.policy, found.step),
            (Some(PortAssignment::Sequential), Some(1))
        );
        assert_eq!((found.next_port, found.spray), (Some(40007), None));
        let found = of(&[50000, 50002, 50004, 50010, 50012, 50014, 40000, 40002]);
        assert_eq!((found.step, found.next_port), (Some(2), Some(40004)));
        let found = of(&[9007, 9006, 9005, 9004, 9003, 9002]);
        assert_eq!((found.step, found.next_port), (Some(-1), Some(9001)));
        assert_eq!(
            of(&[5, 4, 3, 2, 1, 0]).next_port,
            None,
            "there is no port -1"
        );
    }

    #[test]
    fn a_block_is_told_from_all_ports() {
        let block = of(&[40010, 40499, 40123, 40300, 40051, 40222, 40431, 40077]);
        assert_eq!(
            (block.policy, block.range),
            (Some(PortAssignment::Block), [40010, 40499])
        );
        assert!((500..800).contains(&block.pool.unwrap()), "{block:?}");
        assert_eq!(block.spray.unwrap().odds, 1.0);
        let random = of(&[1843, 60123, 33000, 12345, 51111, 23456, 9999, 40222]);
        assert_eq!(
            (random.policy, random.pool),
            (Some(PortAssignment::Random), Some(64512))
        );
        // Less than half of all ports, as once in two thousand times.
        let near: Vec<u16> = (0..14).map(|i| 20000 + i * 4567 % 14 * 2240).collect();
        assert_eq!(of(&near).policy, Some(PortAssignment::Random));
        assert_eq!(of(&[1843, 60123]).policy, None, "two are too few");
        assert_eq!(Allocation::of(vec![]), None);
    }
}

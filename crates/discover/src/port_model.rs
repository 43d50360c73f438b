//! A model of the port assignment (RFC 4787 §4.2), and the odds for a peer that has to guess a port.

use nat::plan::spray_odds;
use nat::{ALL_PORTS, MAX_STEP, PortAssignment};
use serde::Serialize;

/// The inside and the outside port of one mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// The host's own port.
    #[serde(rename = "inner")]
    pub inside: u16,
    /// The port that the NAT assigned.
    #[serde(rename = "outer")]
    pub outside: u16,
}

/// A model of the port assignment, from the mappings that were seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PortModel {
    /// How ports are assigned. `None`: too few samples.
    pub policy: Option<PortAssignment>,
    /// The step from one port to the next, if sequential.
    pub step: Option<i32>,
    /// The lowest and the highest port seen.
    pub range: [u16; 2],
    /// Whether even ports are mapped to even ones and odd to odd (RFC 4787 REQ-4). `None`: too few
    /// samples.
    pub parity: Option<bool>,
    /// The port of the next mapping, if sequential.
    pub next_port: Option<u16>,
    /// How many ports the next mapping may be assigned, as estimated.
    pub pool: Option<u32>,
    /// The odds of a spray, unless ports are preserved or predicted.
    pub spray: Option<Spray>,
    /// The mappings, in the order of creation.
    pub samples: Vec<Sample>,
}

/// The odds that a peer's guesses hit one of many mappings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spray {
    /// Sockets behind this NAT, each with a mapping towards the peer.
    pub sockets: u32,
    /// Distinct ports that the peer guesses.
    pub probes: u32,
    /// The chance that at least one guess hits.
    pub odds: f64,
}

/// Parity is kept if chance explains it with at most this probability.
const MAX_CHANCE_OF_PARITY: f64 = 1e-3;

/// Ports are of a block if chance explains their closeness with at most this probability. Six ports
/// of a block of 512 are this close by chance with 2e-10.
const MAX_CHANCE_OF_BLOCK: f64 = 1e-6;

impl PortModel {
    /// The model of these mappings, which are in the order of creation; `None` without any.
    pub fn of(samples: Vec<Sample>) -> Option<Self> {
        let ports = || samples.iter().map(|s| s.outside);
        let range = [ports().min()?, ports().max()?];
        let step = step(&samples);
        let count = samples.len() as f64;
        let width = f64::from(range[1] - range[0]) + 1.0;
        let kept = samples.iter().filter(|s| s.inside == s.outside).count();
        // The chance that as many random ports lie as close together.
        let by_chance = count * (width / f64::from(ALL_PORTS)).powf(count - 1.0);
        let policy = if 2 * kept > samples.len() {
            Some(PortAssignment::Preserving)
        } else if step.is_some() {
            Some(PortAssignment::Sequential)
        } else if samples.len() < MIN_SAMPLES {
            None
        } else if by_chance < MAX_CHANCE_OF_BLOCK {
            Some(PortAssignment::Block)
        } else {
            Some(PortAssignment::Random)
        };
        let step = step.filter(|_| policy == Some(PortAssignment::Sequential));
        let pool = policy.and_then(|policy| match policy {
            PortAssignment::Preserving | PortAssignment::Sequential => None,
            // The range that was seen lacks about one gap at each end.
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

/// The spray whose odds are reported: what a careful peer would send.
const SOCKETS: u32 = 256;
const PROBES: u32 = 1024;

/// With fewer samples no policy is named.
const MIN_SAMPLES: usize = 6;

/// The step between most neighbouring ports, whatever the order in which lost packets let them be
/// created. If other hosts' mappings lie between most of ours: the greatest common divisor of all
/// gaps, if nearly every port is beyond the one before. The order of creation gives the sign.
fn step(samples: &[Sample]) -> Option<i32> {
    let created: Vec<i32> = samples.iter().map(|s| i32::from(s.outside)).collect();
    let mut sorted = created.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() < MIN_SAMPLES {
        return None;
    }
    let gaps: Vec<i32> = sorted.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let count = |gap| gaps.iter().filter(|&&g| g == gap).count();
    let usual = gaps.iter().copied().max_by_key(|&gap| count(gap))?;
    let up = created.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let steps = created.len() - 1;
    let trend = up.max(steps - up) as f64 / steps as f64;
    let shared = trend >= TREND && gaps.iter().all(|&gap| gap <= MAX_STEP);
    let size = if 2 * count(usual) > gaps.len() {
        usual
    } else {
        gaps.iter().copied().reduce(gcd).filter(|_| shared)?
    };
    let sign = if 2 * up >= steps { 1 } else { -1 };
    (size <= MAX_STEP).then_some(sign * size)
}

/// A random order of 16 ports goes one way for this share once in ten thousand times.
const TREND: f64 = 0.85;

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One step beyond the newest port. A port one step beyond the last answer may have been assigned as
/// well, if an answer was lost.
fn next_port(samples: &[Sample], step: i32) -> Option<u16> {
    let assigned = |port: i32| samples.iter().any(|s| i32::from(s.outside) == port);
    let mut next = i32::from(samples.last()?.outside) + step;
    while assigned(next) {
        next += step;
    }
    u16::try_from(next).ok()
}

/// One mapping of the other parity is enough for a no. A yes takes many that agree.
fn parity(samples: &[Sample]) -> Option<bool> {
    let kept = samples.iter().all(|s| s.inside % 2 == s.outside % 2);
    let strict = samples.iter().all(|s| s.inside == s.outside);
    let by_chance = 0.5_f64.powf(samples.len() as f64);
    match kept {
        false => Some(false),
        true => (strict || by_chance < MAX_CHANCE_OF_PARITY).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outside: &[u16]) -> PortModel {
        // Inside ports as the system chooses them: without a pattern.
        let inside = (0..).map(|i: u16| 33000 + i.wrapping_mul(7919) % 20000);
        let samples = inside
            .zip(outside)
            .map(|(inside, &outside)| Sample { inside, outside });
        PortModel::of(samples.collect()).unwrap()
    }

    #[test]
    fn most_ports_preserved_means_preserving() {
        let kept = |inside| Sample {
            inside,
            outside: inside,
        };
        let mut samples = vec![kept(40000), kept(41000), kept(42001)];
        assert_eq!(PortModel::of(samples.clone()).unwrap().parity, Some(true));
        samples[2].outside = 1024;
        let found = PortModel::of(samples).unwrap();
        assert_eq!(
            (found.policy, found.parity),
            (Some(PortAssignment::Preserving), Some(false))
        );
    }

    #[test]
    fn a_sequence_with_gaps_or_a_wrap_is_sequential() {
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
    fn ports_of_a_block_are_told_from_random_ones() {
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
        assert_eq!(PortModel::of(vec![]), None);
    }
}

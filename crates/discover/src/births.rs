//! The mappings that came into being during a measurement.

use std::net::IpAddr;
use std::time::Instant;

use super::Discover;
use super::allocation::{Allocation, Sample};
use super::report::Asks;
use super::trial::Trial;
use nat::{Behaviour, Dependence::EndpointIndependent, PortAssignment};

/// Every mapping that was seen, in the order of their birth: a mapping of
/// one socket for several destinations counts once.
pub(super) fn allocation(discover: &Discover, behaviour: &Behaviour) -> Option<Allocation> {
    if behaviour.nat != Some(true) {
        return None;
    }
    // A cone gives the early socket another port only because it must.
    let cone = behaviour.mapping == Some(EndpointIndependent);
    let usual = |t: &&Trial| t.asks.is_plain() && !(cone && t.asks == Asks::AfterEarly);
    let plain = discover.trials.iter().filter(usual);
    let births: Vec<_> = plain
        .filter_map(|t| {
            let answer = t.answers.iter().find(|a| a.mapped.is_some())?;
            let inner = discover.locals[t.socket].port();
            let outer = answer.mapped?.port();
            Some((t.first_sent()?, answer.sent, Sample { inner, outer }))
        })
        .collect();
    // A packet may be lost before the NAT or after it: the first send has
    // made the mapping, or the one that was answered.
    let ordered = |by: fn(&(Instant, Instant, Sample)) -> Instant| {
        let mut births = births.clone();
        births.sort_by_key(by);
        let mut samples: Vec<Sample> = Vec::new();
        for (.., sample) in births {
            if !samples.contains(&sample) {
                samples.push(sample);
            }
        }
        Allocation::of(samples)
    };
    let [first, answered] = [ordered(|b| b.0), ordered(|b| b.1)];
    let is_sequential = |a: &Allocation| a.policy == Some(PortAssignment::Sequential);
    answered.filter(is_sequential).or(first)
}

/// The NAT's outer addresses, sorted.
pub(super) fn public_addresses(discover: &Discover, behaviour: &Behaviour) -> Vec<IpAddr> {
    let answers = discover.trials.iter().flat_map(|t| &t.answers);
    let mut seen: Vec<_> = answers.filter_map(|a| Some(a.mapped?.ip())).collect();
    seen.sort_unstable();
    seen.dedup();
    match behaviour.nat {
        Some(true) => seen,
        _ => Vec::new(),
    }
}

//! The mappings that a measurement created.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::port_model::{PortModel, Sample};
use super::test::{Test, TestKind};
use super::test_set::TestSet;
use nat::{Behaviour, Dependence::EndpointIndependent, PortAssignment};

/// The port assignment, from every mapping that was seen, in the order of creation. A mapping of one
/// socket that serves several destinations counts once.
pub(super) fn port_model(
    tests: &TestSet,
    locals: &[SocketAddr],
    behaviour: &Behaviour,
) -> Option<PortModel> {
    if behaviour.nat != Some(true) {
        return None;
    }
    // With a stable mapping, the early socket has another port only if the NAT has remapped it.
    let stable = behaviour.mapping == Some(EndpointIndependent);
    let usual = |t: &&Test| t.kind.is_plain() && !(stable && t.kind == TestKind::AfterEarly);
    let created: Vec<_> = tests
        .iter()
        .filter(usual)
        .filter_map(|t| {
            let answer = t.answers.iter().find(|a| a.mapped.is_some())?;
            let inside = locals[t.socket].port();
            let outside = answer.mapped?.port();
            Some((t.first_sent()?, answer.sent, Sample { inside, outside }))
        })
        .collect();
    // A packet may be lost before the NAT or after it: either the first send has created the
    // mapping, or the one that was answered.
    let ordered = |by: fn(&(Instant, Instant, Sample)) -> Instant| {
        let mut created = created.clone();
        created.sort_by_key(by);
        let mut samples: Vec<Sample> = Vec::new();
        for (.., sample) in created {
            if !samples.contains(&sample) {
                samples.push(sample);
            }
        }
        PortModel::of(samples)
    };
    let [first, answered] = [ordered(|m| m.0), ordered(|m| m.1)];
    let is_sequential = |a: &PortModel| a.policy == Some(PortAssignment::Sequential);
    answered.filter(is_sequential).or(first)
}

/// The NAT's public addresses, sorted.
pub(super) fn public_addresses(tests: &TestSet, behaviour: &Behaviour) -> Vec<IpAddr> {
    if behaviour.nat != Some(true) {
        return Vec::new();
    }
    let mut seen: Vec<_> = tests
        .answers()
        .filter_map(|a| Some(a.mapped?.ip()))
        .collect();
    seen.sort_unstable();
    seen.dedup();
    seen
}

//! From a natprobe report to the lab type that rebuilds the NAT that it saw.

use std::fmt::Write;

use anyhow::Context;
use nat::Dependence::{AddressAndPortDependent, EndpointIndependent};
use nat::{Behaviour, Class, PortAssignment, Schema};
use serde::Deserialize;

use crate::answer::Answer;
use crate::args::ProfileArgs;
use crate::{input, output};

/// A natprobe report, as far as the lab can rebuild it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Report {
    #[serde(default, rename = "schema")]
    _schema: Schema,
    #[serde(flatten)]
    behaviour: Behaviour,
    #[serde(default)]
    allocation: Option<Allocation>,
    #[serde(default)]
    public_addresses: Vec<String>,
    #[serde(default)]
    remaps_after_early_inbound: Option<bool>,
    #[serde(default)]
    hairpin: Option<Hairpin>,
    #[serde(default)]
    lifetime: Option<Lifetime>,
    #[serde(default)]
    path: Option<Path>,
}

#[derive(Clone, Debug, Deserialize)]
struct Allocation {
    policy: Option<PortAssignment>,
}

#[derive(Clone, Debug, Deserialize)]
struct Hairpin {
    works: bool,
}

#[derive(Clone, Debug, Deserialize)]
struct Lifetime {
    dead_s: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
struct Path {
    nats_in_series: Option<bool>,
}

/// Why there is no type.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// It does not say what the NAT is.
    NotAReport,
    /// The lab has no such NAT.
    CannotRebuild(String),
}

/// Prints the type, or the reason why there is none on stderr.
///
/// # Errors
/// When the report cannot be read or is not one.
pub fn run(args: &ProfileArgs) -> anyhow::Result<Answer> {
    let name = args.report.display();
    let text = input::text(&args.report)?;
    let not_a_report = || format!("{name} is not a report of natprobe");
    let report: Report = serde_json::from_str(&text).with_context(not_a_report)?;
    match lab_type(&report) {
        Ok(spec) => {
            output::print(&format!("{spec}\n"))?;
            Ok(Answer::Yes)
        }
        Err(Refusal::NotAReport) => {
            anyhow::bail!("{}, or natprobe could not tell", not_a_report())
        }
        Err(Refusal::CannotRebuild(reason)) => {
            output::log(format_args!("{name}: {reason}"));
            Ok(Answer::No)
        }
    }
}

/// `TYPE[,KEY=VALUE…]`, as lab/netns.sh takes it.
pub fn lab_type(report: &Report) -> Result<String, Refusal> {
    let class = report.behaviour.class();
    if class.is_none() && report.behaviour.nat.is_none() {
        return Err(Refusal::NotAReport);
    }
    match (class, report.behaviour.filtering) {
        (Some(Class::UdpBlocked), _) => Ok("udp-blocked".into()),
        (Some(Class::Open), _) => Ok("open".into()),
        (Some(Class::Firewall), Some(AddressAndPortDependent)) => Ok("firewall".into()),
        (Some(Class::Firewall), Some(filtering)) => cannot(format!(
            "the lab has no firewall with {filtering} filtering"
        )),
        _ => translated(report),
    }
}

/// The type of a NAT.
fn translated(report: &Report) -> Result<String, Refusal> {
    let Behaviour {
        mapping, filtering, ..
    } = report.behaviour;
    let policy = report.allocation.as_ref().and_then(|found| found.policy);
    let Some(mapping) = mapping else {
        return untested("mapping");
    };
    let Some(filtering) = filtering else {
        return untested("filtering");
    };
    let Some(policy) = policy else {
        return untested("allocation of ports");
    };
    let in_series = report.path.as_ref().and_then(|path| path.nats_in_series);
    let mut spec;
    let mut is_cone = false;
    if report.remaps_after_early_inbound == Some(true) {
        if policy != PortAssignment::Preserving || filtering != AddressAndPortDependent {
            return cannot(
                "the lab's only NAT that remaps after early packets is masquerade, which \
                 preserves ports and has address-and-port-dependent filtering",
            );
        }
        spec = "masquerade".to_owned();
    } else if in_series == Some(true) {
        let carrier = (
            EndpointIndependent,
            AddressAndPortDependent,
            PortAssignment::Block,
        );
        if (mapping, filtering, policy) != carrier {
            return cannot(
                "the lab's only two NATs in series are cgnat: endpoint-independent mapping, \
                 address-and-port-dependent filtering, a block of ports",
            );
        }
        spec = "cgnat".to_owned();
    } else {
        is_cone = true;
        spec = format!("full-cone,ports={}", ports(policy));
        if mapping != EndpointIndependent {
            add(&mut spec, "mapping", mapping);
        }
        if filtering != EndpointIndependent {
            add(&mut spec, "filtering", filtering);
        }
        if report.hairpin.as_ref().is_some_and(|hairpin| hairpin.works) {
            add(&mut spec, "hairpin", "on");
        }
    }
    // A pool is what was seen of it: a report with one address may have missed the others.
    match report.public_addresses.as_slice() {
        [] | [_] => {}
        [_, _] if is_cone => add(&mut spec, "addresses", 2),
        more => {
            return cannot(format!(
                "it saw the public addresses {}, and the lab's pools have two addresses, in \
                 front of one NAT that is not masquerade",
                more.join(", ")
            ));
        }
    }
    // The silence that ended a mapping ends it in the lab as well, and a shorter one does not.
    if let Some(seconds) = report.lifetime.as_ref().and_then(|found| found.dead_s) {
        add(&mut spec, "timeout", format_args!("{seconds}s"));
    }
    Ok(spec)
}

fn add(spec: &mut String, key: &str, value: impl std::fmt::Display) {
    let _ = write!(spec, ",{key}={value}");
}

/// The lab's word for a port policy.
fn ports(policy: PortAssignment) -> &'static str {
    match policy {
        PortAssignment::Preserving => "preserve",
        PortAssignment::Sequential => "sequential",
        PortAssignment::Block => "block",
        PortAssignment::Random => "random",
    }
}

fn cannot<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::CannotRebuild(reason.into()))
}

fn untested<T>(axis: &str) -> Result<T, Refusal> {
    cannot(format!("it leaves the {axis} untested"))
}

#[cfg(test)]
mod tests {
    use nat::Dependence;
    use proptest::prelude::*;

    use super::*;

    const PORTS: [PortAssignment; 4] = [
        PortAssignment::Preserving,
        PortAssignment::Sequential,
        PortAssignment::Block,
        PortAssignment::Random,
    ];

    fn report(json: &str) -> Report {
        serde_json::from_str(json).unwrap()
    }

    /// A NAT's report, as natprobe writes it.
    fn nat(mapping: &str, filtering: &str, policy: &str, more: &str) -> Report {
        report(&format!(
            r#"{{"verdict":"measured","nat":true,"mapping":"{mapping}","filtering":"{filtering}",
                "class":"symmetric","allocation":{{"policy":"{policy}","range":[1,2]}}{more}}}"#
        ))
    }

    const E: &str = "endpoint-independent";
    const A: &str = "address-dependent";
    const P: &str = "address-and-port-dependent";

    #[test]
    fn a_report_is_rebuilt() {
        let plain = |json: &str| report(json);
        for (report, spec) in [
            (plain(r#"{"class":"udp-blocked"}"#), "udp-blocked"),
            (
                plain(&format!(
                    r#"{{"nat":false,"mapping":"{E}","filtering":"{E}"}}"#
                )),
                "open",
            ),
            (
                plain(&format!(
                    r#"{{"nat":false,"mapping":"{E}","filtering":"{P}"}}"#
                )),
                "firewall",
            ),
            (nat(E, E, "preserving", ""), "full-cone,ports=preserve"),
            (
                nat(E, A, "sequential", ""),
                "full-cone,ports=sequential,filtering=address-dependent",
            ),
            (
                nat(P, P, "random", r#","hairpin":{"works":false}"#),
                "full-cone,ports=random,mapping=address-and-port-dependent,\
                 filtering=address-and-port-dependent",
            ),
            (
                nat(
                    E,
                    E,
                    "block",
                    r#","hairpin":{"works":true},"lifetime":{"alive_s":2,"dead_s":3}"#,
                ),
                "full-cone,ports=block,hairpin=on,timeout=3s",
            ),
            (
                nat(
                    E,
                    P,
                    "preserving",
                    r#","remaps_after_early_inbound":true,"lifetime":{"dead_s":3}"#,
                ),
                "masquerade,timeout=3s",
            ),
            (
                nat(E, P, "block", r#","path":{"nats_in_series":true}"#),
                "cgnat",
            ),
            (
                nat(
                    E,
                    E,
                    "preserving",
                    r#","public_addresses":["203.0.113.17","203.0.113.18"]"#,
                ),
                "full-cone,ports=preserve,addresses=2",
            ),
            (
                nat(
                    E,
                    E,
                    "preserving",
                    r#","public_addresses":["203.0.113.17"],"lifetime":{"dead_s":null}"#,
                ),
                "full-cone,ports=preserve",
            ),
        ] {
            assert_eq!(lab_type(&report).as_deref(), Ok(spec), "{report:?}");
        }
    }

    #[test]
    fn what_the_lab_cannot_be_is_refused_with_the_reason() {
        let two = r#","public_addresses":["203.0.113.17","203.0.113.18"]"#;
        let three = r#","public_addresses":["192.0.2.1","192.0.2.2","192.0.2.3"]"#;
        for (report, reason) in [
            (report(r#"{"nat":true}"#), "leaves the mapping untested"),
            (
                report(&format!(r#"{{"nat":true,"mapping":"{E}"}}"#)),
                "leaves the filtering untested",
            ),
            (
                report(&format!(
                    r#"{{"nat":true,"mapping":"{E}","filtering":"{E}","allocation":null}}"#
                )),
                "leaves the allocation of ports untested",
            ),
            (
                report(&format!(
                    r#"{{"nat":false,"mapping":"{E}","filtering":"{A}"}}"#
                )),
                "no firewall with address-dependent filtering",
            ),
            (
                nat(E, P, "random", r#","remaps_after_early_inbound":true"#),
                "only NAT that remaps after early packets is masquerade",
            ),
            (
                nat(E, P, "random", r#","path":{"nats_in_series":true}"#),
                "only two NATs in series are cgnat",
            ),
            (
                nat(E, E, "preserving", three),
                "192.0.2.1, 192.0.2.2, 192.0.2.3",
            ),
            (
                nat(
                    E,
                    P,
                    "preserving",
                    &format!(r#"{two},"remaps_after_early_inbound":true"#),
                ),
                "one NAT that is not masquerade",
            ),
        ] {
            match lab_type(&report) {
                Err(Refusal::CannotRebuild(said)) => assert!(said.contains(reason), "{said}"),
                other => panic!("{report:?} became {other:?}"),
            }
        }
        assert_eq!(lab_type(&report("{}")), Err(Refusal::NotAReport));
    }

    fn axis() -> impl Strategy<Value = Option<Dependence>> {
        prop::option::of(prop::sample::select(Dependence::ALL.to_vec()))
    }

    proptest! {
        /// A type never claims another axis than the report has.
        #[test]
        fn a_type_keeps_what_was_measured(
            mapping in axis(),
            filtering in axis(),
            nat in prop::option::of(any::<bool>()),
            policy in prop::option::of(prop::sample::select(PORTS.to_vec())),
            remaps in prop::option::of(any::<bool>()),
            in_series in prop::option::of(any::<bool>()),
            works in prop::option::of(any::<bool>()),
            dead_s in prop::option::of(1..99_999u64),
            pool in 0..4usize,
        ) {
            let report = Report {
                _schema: Schema,
                behaviour: Behaviour { nat, mapping, filtering, udp_blocked: false },
                allocation: Some(Allocation { policy }),
                public_addresses: (0..pool).map(|i| format!("192.0.2.{i}")).collect(),
                remaps_after_early_inbound: remaps,
                hairpin: works.map(|works| Hairpin { works }),
                lifetime: Some(Lifetime { dead_s }),
                path: Some(Path { nats_in_series: in_series }),
            };
            let Ok(spec) = lab_type(&report) else { return Ok(()) };
            let (name, rest) = spec.split_once(',').unwrap_or((&spec, ""));
            let said = |key: &str| {
                let mut words = rest.split(',');
                words.find_map(|word| word.strip_prefix(&format!("{key}=")).map(str::to_owned))
            };
            let (own_mapping, own_filtering) = match name {
                "open" | "full-cone" => (EndpointIndependent, EndpointIndependent),
                "firewall" | "masquerade" | "cgnat" => (EndpointIndependent, AddressAndPortDependent),
                _ => panic!("{spec} is not to be expected"),
            };
            let axis = |key: &str, own: Dependence| said(key).unwrap_or(own.to_string());
            if nat == Some(true) {
                // Masquerade's mapping is not checked, since early packets hide it.
                if name != "masquerade" {
                    prop_assert_eq!(axis("mapping", own_mapping), mapping.unwrap().to_string());
                }
                prop_assert_eq!(said("timeout"), dead_s.map(|s| format!("{s}s")));
                prop_assert_eq!(said("addresses").is_some(), pool == 2);
            } else {
                prop_assert!(matches!(name, "open" | "firewall"), "{}", spec);
            }
            prop_assert_eq!(axis("filtering", own_filtering), filtering.unwrap().to_string());
            prop_assert_eq!(name == "masquerade", nat == Some(true) && remaps == Some(true));
            if let Some(policy) = said("ports") {
                prop_assert_eq!(policy, ports(report.allocation.unwrap().policy.unwrap()));
            }
        }
    }
}

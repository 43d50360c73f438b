//! The port assignment, as the prober measures it.

use nat::PortAssignment;

use super::*;

#[test]
fn the_port_assignment_of_every_type_is_measured_rightly() {
    let expected = [
        ("full-cone", PortAssignment::Preserving),
        ("masquerade", PortAssignment::Preserving),
        ("symmetric", PortAssignment::Random),
        ("symmetric-sequential", PortAssignment::Sequential),
        ("symmetric-block", PortAssignment::Block),
        ("address-dependent", PortAssignment::Random),
    ];
    for (name, policy) in expected {
        for seed in 0..20 {
            let mut scenario = Scenario::named(name);
            (scenario.seed, scenario.loss) = (seed, if seed < 10 { 0.0 } else { 10.0 });
            let report = scenario.run();
            let found = report.allocation.as_ref().unwrap();
            assert_eq!(found.policy, Some(policy), "{name} {seed}: {report:#?}");
            assert_eq!(
                found.parity,
                Some(policy == PortAssignment::Preserving),
                "{name} {seed}"
            );
        }
        let report = Scenario::named(name).run();
        assert_eq!(report.public_addresses, [ip("198.51.100.1")]);
        let found = report.allocation.unwrap();
        if policy == PortAssignment::Sequential {
            // 3 of the mapping socket, 4 of the filtering ones, 2 of the early one, 14 more.
            assert_eq!(
                (found.step, found.next_port),
                (Some(1), Some(40023)),
                "{found:#?}"
            );
        }
    }
    assert_eq!(Scenario::named("open").run().allocation, None);
}

#[test]
fn a_full_cone_that_does_not_preserve_ports_takes_one_round_trip_more() {
    for ports in [
        sim::Ports::Random,
        sim::Ports::Sequential {
            first: 40000,
            step: 2,
        },
    ] {
        let mut profile = Profile::named("full-cone").unwrap();
        profile.ports = ports;
        let report = Scenario::behind(&[profile]).run();
        assert!(report.elapsed_ms < 3.0, "{}", report.elapsed_ms);
        assert_eq!(report.port_preservation, Some(false));
        assert_ne!(
            report.allocation.unwrap().policy,
            Some(PortAssignment::Preserving)
        );
    }
}

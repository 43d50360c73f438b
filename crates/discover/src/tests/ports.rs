//! How ports are chosen, as the prober sees it.

use nat::PortAssignment;

use super::*;

#[test]
fn the_choice_of_ports_is_seen() {
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
            let mut scene = Scene::named(name);
            (scene.seed, scene.loss) = (seed, if seed < 10 { 0.0 } else { 10.0 });
            let report = scene.run();
            let found = report.allocation.as_ref().unwrap();
            assert_eq!(found.policy, Some(policy), "{name} {seed}: {report:#?}");
            assert_eq!(
                found.parity,
                Some(policy == PortAssignment::Preserving),
                "{name} {seed}"
            );
        }
        let report = Scene::named(name).run();
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
    assert_eq!(Scene::named("open").run().allocation, None);
}

#[test]
fn a_cone_with_other_ports_takes_one_round_trip_more() {
    for ports in [
        sim::Ports::Random,
        sim::Ports::Sequential {
            first: 40000,
            step: 2,
        },
    ] {
        let mut profile = Profile::named("full-cone").unwrap();
        profile.ports = ports;
        let report = Scene::behind(&[profile]).run();
        assert!(report.elapsed_ms < 3.0, "{}", report.elapsed_ms);
        assert_eq!(report.port_preservation, Some(false));
        assert_ne!(
            report.allocation.unwrap().policy,
            Some(PortAssignment::Preserving)
        );
    }
}

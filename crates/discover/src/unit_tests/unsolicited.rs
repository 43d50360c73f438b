//! Unsolicited packets, and remapping after early ones.

use std::time::Duration;

use nat::Dependence::*;
use sim::Profile;

use super::scenario::{Fault, Scenario};
use crate::Unsolicited;

#[test]
fn only_a_bare_masquerade_remaps_after_early_packets() {
    for name in Profile::NAMES {
        let profile = Profile::named(name).unwrap();
        let stable = profile.behaviour().mapping == Some(EndpointIndependent);
        let expected = stable.then_some(profile.remaps_after_early_inbound);
        for seed in 0..20 {
            let mut scenario = Scenario::named(name);
            (scenario.seed, scenario.loss) = (seed, if seed < 10 { 0.0 } else { 10.0 });
            let report = scenario.run();
            let got = report.remaps_after_early_inbound;
            // Under loss it may remain untested, but never be wrong.
            assert!(
                got == expected || (scenario.loss > 0.0 && got.is_none()),
                "{name}: {report:#?}"
            );
        }
    }
}

/// Some of the early packets come after the socket has sent to their source, and are let in.
#[test]
fn early_packets_that_are_late_leave_those_that_were_not() {
    for name in Profile::NAMES {
        let usual = Scenario::named(name).run();
        let report = Scenario::named(name).fault(Fault::Stalls).run();
        let remaps = report.remaps_after_early_inbound;
        assert_eq!(remaps, usual.remaps_after_early_inbound, "{report:#?}");
    }
    let mut used = Scenario::named("port-restricted").fault(Fault::Stalls);
    used.used = vec![5];
    let report = used.run();
    assert_eq!(report.remaps_after_early_inbound, None, "{report:#?}");
}

#[test]
fn what_the_sender_of_an_unsolicited_packet_receives_is_measured() {
    use Unsolicited::*;
    for name in Profile::NAMES {
        let mut profile = Profile::named(name).unwrap();
        for (code, refusal) in [
            (None, Silence),
            (Some(0), IcmpUnreachable),
            (Some(1), IcmpHostUnreachable),
            (Some(3), IcmpPortUnreachable),
            (Some(9), IcmpAdminProhibited),
            (Some(13), IcmpAdminProhibited),
        ] {
            profile.refuses = code;
            let expected = match profile.filtering {
                _ if profile.blocks_udp => None,
                EndpointIndependent => Some(Delivered),
                _ => Some(refusal),
            };
            let mut told = 0;
            for seed in 0..20 {
                let mut scenario = Scenario::behind(std::slice::from_ref(&profile));
                (scenario.seed, scenario.loss) = (seed, if seed < 2 { 0.0 } else { 10.0 });
                let report = scenario.run();
                let got = report.unsolicited;
                told += u32::from(got.is_some());
                // Under loss it may remain untested, but never be wrong.
                assert!(
                    got == expected || (scenario.loss > 0.0 && got.is_none()),
                    "{name} {seed}: {report:#?}"
                );
            }
            assert!(told >= 15 || expected.is_none(), "{name} {code:?}: {told}");
        }
    }
    let masquerade = Scenario::named("masquerade").run();
    assert_eq!(masquerade.unsolicited, Some(IcmpPortUnreachable));
}

#[test]
fn heavy_loss_of_icmp_is_not_taken_for_silence() {
    for seed in 0..200 {
        let mut scenario = Scenario::named("masquerade");
        (scenario.loss, scenario.seed) = (50.0, seed);
        let got = scenario.run().unsolicited;
        assert_ne!(got, Some(Unsolicited::Silence), "{seed}");
    }
}

#[test]
fn asking_for_icmp_errors_takes_no_extra_time() {
    for name in ["restricted", "masquerade"] {
        let report = Scenario::named(name).run();
        assert!(report.unsolicited.is_some());
        // A round trip, four times 20 ms, and the wait.
        assert!(report.elapsed_ms < 231.0, "{}", report.elapsed_ms);
        let mut slow = Scenario::named(name);
        slow.hop = Duration::from_millis(75);
        assert_eq!(slow.run().unsolicited, report.unsolicited);
    }
}

#[test]
fn a_server_that_reports_no_icmp_errors_is_not_taken_for_silence() {
    use Fault::*;
    for fault in [
        Old,
        OneAddress,
        IgnoresChange,
        OtherIsDead,
        FarthestIsDead,
        NoOtherAddress,
    ] {
        for name in ["restricted", "port-restricted", "masquerade", "symmetric"] {
            let report = Scenario::named(name).fault(fault).run();
            assert_eq!(report.unsolicited, None, "{name}: {report:#?}");
        }
    }
    let cone = Scenario::named("full-cone").fault(FarthestIsDead).run();
    assert_eq!(cone.behaviour.filtering, None, "{cone:#?}");
    // The NAT treats one socket's port differently, because of an earlier mapping.
    let report = Scenario::named("port-restricted").fault(OneRefused).run();
    assert_eq!(report.unsolicited, None);
    // A packet that is let in shows without the server's help.
    let cone = Scenario::named("full-cone").fault(Old).run();
    assert_eq!(cone.unsolicited, Some(Unsolicited::Delivered));
}

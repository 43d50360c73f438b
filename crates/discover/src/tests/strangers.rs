//! What becomes of packets that nobody asked for, and of ours after them.

use super::*;

#[test]
fn early_packets_remap_behind_a_bare_masquerade_alone() {
    for name in Profile::NAMES {
        let profile = Profile::named(name).unwrap();
        let stable = profile.behaviour().mapping == Some(EndpointIndependent);
        let expected = stable.then_some(profile.remaps_after_early_inbound);
        for seed in 0..20 {
            let mut scene = Scene::named(name);
            (scene.seed, scene.loss) = (seed, if seed < 10 { 0.0 } else { 10.0 });
            let report = scene.run();
            let got = report.remaps_after_early_inbound;
            // Under loss it may remain untested, but never be wrong.
            assert!(
                got == expected || (scene.loss > 0.0 && got.is_none()),
                "{name}: {report:#?}"
            );
        }
    }
}

#[test]
fn what_a_strangers_packet_gets_is_told() {
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
                let mut scene = Scene::behind(std::slice::from_ref(&profile));
                (scene.seed, scene.loss) = (seed, if seed < 2 { 0.0 } else { 10.0 });
                let report = scene.run();
                let got = report.unsolicited;
                told += u32::from(got.is_some());
                // Under loss it may remain untested, but never be wrong.
                assert!(
                    got == expected || (scene.loss > 0.0 && got.is_none()),
                    "{name} {seed}: {report:#?}"
                );
            }
            assert!(told >= 15 || expected.is_none(), "{name} {code:?}: {told}");
        }
    }
    let masquerade = Scene::named("masquerade").run();
    assert_eq!(masquerade.unsolicited, Some(IcmpPortUnreachable));
}

#[test]
fn heavy_loss_of_icmp_is_not_taken_for_silence() {
    for seed in 0..200 {
        let mut scene = Scene::named("masquerade");
        (scene.loss, scene.seed) = (50.0, seed);
        let got = scene.run().unsolicited;
        assert_ne!(got, Some(Unsolicited::Silence), "{seed}");
    }
}

#[test]
fn the_question_what_came_back_costs_no_time() {
    for name in ["restricted", "masquerade"] {
        let report = Scene::named(name).run();
        assert!(report.unsolicited.is_some());
        // A round trip, four times 20 ms, and the wait.
        assert!(report.elapsed_ms < 231.0, "{}", report.elapsed_ms);
        let mut slow = Scene::named(name);
        slow.hop = Duration::from_millis(75);
        assert_eq!(slow.run().unsolicited, report.unsolicited);
    }
}

#[test]
fn what_the_server_cannot_tell_is_not_taken_for_silence() {
    use Server::*;
    for server in [
        Old,
        OneAddress,
        IgnoresChange,
        OtherIsDead,
        FarthestIsDead,
        Untold,
    ] {
        for name in ["restricted", "port-restricted", "masquerade", "symmetric"] {
            let report = Scene::named(name).server(server).run();
            assert_eq!(report.unsolicited, None, "{name}: {report:#?}");
        }
    }
    let cone = Scene::named("full-cone").server(FarthestIsDead).run();
    assert_eq!(cone.behaviour.filtering, None, "{cone:#?}");
    // The port of one socket has a past, and with it another one's fate.
    let report = Scene::named("port-restricted").server(OneBounces).run();
    assert_eq!(report.unsolicited, None);
    // What comes in is seen without it.
    let cone = Scene::named("full-cone").server(Old).run();
    assert_eq!(cone.unsolicited, Some(Unsolicited::Delivered));
}

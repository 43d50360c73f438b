//! The prober against every type of NAT, under loss, and against bad servers.

mod ports;
mod scene;
mod strangers;

use super::*;
use nat::{Behaviour, Dependence::*};
use scene::{PORTS, S1, Scene, Server, ip};
use sim::Profile;

#[test]
fn every_type_is_measured_as_what_it_is_and_fast() {
    for name in Profile::NAMES {
        let profile = Profile::named(name).unwrap();
        for s2 in [false, true] {
            let mut scene = Scene::named(name);
            scene.s2 = s2;
            let report = scene.run();
            assert_eq!(report.behaviour, profile.behaviour(), "{name}: {report:#?}");
            assert!(report.elapsed_ms < 240.0, "{name}: {}", report.elapsed_ms);
            assert_eq!(report.notes, [], "{name}");
        }
    }
}

#[test]
fn where_all_answers_come_it_takes_two_round_trips() {
    for name in ["open", "full-cone"] {
        let report = Scene::named(name).run();
        assert!(report.elapsed_ms < 2.0, "{name}: {}", report.elapsed_ms);
    }
}

#[test]
fn every_pair_of_axes_is_told_apart() {
    for mapping in nat::Dependence::ALL {
        for filtering in nat::Dependence::ALL {
            let profile = Profile::new(mapping, filtering);
            let report = Scene::behind(std::slice::from_ref(&profile)).run();
            assert_eq!(report.behaviour, profile.behaviour());
        }
    }
}

#[test]
fn a_tenth_lost_each_way_changes_no_verdict() {
    for name in Profile::NAMES {
        let expected = Profile::named(name).unwrap().behaviour();
        for seed in 0..100 {
            let mut scene = Scene::named(name);
            (scene.loss, scene.seed) = (10.0, seed);
            let report = scene.run();
            assert_eq!(report.behaviour, expected, "{name}, {seed}: {report:#?}");
        }
    }
}

#[test]
fn one_port_that_the_nat_knows_already_changes_no_verdict() {
    for name in ["restricted", "port-restricted", "masquerade", "symmetric"] {
        let expected = Profile::named(name).unwrap().behaviour();
        for seed in 0..40 {
            let mut scene = Scene::named(name);
            (scene.loss, scene.seed) = (10.0, seed);
            for socket in 1..5 {
                scene.used = vec![socket];
                let report = scene.run();
                assert_eq!(report.behaviour, expected, "{name}, {seed}: {report:#?}");
            }
        }
    }
}

#[test]
fn one_port_that_a_stranger_has_sent_to_changes_no_verdict() {
    for name in Profile::NAMES {
        let expected = Profile::named(name).unwrap().behaviour();
        for seed in 0..20 {
            let mut scene = Scene::named(name);
            scene.strangers = vec![0];
            (scene.loss, scene.seed) = (if seed == 0 { 0.0 } else { 10.0 }, seed);
            let report = scene.run();
            assert_eq!(report.behaviour, expected, "{name}, {seed}: {report:#?}");
        }
    }
}

#[test]
fn heavy_loss_makes_it_silent_about_an_axis_but_not_wrong() {
    let expected = Profile::named("full-cone").unwrap().behaviour();
    for seed in 0..200 {
        let mut scene = Scene::named("full-cone");
        (scene.loss, scene.seed) = (50.0, seed);
        let got = scene.run().behaviour;
        assert!(got.udp_blocked || got.mapping.is_none() || got.mapping == expected.mapping);
        assert!(
            got.filtering.is_none() || got.filtering == expected.filtering,
            "{seed}"
        );
    }
}

#[test]
fn a_slow_link_is_waited_for() {
    for name in ["full-cone", "restricted", "port-restricted", "symmetric"] {
        let mut scene = Scene::named(name);
        scene.hop = Duration::from_millis(75);
        let report = scene.run();
        assert_eq!(report.behaviour, Profile::named(name).unwrap().behaviour());
        assert!(report.elapsed_ms < 3000.0, "{name}: {}", report.elapsed_ms);
    }
}

#[test]
fn what_waited_for_the_way_to_be_made_says_nothing_of_its_length() {
    let passes = |name: &&&str| **name != "udp-blocked";
    for name in Profile::NAMES.iter().filter(passes) {
        for s2 in [false, true] {
            let mut scene = Scene::named(name);
            scene.s2 = s2;
            let usual = scene.run();
            scene.tcp = false; // which would have to wait, too
            let report = scene.server(Server::FarAtFirst).run();
            assert_eq!(report.behaviour, usual.behaviour, "{name}");
            let remaps = report.remaps_after_early_inbound;
            assert_eq!(remaps, usual.remaps_after_early_inbound, "{name}");
            assert_eq!(report.unsolicited, usual.unsolicited, "{name}");
            let took = report.elapsed_ms - usual.elapsed_ms;
            assert!(took < 1500.0, "{name}, {s2}: {took}");
        }
    }
}

#[test]
fn two_nats_in_series_measure_as_the_stricter_of_each_axis() {
    let series = ["restricted", "symmetric-block"].map(|n| Profile::named(n).unwrap());
    let report = Scene::behind(&series).run();
    let expected = Behaviour::translated(AddressAndPortDependent, AddressAndPortDependent);
    assert_eq!(report.behaviour, expected);
}

#[test]
fn a_bare_masquerade_is_not_taken_for_symmetric() {
    let report = Scene::named("masquerade").run();
    assert_eq!(report.behaviour.mapping, Some(EndpointIndependent));
    assert_eq!(report.port_preservation, Some(true));
    let random = Scene::named("symmetric").run();
    assert_eq!(random.port_preservation, Some(false));
    assert_eq!(random.mapped.len(), 3);
}

#[test]
fn what_one_address_cannot_show_is_not_tested() {
    for name in ["full-cone", "port-restricted", "symmetric"] {
        let scene = Scene::named(name).server(Server::OneAddress);
        let report = scene.run();
        assert_eq!(report.verdict, Verdict::Measured);
        assert_eq!(report.behaviour.nat, Some(true));
        assert_eq!(report.behaviour.mapping, None);
        assert_eq!(report.behaviour.filtering, None);
        assert!(scene.notes().contains(&NoteCode::OneAddress));
        assert!(report.elapsed_ms < 2.0, "nothing to wait for");
    }
}

#[test]
fn two_plain_servers_tell_the_mapping_and_no_filtering() {
    for (name, mapping) in [
        ("full-cone", EndpointIndependent),
        ("symmetric", AddressDependent),
    ] {
        let mut scene = Scene::named(name).server(Server::Untold);
        scene.s2 = true;
        let report = scene.run();
        assert_eq!(report.behaviour.mapping, Some(mapping), "at least");
        assert_eq!(report.behaviour.filtering, None);
        let at_least = scene.notes().contains(&NoteCode::AtLeast);
        assert_eq!(at_least, name == "symmetric");
    }
}

#[test]
fn a_server_that_ignores_change_request_is_no_proof_of_a_cone() {
    for name in ["open", "full-cone", "port-restricted"] {
        let scene = Scene::named(name).server(Server::IgnoresChange);
        let report = scene.run();
        assert_eq!(report.behaviour.mapping, Some(EndpointIndependent));
        assert_eq!(report.behaviour.filtering, None, "{name}");
        assert!(scene.notes().contains(&NoteCode::IgnoresChangeRequest));
    }
}

#[test]
fn a_server_that_answers_from_elsewhere_is_named() {
    let scene = Scene::named("full-cone").server(Server::WrongSource);
    assert!(scene.notes().contains(&NoteCode::WrongSource));
    // Behind a filtering NAT nothing of it gets in: that is no measurement.
    let report = Scene::named("port-restricted")
        .server(Server::WrongSource)
        .run();
    assert_ne!(report.verdict, Verdict::Measured);
}

#[test]
fn nonsense_for_an_other_address_is_none() {
    let (now, s1) = (Instant::now(), SocketAddr::new(ip(S1), PORTS[0]));
    for nonsense in ["[2001:db8::1]:8849", "203.0.113.2:0"] {
        let local = SocketAddr::new(ip("10.0.0.2"), 1);
        let mut prober = Discover::new(now, Config::new(s1, None), local, [0; 32]);
        let request = prober.poll_transmit().unwrap();
        let request = Message::parse(&request.payload).unwrap();
        let answer = stun::Builder::success(&request)
            .xor_mapped("198.51.100.1:40000".parse().unwrap())
            .other_address(nonsense.parse().unwrap());
        prober.handle_input(now, Input::datagram(0, s1, &answer.finish()));
        let sent = std::iter::from_fn(|| prober.poll_transmit());
        assert!(sent.into_iter().all(|t| t.to == s1), "{nonsense}");
    }
}

#[test]
fn a_dead_other_address_is_not_a_filter() {
    let scene = Scene::named("full-cone").server(Server::OtherIsDead);
    let report = scene.run();
    // The other port of the first address is alive, and it is let in.
    assert_eq!(report.behaviour.filtering, None, "{report:#?}");
    assert!(scene.notes().contains(&NoteCode::OtherAddressSilent));
    let strict = Scene::named("port-restricted").server(Server::OtherIsDead);
    let filtering = strict.run().behaviour.filtering;
    assert_eq!(filtering, Some(AddressAndPortDependent));
}

#[test]
fn a_silent_server_is_named_beside_one_that_answers() {
    let text = |report: &Report, code| {
        let mut notes = report.notes.iter();
        let note = notes.find(|note| note.code == code);
        note.unwrap_or_else(|| panic!("{report:#?}")).text.clone()
    };
    let mut scene = Scene::named("full-cone").server(Server::FirstIsDead);
    scene.s2 = true;
    let report = scene.run();
    assert_eq!(report.verdict, Verdict::Measured);
    assert_eq!(report.rtt_ms, None, "that of another server");
    let silent = text(&report, NoteCode::ServerSilent);
    assert!(silent.contains("203.0.113.1:8848"), "{silent}");
    assert_eq!(report.notes.len(), 1, "{report:#?}");
    // What the first one tells of itself is not what was asked.
    let mut scene = Scene::named("full-cone").server(Server::OtherIsDead);
    scene.s2 = true;
    let report = scene.run();
    let silent = text(&report, NoteCode::OtherAddressSilent);
    let wanted = "mapping was not tested: nothing was heard of 203.0.113.2:8848";
    assert_eq!(silent, wanted);
    assert!(report.rtt_ms.is_some());
}

#[test]
fn silence_is_blocked_only_where_the_host_is_known_to_be_up() {
    let up = Scene::named("full-cone").server(Server::Dead).run();
    assert_eq!(up.verdict, Verdict::UdpBlocked);
    assert!(up.elapsed_ms < 240.0, "{}", up.elapsed_ms);
    let mut scene = Scene::named("full-cone").server(Server::Dead);
    scene.tcp = false;
    let unknown = scene.run();
    assert_eq!(unknown.verdict, Verdict::CouldNotTell);
    assert_eq!(unknown.behaviour, Behaviour::default());
    assert_eq!(unknown.cause.unwrap().code, CauseCode::Silent);
    assert_eq!(unknown.elapsed_ms, BLIND_WAIT.as_millis() as f64);
}

#[test]
fn icmp_is_believed_after_who_sent_it() {
    let (now, s1) = (Instant::now(), SocketAddr::new(ip(S1), PORTS[0]));
    let blocked = (CauseCode::UdpBlocked, Verdict::UdpBlocked);
    let not_running = (CauseCode::ServerNotRunning, Verdict::CouldNotTell);
    for (offender, icmp, (code, verdict), says) in [
        (
            S1,
            3,
            not_running,
            "nothing listens on UDP 203.0.113.1:8848",
        ),
        (
            S1,
            13,
            not_running,
            "refuses UDP to 203.0.113.1:8848 (ICMP admin prohibited)",
        ),
        (
            "192.0.2.1",
            3,
            blocked,
            "192.0.2.1 refuses UDP to 203.0.113.1:8848 (ICMP port unreachable)",
        ),
    ] {
        let icmp = stun::Icmp {
            kind: 3,
            code: icmp,
        };
        let local = SocketAddr::new(ip("10.0.0.2"), 1);
        let mut prober = Discover::new(now, Config::new(s1, None), local, [0; 32]);
        prober.handle_input(now, Input::datagram(0, s1, b"garbage"));
        let error = |to| {
            Input::Icmp(IcmpError {
                socket: 0,
                to,
                offender: ip(offender),
                icmp,
                quoted: &[],
            })
        };
        prober.handle_input(now, error("203.0.113.1:9".parse().unwrap()));
        assert!(prober.report().is_none());
        prober.handle_input(now, error(s1));
        let report = prober.report().unwrap();
        assert_eq!(report.verdict, verdict);
        let cause = report.cause.as_ref().unwrap();
        assert_eq!(cause.code, code);
        assert!(cause.text.contains(says), "{}", cause.text);
    }
}

#[test]
fn two_measurements_differ_in_what_both_have_tested() {
    let [cone, strict] = ["full-cone", "symmetric"].map(|name| Scene::named(name).run());
    assert_eq!(cone.differences(&cone), Vec::<&str>::new());
    let fields = ["mapping", "filtering", "allocation"];
    assert_eq!(cone.differences(&strict), fields);
    let mut untested = strict.clone();
    untested.behaviour.filtering = None;
    assert_eq!(cone.differences(&untested), ["mapping", "allocation"]);
}

#[test]
fn what_was_heard_is_certain_and_what_was_not_nearly_so() {
    let cone = Scene::named("full-cone").run().confidence;
    assert_eq!((cone.mapping, cone.filtering), (Some(1.0), Some(1.0)));
    let strict = Scene::named("port-restricted").run().confidence;
    let filtering = strict.filtering.unwrap();
    assert!((1.0 - 1e-6..1.0).contains(&filtering), "{filtering}");
    let lone = Scene::named("full-cone").server(Server::OneAddress).run();
    assert_eq!(lone.confidence.filtering, None);
}

//! The prober where nothing comes, or nothing that can be used: what that shows of server and network.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::Behaviour;
use sansio::{IcmpError, Input, Protocol};
use stun::Message;

use super::scenario::{Fault, PORTS, S1, Scenario, ip};
use crate::{BLIND_WAIT, ByTcp, CauseCode, Config, Discover, Report, Verdict};

#[test]
fn silence_means_udp_blocked_only_if_the_server_answers_stun_by_tcp() {
    let up = Scenario::named("full-cone").fault(Fault::Dead).run();
    assert_eq!(up.verdict, Verdict::UdpBlocked);
    assert!(up.elapsed_ms < 240.0, "{}", up.elapsed_ms);
    let mut scenario = Scenario::named("full-cone").fault(Fault::Dead);
    for by_tcp in [ByTcp::Accepted, ByTcp::Reset] {
        scenario.by_tcp = by_tcp;
        let unknown = scenario.run();
        assert_eq!(unknown.verdict, Verdict::CouldNotTell, "{by_tcp:?}");
        assert_eq!(unknown.behaviour, Behaviour::default());
        assert_eq!(unknown.cause.unwrap().code, CauseCode::Silent);
        assert!(unknown.elapsed_ms < 240.0, "{}", unknown.elapsed_ms);
    }
    scenario.tcp = false;
    let unknown = scenario.run();
    assert_eq!(unknown.verdict, Verdict::CouldNotTell);
    assert_eq!(unknown.behaviour, Behaviour::default());
    assert_eq!(unknown.cause.unwrap().code, CauseCode::Silent);
    assert_eq!(unknown.elapsed_ms, BLIND_WAIT.as_millis() as f64);
}

#[test]
fn an_icmp_refusal_means_server_or_network_by_its_sender() {
    let (now, s1) = (Instant::now(), SocketAddr::new(ip(S1), PORTS[0]));
    let blocked = (CauseCode::UdpBlocked, Verdict::UdpBlocked);
    let by_router = (CauseCode::RouterRefuses, Verdict::CouldNotTell);
    let not_running = (CauseCode::ServerNotRunning, Verdict::CouldNotTell);
    for (offender, icmp, by_tcp, (code, verdict), says) in [
        (
            S1,
            3,
            None,
            not_running,
            "no process listens on UDP 203.0.113.1:8848",
        ),
        (
            S1,
            13,
            None,
            not_running,
            "refuses UDP to 203.0.113.1:8848 (ICMP administratively prohibited)",
        ),
        (
            "192.0.2.1",
            3,
            Some(ByTcp::Stun),
            blocked,
            "192.0.2.1 refuses UDP to 203.0.113.1:8848 (ICMP port unreachable)",
        ),
        (
            "192.0.2.1",
            13,
            Some(ByTcp::Reset),
            by_router,
            "192.0.2.1 refuses UDP to 203.0.113.1:8848 (ICMP administratively prohibited)",
        ),
    ] {
        let icmp = stun::Icmp {
            kind: 3,
            code: icmp,
        };
        let local = SocketAddr::new(ip("10.0.0.2"), 1);
        let mut prober = Discover::new(now, Config::new(s1, None), local, [0; 32]);
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
        // Whether the server runs is waited for where a router has refused.
        assert_eq!(prober.report().is_some(), offender == S1);
        if let Some(by_tcp) = by_tcp {
            prober.handle_tcp(Duration::from_millis(1), by_tcp);
        }
        let report = concluded(&mut prober);
        assert_eq!(report.verdict, verdict);
        let cause = report.cause.as_ref().unwrap();
        assert_eq!(cause.code, code);
        assert!(cause.text.contains(says), "{}", cause.text);
    }
}

/// Goes on without any more input.
fn concluded(prober: &mut Discover) -> Report {
    while let Some(at) = prober.poll_timeout() {
        prober.handle_timeout(at);
        while prober.poll_transmit().is_some() {}
    }
    prober.report().unwrap().clone()
}

#[test]
fn a_datagram_from_the_server_proves_that_udp_passes_and_is_described() {
    let (now, s1) = (Instant::now(), SocketAddr::new(ip(S1), PORTS[0]));
    for (kind, says) in [
        ("echo", "the request itself"),
        ("dns", "name server (DNS)"),
        ("fingerprint", "wrong FINGERPRINT"),
        ("other", "a STUN message that is not an answer"),
        ("bytes", "bytes that are not STUN"),
    ] {
        let local = SocketAddr::new(ip("10.0.0.2"), 1);
        let mut prober = Discover::new(now, Config::new(s1, None), local, [0; 32]);
        let sent = prober.poll_transmit().unwrap().payload;
        let request = Message::parse(&sent).unwrap();
        let answer = match kind {
            "echo" => sent.clone(),
            "dns" => vec![0, 1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            "fingerprint" => {
                let mut answer = stun::Builder::success(&request).finish();
                let length = answer.len() - 20 + 8;
                answer[3] = length as u8;
                answer.extend([0x80, 0x28, 0, 4, 1, 2, 3, 4]);
                answer
            }
            "other" => {
                let other = stun::binding_request([9; 12], None);
                stun::Builder::success(&Message::parse(&other).unwrap()).finish()
            }
            _ => b"garbage".to_vec(),
        };
        let elsewhere = "203.0.113.9:8848".parse().unwrap();
        prober.handle_input(now, Input::datagram(0, elsewhere, b"of another host"));
        prober.handle_input(now, Input::datagram(0, s1, &answer));
        // Even beside a STUN answer by TCP.
        prober.handle_tcp(Duration::from_millis(1), ByTcp::Stun);
        let report = concluded(&mut prober);
        assert_eq!(report.verdict, Verdict::CouldNotTell, "{kind}");
        let cause = report.cause.unwrap();
        assert_eq!(cause.code, CauseCode::NotStun, "{kind}");
        assert!(cause.text.contains(says), "{kind}: {}", cause.text);
    }
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_the_ipv4_address_and_one_of_no_host_does_not_count() {
    let (now, s1) = (Instant::now(), SocketAddr::new(ip(S1), PORTS[0]));
    let local = "192.0.2.7:1".parse().unwrap();
    let run = |reported: &str| {
        let mut prober = Discover::new(now, Config::new(s1, None), local, [0; 32]);
        while let Some(transmit) = prober.poll_transmit() {
            prober.handle_opened(transmit.socket, local);
            let request = Message::parse(&transmit.payload).unwrap();
            let answer = stun::Builder::success(&request).xor_mapped(reported.parse().unwrap());
            let input = answer.finish();
            prober.handle_input(now, Input::datagram(transmit.socket, s1, &input));
        }
        concluded(&mut prober)
    };
    let same = run("[::ffff:192.0.2.7]:1");
    assert_eq!(same.behaviour.nat, Some(false), "{same:#?}");
    assert_eq!(same.mapped, [local]);
    for bad in [
        "0.0.0.0:0",
        "0.0.0.0:40000",
        "198.51.100.1:0",
        "[::ffff:0.0.0.0]:7",
    ] {
        let report = run(bad);
        assert_eq!(report.verdict, Verdict::CouldNotTell, "{bad}");
        let cause = report.cause.unwrap();
        assert_eq!(cause.code, CauseCode::ServerRefuses, "{bad}");
        assert!(
            cause.text.contains("not an address of a host"),
            "{}",
            cause.text
        );
    }
}

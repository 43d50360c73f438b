//! Paths over routers that answer or are silent.

use stun::Icmp;

use super::*;

const SERVER: &str = "203.0.113.1:8848";
const OTHER: &str = "203.0.113.2:8849";
const OUTER: &str = "203.0.113.17:40000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Measures a path over these routers: hop `outer` has the reflexive address, and the routers of
/// `filters` let in only remotes that were sent to.
fn walk(hops: &[&str], outer: usize, filters: &[usize]) -> PathReport {
    walk_with(hops, outer, filters, false)
}

fn walk_with(hops: &[&str], outer: usize, filters: &[usize], hairpins: bool) -> PathReport {
    let mut now = Instant::now();
    let outer_address = (outer > 0).then_some(at(OUTER));
    let mut path = Path::new(now, at(SERVER), Some(at(OTHER)), outer_address, [1; 32]);
    let mut opened = vec![0; 3 * HOPS];
    while let Some(next) = path.poll_timeout() {
        while let Some(sent) = path.poll_transmit() {
            let ttl = usize::from(sent.ttl.unwrap_or(64));
            let length = if sent.to == at(OUTER) {
                outer + usize::from(hairpins)
            } else {
                hops.len() + 1
            };
            if sent.to == at(OTHER) {
                opened[sent.socket] = ttl;
            }
            if ttl < length {
                let offender = hops[ttl - 1].parse();
                if let Ok(offender) = offender {
                    let error = IcmpError {
                        socket: sent.socket,
                        to: sent.to,
                        offender,
                        icmp: Icmp { kind: 11, code: 0 },
                        quoted: &sent.payload,
                    };
                    path.handle_input(now, Input::Icmp(error));
                }
                continue;
            }
            let request = Message::parse(&sent.payload).unwrap();
            let changed = request.change_request().is_some();
            let through = filters.iter().all(|&filter| opened[sent.socket] > filter);
            let answer = Builder::success(&request).finish();
            if sent.to == at(SERVER) && (!changed || through) {
                let from = if changed { OTHER } else { SERVER };
                path.handle_input(now, Input::datagram(sent.socket, at(from), &answer));
            }
        }
        now = next;
        path.handle_timeout(now);
    }
    path.report().unwrap()
}

#[test]
fn one_nat_is_found_at_the_first_hop() {
    let found = walk(&["192.168.1.1", "203.0.113.254"], 1, &[1]);
    assert!(found.complete);
    assert_eq!(found.hops.len(), 2);
    assert_eq!(
        (found.public_at_hop, found.filter_at_hop),
        (Some(1), Some(1))
    );
    assert_eq!(found.nats_in_series, Some(false));
    let answered = found.quality.iter().map(|hop| (hop.sent, hop.answered));
    assert_eq!(
        Vec::from_iter(answered),
        [(20, 20); 3],
        "the server is last"
    );
    let hairpin = walk_with(&["192.168.1.1", "203.0.113.254"], 1, &[1], true);
    assert_eq!(
        (hairpin.public_at_hop, hairpin.nats_in_series),
        (Some(1), Some(false))
    );
    let cone = walk(&["192.168.1.1", "203.0.113.254"], 1, &[]);
    assert_eq!((cone.public_at_hop, cone.filter_at_hop), (Some(1), None));
}

#[test]
fn a_carrier_grade_nat_behind_a_home_router_is_found_in_series() {
    let found = walk(&["192.168.1.1", "100.64.1.1", "203.0.113.254"], 2, &[1, 2]);
    assert_eq!(
        (found.public_at_hop, found.filter_at_hop),
        (Some(2), Some(2))
    );
    assert_eq!(found.nats_in_series, Some(true));
    // Routers of one private network may route or translate.
    let routed = walk(&["10.1.0.1", "10.2.0.1", "203.0.113.254"], 2, &[2]);
    assert_eq!(
        (routed.public_at_hop, routed.nats_in_series),
        (Some(2), None)
    );
}

#[test]
fn a_router_that_sends_no_icmp_proves_nothing() {
    let found = walk(&["silent", "203.0.113.254"], 1, &[1]);
    assert_eq!((found.hops[0], found.public_at_hop), (None, None));
    assert_eq!(found.filter_at_hop, Some(1), "found without ICMP");
    let silent = found.quality[0];
    assert_eq!(
        (silent.answered, silent.rtt_ms, silent.loss),
        (0, None, Some(0.0))
    );
    let firewall = walk(&["203.0.113.30", "203.0.113.254"], 0, &[1]);
    assert_eq!(
        (firewall.public_at_hop, firewall.filter_at_hop),
        (None, Some(1))
    );
}

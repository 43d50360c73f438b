//! A packet as one line for people.

use crate::{Direction, IcmpError, Seen, What};

/// Describes a packet in one line, with the local address on the left:
///
/// ```text
///     12.4  → 192.168.1.2:41000 > 203.0.113.33:40001  ttl 2    opener: probe request 3f2a
///     12.9  ← 203.0.113.254  time exceeded in transit, for our packet to 203.0.113.33:40001
///     60.1  ← 192.168.1.2:41000 < 203.0.113.33:40001  ttl 61   probe request 77c0
/// ```
///
/// The time is in milliseconds. The line has no line break at its end.
pub fn describe(seen: &Seen) -> String {
    let at = seen.at.as_secs_f64() * 1e3;
    let what = match &seen.packet.what {
        What::IcmpError(error) => describe_error(seen, error),
        What::Stun { text } => describe_packet(seen, text),
        What::Tcp { flags, text } => {
            let more = match (seen.packet.len, text) {
                (0, _) => String::new(),
                (_, Some(text)) => format!(", {text}"),
                (len, None) => format!(", {len} bytes"),
            };
            describe_packet(seen, &format!("TCP {flags}{more}"))
        }
        What::Data => {
            let bytes = format!("{} bytes", seen.packet.len);
            match service(seen.remote().port()) {
                Some(service) => describe_packet(seen, &format!("{service}, {bytes}")),
                None => describe_packet(seen, &bytes),
            }
        }
    };
    format!("{at:>8.1}  {what}")
}

/// What a program like ours asks at this port.
fn service(port: u16) -> Option<&'static str> {
    match port {
        53 => Some("DNS"),
        // RFC 6887 §19: both have the same port.
        5351 => Some("PCP or NAT-PMP"),
        // UPnP Device Architecture 1.1 §1.3.2
        1900 => Some("UPnP search"),
        _ => None,
    }
}

fn describe_packet(seen: &Seen, text: &str) -> String {
    let (arrow, side) = match seen.direction {
        Direction::Out => ('→', '>'),
        Direction::In => ('←', '<'),
    };
    let ends = format!("{} {side} {}", seen.local(), seen.remote());
    let ttl = seen
        .packet
        .ttl
        .map_or(String::new(), |ttl| format!("ttl {ttl}"));
    let opener = match (seen.direction, seen.packet.ttl) {
        (Direction::Out, Some(ttl))
            if ttl <= packet::OPENER_TTL && !seen.remote().ip().is_multicast() =>
        {
            "opener: "
        }
        _ => "",
    };
    format!("{arrow} {ends:<40}  {ttl:<7}  {opener}{text}")
}

fn describe_error(seen: &Seen, error: &IcmpError) -> String {
    let quoted = error
        .quoted
        .as_ref()
        .map_or(String::new(), |text| format!(" ({text})"));
    match seen.direction {
        Direction::In => format!(
            "← {}  {}, for our packet to {}{quoted}",
            error.from, error.reason, error.quoted_dst
        ),
        Direction::Out => format!(
            "→ {}  we send {}, for a packet to {}{quoted}",
            seen.packet.dst.ip(),
            error.reason,
            error.quoted_dst
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use super::*;

    const AT: Duration = Duration::from_micros(12_400);

    fn ends() -> (SocketAddr, SocketAddr) {
        (
            "192.168.1.2:41000".parse().unwrap(),
            "203.0.113.33:40001".parse().unwrap(),
        )
    }

    /// A binding request (RFC 8489 §5) without attributes.
    fn binding_request() -> [u8; 20] {
        let mut message = [0; 20];
        message[1] = 1;
        message[4..8].copy_from_slice(&0x2112_a442_u32.to_be_bytes());
        message
    }

    #[test]
    fn an_outbound_packet_with_a_low_ttl_is_an_opener() {
        let (local, remote) = ends();
        assert_eq!(
            describe(&Seen::sent(AT, local, remote, Some(2), &binding_request())),
            "    12.4  → 192.168.1.2:41000 > 203.0.113.33:40001    ttl 2    opener: binding request"
        );
    }

    #[test]
    fn an_inbound_packet_with_a_low_ttl_is_not_an_opener() {
        let (local, remote) = ends();
        assert_eq!(
            describe(&Seen::received(AT, local, remote, Some(9), b"hello")),
            "    12.4  ← 192.168.1.2:41000 < 203.0.113.33:40001    ttl 9    5 bytes"
        );
    }

    #[test]
    fn a_search_of_the_network_is_no_opener() {
        let (local, _) = ends();
        let all = "239.255.255.250:1900".parse().unwrap();
        assert_eq!(
            describe(&Seen::sent(AT, local, all, Some(1), b"M-SEARCH")),
            "    12.4  → 192.168.1.2:41000 > 239.255.255.250:1900  ttl 1    UPnP search, 8 bytes"
        );
    }

    #[test]
    fn a_segment_of_tcp_has_its_flags_and_what_it_carries() {
        let (local, remote) = ends();
        let line = |flags: &str, len, text: Option<&str>| {
            let mut seen = Seen::sent(AT, local, remote, Some(64), b"");
            seen.packet.len = len;
            seen.packet.what = What::Tcp {
                flags: flags.to_owned(),
                text: text.map(str::to_owned),
            };
            describe(&seen)
        };
        let ends = "    12.4  → 192.168.1.2:41000 > 203.0.113.33:40001    ttl 64   ";
        assert_eq!(line("SYN", 0, None), format!("{ends}TCP SYN"));
        assert_eq!(line("ACK", 7, None), format!("{ends}TCP ACK, 7 bytes"));
        let request = Some("binding request");
        assert_eq!(
            line("ACK", 20, request),
            format!("{ends}TCP ACK, binding request")
        );
    }

    #[test]
    fn an_unknown_ttl_leaves_its_column_empty() {
        let (local, remote) = ends();
        assert_eq!(
            describe(&Seen::sent(AT, local, remote, None, b"hello")),
            "    12.4  → 192.168.1.2:41000 > 203.0.113.33:40001             5 bytes"
        );
    }

    #[test]
    fn an_icmp_error_has_its_source_and_our_packets_destination() {
        let (local, remote) = ends();
        let from = "203.0.113.254".parse().unwrap();
        assert_eq!(
            describe(&Seen::icmp(
                AT,
                local,
                remote,
                from,
                stun::Icmp { kind: 11, code: 0 },
                &binding_request()
            )),
            "    12.4  ← 203.0.113.254  time exceeded in transit, for our packet to \
             203.0.113.33:40001 (binding request)"
        );
    }
}

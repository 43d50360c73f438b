//! A packet, with the time and the interface.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Serialize, Serializer};

use stun::{Icmp, IcmpReason};

use crate::{IcmpError, Packet, Transport, What};

/// A packet, with when, where and in which direction it was seen.
///
/// In JSON: `at_ms`, `direction`, `interface` and the packet's own fields, in one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Time since the start of the capture.
    #[serde(rename = "at_ms", serialize_with = "milliseconds")]
    pub at: Duration,
    /// Into this host or out of it.
    pub direction: Direction,
    /// The interface's name; `None`: a socket reported the packet.
    pub interface: Option<String>,
    /// The packet itself.
    #[serde(flatten)]
    pub packet: Packet,
}

/// Which way a packet went, from this host's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Into this host.
    In,
    /// Out of this host.
    Out,
}

impl Seen {
    /// A datagram that a socket has sent. `ttl` is the TTL that was set on the socket, if known.
    pub fn sent(
        at: Duration,
        local: SocketAddr,
        remote: SocketAddr,
        ttl: Option<u8>,
        payload: &[u8],
    ) -> Self {
        Seen::by_socket(at, Direction::Out, local, remote, ttl, payload)
    }

    /// A datagram that a socket has received. `ttl` comes from `IP_RECVTTL`, if that was set.
    pub fn received(
        at: Duration,
        local: SocketAddr,
        remote: SocketAddr,
        ttl: Option<u8>,
        payload: &[u8],
    ) -> Self {
        Seen::by_socket(at, Direction::In, remote, local, ttl, payload)
    }

    /// An ICMP error that a socket reported (`IP_RECVERR`). `from` is its source; `payload` is our
    /// datagram, as far as the error quotes it.
    pub fn icmp(
        at: Duration,
        local: SocketAddr,
        remote: SocketAddr,
        from: IpAddr,
        icmp: Icmp,
        payload: &[u8],
    ) -> Self {
        let error = IcmpError {
            from,
            icmp_type: icmp.kind,
            code: icmp.code,
            reason: icmp.reason(from).unwrap_or(IcmpReason::Other),
            protocol: Transport::Udp,
            quoted_src: local,
            quoted_dst: remote,
            quoted: stun::describe(payload),
        };
        let packet = Packet {
            src: SocketAddr::new(from, 0),
            dst: SocketAddr::new(local.ip(), 0),
            ttl: None,
            ip_id: None,
            len: payload.len(),
            what: What::IcmpError(error),
        };
        Seen {
            at,
            direction: Direction::In,
            interface: None,
            packet,
        }
    }

    /// This host's address of the packet.
    pub fn local(&self) -> SocketAddr {
        match self.direction {
            Direction::In => self.packet.dst,
            Direction::Out => self.packet.src,
        }
    }

    /// The other end's address.
    pub fn remote(&self) -> SocketAddr {
        match self.direction {
            Direction::In => self.packet.src,
            Direction::Out => self.packet.dst,
        }
    }

    fn by_socket(
        at: Duration,
        direction: Direction,
        src: SocketAddr,
        dst: SocketAddr,
        ttl: Option<u8>,
        payload: &[u8],
    ) -> Self {
        let packet = Packet {
            src,
            dst,
            ttl,
            ip_id: None,
            len: payload.len(),
            what: What::of(payload),
        };
        Seen {
            at,
            direction,
            interface: None,
            packet,
        }
    }
}

/// Milliseconds with three decimals: the clock of a capture is not more precise.
fn milliseconds<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_micros() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_one_flat_object() {
        let (local, remote) = (
            "10.0.0.1:4000".parse().unwrap(),
            "10.0.0.2:5000".parse().unwrap(),
        );
        let seen = Seen::received(
            Duration::from_micros(12_400),
            local,
            remote,
            Some(63),
            b"hello",
        );
        assert_eq!(
            serde_json::to_value(&seen).unwrap(),
            serde_json::json!({
                "at_ms": 12.4, "direction": "in", "interface": null,
                "src": "10.0.0.2:5000", "dst": "10.0.0.1:4000",
                "ttl": 63, "ip_id": null, "len": 5, "kind": "data",
            })
        );
        assert_eq!((seen.local(), seen.remote()), (local, remote));
    }

    #[test]
    fn an_error_carries_its_reason() {
        let (local, remote) = (
            "10.0.0.1:4000".parse().unwrap(),
            "10.0.0.2:5000".parse().unwrap(),
        );
        let from = "10.0.0.254".parse().unwrap();
        let seen = Seen::icmp(
            Duration::ZERO,
            local,
            remote,
            from,
            Icmp { kind: 11, code: 0 },
            b"hello",
        );
        let json = serde_json::to_value(&seen).unwrap();
        assert_eq!(json["kind"], "icmp-error");
        assert_eq!(json["reason"], "time-exceeded");
        assert_eq!(json["quoted_dst"], "10.0.0.2:5000");
    }
}

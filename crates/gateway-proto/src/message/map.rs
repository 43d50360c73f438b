//! The requests that map a UDP port, and their answers: NAT-PMP's (RFC 6886
//! §3.3) and PCP's (RFC 6887 §11.1). In both, a request with lifetime 0 gives the
//! mapping back.

use std::net::{IpAddr, SocketAddr};

use super::{ANSWER, PCP_LENGTH, PCP_VERSION, UNSUPPORTED_VERSION, v6};

const NAT_PMP_MAP_UDP: u8 = 1;
const PCP_MAP: u8 = 1;
const PCP_MAP_LENGTH: usize = PCP_LENGTH + 36;
/// The IP protocol number.
const UDP: u8 = 17;

/// NAT-PMP's request to map the inside port for `lifetime` seconds; `external` is
/// the port that is wanted outside, 0 for any.
pub fn nat_pmp_map(internal: u16, external: u16, lifetime: u32) -> [u8; 12] {
    let mut request = [0; 12];
    request[1] = NAT_PMP_MAP_UDP;
    request[4..6].copy_from_slice(&internal.to_be_bytes());
    request[6..8].copy_from_slice(&external.to_be_bytes());
    request[8..].copy_from_slice(&lifetime.to_be_bytes());
    request
}

/// An answer to [`nat_pmp_map`]. It does not have the outside address, for which
/// there is [`NAT_PMP_REQUEST`](super::NAT_PMP_REQUEST).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatPmpMapping {
    /// 0 is success; RFC 6886 §3.5 has the others.
    pub result: u16,
    /// The inside port.
    pub internal: u16,
    /// The outside port, on success.
    pub external: u16,
    /// How many seconds the mapping lasts.
    pub lifetime: u32,
}

impl NatPmpMapping {
    /// Reads an answer; `None` if the datagram is not one.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let answer: &[u8; 16] = datagram.first_chunk()?;
        let &[
            version,
            opcode,
            r0,
            r1,
            _,
            _,
            _,
            _,
            i0,
            i1,
            e0,
            e1,
            lifetime @ ..,
        ] = answer;
        ([version, opcode] == [0, ANSWER | NAT_PMP_MAP_UDP]).then_some(Self {
            result: u16::from_be_bytes([r0, r1]),
            internal: u16::from_be_bytes([i0, i1]),
            external: u16::from_be_bytes([e0, e1]),
            lifetime: u32::from_be_bytes(lifetime),
        })
    }
}

/// A mapping in PCP: requests with the same inside port and nonce are about the
/// same mapping, and no request without the nonce can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcpMap {
    /// The client's own address and port.
    pub internal: SocketAddr,
    /// 96 random bits, the same in each renewal.
    pub nonce: [u8; 12],
}

impl PcpMap {
    /// PCP's request to map the inside port for `lifetime` seconds; `external` is
    /// the address that is wanted outside, `None` for any.
    pub fn request(&self, external: Option<SocketAddr>, lifetime: u32) -> [u8; PCP_MAP_LENGTH] {
        let mut request = [0; PCP_MAP_LENGTH];
        request[..2].copy_from_slice(&[PCP_VERSION, PCP_MAP]);
        request[4..8].copy_from_slice(&lifetime.to_be_bytes());
        request[8..24].copy_from_slice(&v6(self.internal.ip()).octets());
        request[24..36].copy_from_slice(&self.nonce);
        request[36] = UDP;
        request[40..42].copy_from_slice(&self.internal.port().to_be_bytes());
        // The wildcard of the inside address's family suggests none (§11.1).
        let any = match self.internal {
            SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
            SocketAddr::V6(_) => SocketAddr::from(([0; 16], 0)),
        };
        let external = external.unwrap_or(any);
        request[42..44].copy_from_slice(&external.port().to_be_bytes());
        request[44..].copy_from_slice(&v6(external.ip()).octets());
        request
    }

    /// Reads an answer to [`request`](Self::request). `None` if the datagram is not
    /// one, or is about another mapping.
    pub fn parse(&self, datagram: &[u8]) -> Option<PcpMapping> {
        let answer: &[u8; PCP_MAP_LENGTH] = datagram.first_chunk()?;
        let &[version, opcode, _, result, l0, l1, l2, l3, ..] = answer;
        let ours = [version, opcode] == [PCP_VERSION, ANSWER | PCP_MAP]
            && result != UNSUPPORTED_VERSION
            && answer[24..36] == self.nonce
            && answer[36] == UDP
            && answer[40..42] == self.internal.port().to_be_bytes();
        let ip: [u8; 16] = answer[44..].try_into().ok()?;
        ours.then_some(PcpMapping {
            result,
            lifetime: u32::from_be_bytes([l0, l1, l2, l3]),
            external: SocketAddr::new(
                IpAddr::from(ip).to_canonical(),
                u16::from_be_bytes([answer[42], answer[43]]),
            ),
        })
    }
}

/// A PCP server's answer about a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcpMapping {
    /// 0 is success; RFC 6887 §7.4 has the others.
    pub result: u8,
    /// On success the lifetime of the mapping, in seconds. With an error result, the
    /// time for which the server would answer the same request by the same error.
    pub lifetime: u32,
    /// The outside endpoint, on success.
    pub external: SocketAddr,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: PcpMap = PcpMap {
        internal: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 2)), 5000),
        nonce: *b"twelve bytes",
    };

    /// As a PCP server would answer.
    fn answer(request: &[u8], result: u8) -> Vec<u8> {
        let mut answer = request.to_vec();
        answer[1] |= ANSWER;
        answer[2..4].copy_from_slice(&[0, result]);
        answer
    }

    #[test]
    fn a_nat_pmp_request_has_the_ports_and_the_lifetime() {
        let request = nat_pmp_map(5000, 6000, 7200);
        assert_eq!(request, [0, 1, 0, 0, 19, 136, 23, 112, 0, 0, 28, 32]);
        let answer = [0, 129, 0, 0, 0, 0, 0, 9, 19, 136, 23, 112, 0, 0, 28, 32];
        let mapping = NatPmpMapping {
            result: 0,
            internal: 5000,
            external: 6000,
            lifetime: 7200,
        };
        assert_eq!(NatPmpMapping::parse(&answer), Some(mapping));
        assert_eq!(NatPmpMapping::parse(&request), None);
    }

    #[test]
    fn a_pcp_request_has_the_client_and_its_answer_the_external_address() {
        let request = OURS.request(None, 7200);
        assert_eq!(request[..8], [2, 1, 0, 0, 0, 0, 28, 32]);
        assert_eq!(request[20..24], [192, 168, 1, 2]);
        assert_eq!(request[36..44], [17, 0, 0, 0, 19, 136, 0, 0]);
        assert_eq!(request[54..], [255, 255, 0, 0, 0, 0]);
        let wish = "203.0.113.17:6000".parse().unwrap();
        let granted = OURS.parse(&answer(&OURS.request(Some(wish), 120), 0));
        let mapping = PcpMapping {
            result: 0,
            lifetime: 120,
            external: wish,
        };
        assert_eq!(granted, Some(mapping));
    }

    #[test]
    fn an_answer_about_another_mapping_is_ignored() {
        let request = OURS.request(None, 120);
        assert_eq!(OURS.parse(&request), None);
        for change in [1, 24, 35, 36, 41] {
            let mut other = answer(&request, 0);
            assert!(OURS.parse(&other).is_some());
            other[change] ^= 2;
            assert_eq!(OURS.parse(&other), None, "byte {change}");
        }
    }

    proptest! {
        #[test]
        fn no_datagram_makes_the_parser_panic(datagram in prop::collection::vec(any::<u8>(), 0..99)) {
            let _ = NatPmpMapping::parse(&datagram);
            let _ = OURS.parse(&datagram);
        }

        #[test]
        fn every_answer_is_read_and_a_truncated_one_is_not(port: u16, ip: u32, lifetime: u32, result in 2_u8..) {
            let external = SocketAddr::from((ip.to_be_bytes(), port));
            let bytes = answer(&OURS.request(Some(external), lifetime), result);
            prop_assert_eq!(OURS.parse(&bytes), Some(PcpMapping { result, lifetime, external }));
            for length in 0..bytes.len() {
                prop_assert_eq!(OURS.parse(&bytes[..length]), None);
            }
        }
    }
}

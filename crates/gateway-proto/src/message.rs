//! Requests that change nothing at a gateway, and their answers: NAT-PMP's for the
//! external address (RFC 6886 §3.2) and PCP's ANNOUNCE (RFC 6887 §14.1). The
//! requests that map a port are in [`map`], so that none is sent by mistake.

pub mod map;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The UDP port of both protocols at a gateway (RFC 6886 §3, RFC 6887 §19.1).
pub const GATEWAY_PORT: u16 = 5351;

/// NAT-PMP's request for the outside address: version 0, opcode 0.
pub const NAT_PMP_REQUEST: [u8; 2] = [0, 0];

const ANSWER: u8 = 0x80;
const PCP_VERSION: u8 = 2;
const PCP_LENGTH: usize = 24;
/// Result 1 of both protocols: the gateway does not speak this version.
const UNSUPPORTED_VERSION: u8 = 1;

/// PCP's ANNOUNCE: version 2, opcode 0, lifetime 0 and the client's own address,
/// which the gateway compares with the source of the packet.
pub fn pcp_announce(client: IpAddr) -> [u8; PCP_LENGTH] {
    let mut request = [0; PCP_LENGTH];
    request[0] = PCP_VERSION;
    request[8..].copy_from_slice(&v6(client).octets());
    request
}

/// PCP writes an IPv4 address as an IPv4-mapped IPv6 address (RFC 6887 §5).
fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// A NAT-PMP gateway's answer to [`NAT_PMP_REQUEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatPmpAnswer {
    /// 0 is success, 3 that the gateway has no outside address itself (RFC 6886
    /// §3.5).
    pub result: u16,
    /// Seconds since its table of mappings was last empty.
    pub epoch: u32,
    /// Its outside address, on success.
    pub external: Option<Ipv4Addr>,
}

impl NatPmpAnswer {
    /// Reads an answer. `None` if the datagram is not one, or says that the
    /// gateway does not speak NAT-PMP, as a PCP server does in this format (RFC
    /// 6887 appendix A).
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let (&[version, opcode, r0, r1, e0, e1, e2, e3], rest) = datagram.split_first_chunk()?;
        let result = u16::from_be_bytes([r0, r1]);
        if [version, opcode] != [0, ANSWER] || result == u16::from(UNSUPPORTED_VERSION) {
            return None;
        }
        let external = match result {
            0 => Some(Ipv4Addr::from(*rest.first_chunk::<4>()?)),
            _ => None,
        };
        Some(Self {
            result,
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
            external: external.filter(|ip| !ip.is_unspecified()),
        })
    }
}

/// A PCP server's answer to [`pcp_announce`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcpAnswer {
    /// 0 is success; RFC 6887 §7.4 has the others.
    pub result: u8,
    /// Seconds since its table of mappings was last empty.
    pub epoch: u32,
}

impl PcpAnswer {
    /// Reads an answer. `None` if the datagram is not one, or says that the
    /// gateway does not speak this version.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let header: &[u8; PCP_LENGTH] = datagram.first_chunk()?;
        let &[version, opcode, _, result, _, _, _, _, e0, e1, e2, e3, ..] = header;
        let ours = [version, opcode] == [PCP_VERSION, ANSWER] && result != UNSUPPORTED_VERSION;
        ours.then_some(Self {
            result,
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_announce_has_the_address_of_the_client_and_no_lifetime() {
        let request = pcp_announce("192.168.1.2".parse().unwrap());
        assert_eq!(request[..8], [2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(request[8..18], [0; 10]);
        assert_eq!(request[18..], [255, 255, 192, 168, 1, 2]);
    }

    #[test]
    fn a_nat_pmp_answer_has_the_external_address() {
        let answer = NatPmpAnswer::parse(&[0, 128, 0, 0, 0, 0, 1, 2, 203, 0, 113, 17]);
        let found = NatPmpAnswer {
            result: 0,
            epoch: 258,
            external: Some(Ipv4Addr::new(203, 0, 113, 17)),
        };
        assert_eq!(answer, Some(found));
    }

    #[test]
    fn a_nat_pmp_answer_without_an_address_is_an_answer() {
        let failed = NatPmpAnswer::parse(&[0, 128, 0, 3, 0, 0, 0, 9]).unwrap();
        assert_eq!((failed.result, failed.external), (3, None));
        let nothing = NatPmpAnswer::parse(&[0, 128, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]).unwrap();
        assert_eq!(nothing.external, None);
    }

    #[test]
    fn an_answer_that_refuses_the_version_is_not_an_answer() {
        assert_eq!(NatPmpAnswer::parse(&[0, 128, 0, 1, 0, 0, 0, 9]), None);
        let mut pcp = [0; 24];
        pcp[..4].copy_from_slice(&[2, 128, 0, 0]);
        pcp[11] = 7;
        assert_eq!(NatPmpAnswer::parse(&pcp), None);
        let answer = PcpAnswer {
            result: 0,
            epoch: 7,
        };
        assert_eq!(PcpAnswer::parse(&pcp), Some(answer));
        pcp[3] = 1;
        assert_eq!(PcpAnswer::parse(&pcp), None);
    }

    #[test]
    fn a_request_is_not_read_as_an_answer() {
        assert_eq!(PcpAnswer::parse(&pcp_announce([10, 0, 0, 1].into())), None);
        assert_eq!(NatPmpAnswer::parse(&NAT_PMP_REQUEST), None);
    }

    proptest! {
        #[test]
        fn no_datagram_makes_the_parser_panic(datagram in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = NatPmpAnswer::parse(&datagram);
            let _ = PcpAnswer::parse(&datagram);
        }

        #[test]
        fn every_nat_pmp_answer_is_read_and_a_truncated_one_is_not(epoch: u32, ip in 1_u32..) {
            let external = Ipv4Addr::from(ip);
            let bytes = [&[0, 128, 0, 0][..], &epoch.to_be_bytes(), &external.octets()].concat();
            let read = NatPmpAnswer { result: 0, epoch, external: Some(external) };
            prop_assert_eq!(NatPmpAnswer::parse(&bytes), Some(read));
            for length in 0..bytes.len() {
                prop_assert_eq!(NatPmpAnswer::parse(&bytes[..length]), None);
            }
        }

        #[test]
        fn every_pcp_answer_is_read_and_a_truncated_one_is_not(epoch: u32, result in 2_u8..) {
            let mut bytes = [0; 24];
            bytes[..4].copy_from_slice(&[2, 128, 0, result]);
            bytes[8..12].copy_from_slice(&epoch.to_be_bytes());
            prop_assert_eq!(PcpAnswer::parse(&bytes), Some(PcpAnswer { result, epoch }));
            for length in 0..bytes.len() {
                prop_assert_eq!(PcpAnswer::parse(&bytes[..length]), None);
            }
        }
    }
}

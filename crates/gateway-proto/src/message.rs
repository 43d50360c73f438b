//! What a gateway can be asked without being given anything to do: its outer
//! address by NAT-PMP (RFC 6886 §3.2), and its sign of life by PCP (RFC 6887
//! §14.1). The requests that map are apart, in [`map`], so nobody sends one by
//! mistake.

pub mod map;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where a gateway listens for either (RFC 6886 §3, RFC 6887 §19.1).
pub const GATEWAY_PORT: u16 = 5351;

/// NAT-PMP's external address request: version 0, opcode 0.
pub const NAT_PMP_REQUEST: [u8; 2] = [0, 0];

const ANSWER: u8 = 0x80;
const PCP_VERSION: u8 = 2;
const PCP_LENGTH: usize = 24;
/// Result 1 of either: it does not speak this version.
const UNSUPPORTED_VERSION: u8 = 1;

/// PCP's ANNOUNCE: version 2, opcode 0, a lifetime of 0 and the client's own
/// address, which a gateway compares with the packet's source.
pub fn pcp_announce(client: IpAddr) -> [u8; PCP_LENGTH] {
    let mut request = [0; PCP_LENGTH];
    request[0] = PCP_VERSION;
    request[8..].copy_from_slice(&v6(client).octets());
    request
}

/// PCP writes all addresses as IPv6 has them (RFC 6887 §5).
fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// A NAT-PMP gateway's answer to [`NAT_PMP_REQUEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatPmpAnswer {
    /// 0 is success, 3 that it has no outer address itself (RFC 6886 §3.5).
    pub result: u16,
    /// Seconds since its table of mappings was last empty.
    pub epoch: u32,
    /// Its outer address, on success.
    pub external: Option<Ipv4Addr>,
}

impl NatPmpAnswer {
    /// `None`: no such answer, or that of somebody who speaks no NAT-PMP, which
    /// a PCP server says in this format (RFC 6887 appendix A).
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
    /// `None`: no such answer, or that of somebody who speaks another version.
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
    fn an_announce_carries_the_client_and_asks_for_no_time() {
        let request = pcp_announce("192.168.1.2".parse().unwrap());
        assert_eq!(request[..8], [2, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(request[8..18], [0; 10]);
        assert_eq!(request[18..], [255, 255, 192, 168, 1, 2]);
    }

    #[test]
    fn nat_pmp_tells_its_address() {
        let answer = NatPmpAnswer::parse(&[0, 128, 0, 0, 0, 0, 1, 2, 203, 0, 113, 17]);
        let found = NatPmpAnswer {
            result: 0,
            epoch: 258,
            external: Some(Ipv4Addr::new(203, 0, 113, 17)),
        };
        assert_eq!(answer, Some(found));
    }

    #[test]
    fn nat_pmp_without_an_address_is_still_nat_pmp() {
        let failed = NatPmpAnswer::parse(&[0, 128, 0, 3, 0, 0, 0, 9]).unwrap();
        assert_eq!((failed.result, failed.external), (3, None));
        let nothing = NatPmpAnswer::parse(&[0, 128, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0]).unwrap();
        assert_eq!(nothing.external, None);
    }

    #[test]
    fn another_version_is_another_protocol() {
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
    fn a_request_is_no_answer() {
        assert_eq!(PcpAnswer::parse(&pcp_announce([10, 0, 0, 1].into())), None);
        assert_eq!(NatPmpAnswer::parse(&NAT_PMP_REQUEST), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_answer_or_none(datagram in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = NatPmpAnswer::parse(&datagram);
            let _ = PcpAnswer::parse(&datagram);
        }

        #[test]
        fn any_nat_pmp_answer_is_read_and_none_that_is_cut(epoch: u32, ip in 1_u32..) {
            let external = Ipv4Addr::from(ip);
            let bytes = [&[0, 128, 0, 0][..], &epoch.to_be_bytes(), &external.octets()].concat();
            let read = NatPmpAnswer { result: 0, epoch, external: Some(external) };
            prop_assert_eq!(NatPmpAnswer::parse(&bytes), Some(read));
            for length in 0..bytes.len() {
                prop_assert_eq!(NatPmpAnswer::parse(&bytes[..length]), None);
            }
        }

        #[test]
        fn any_pcp_answer_is_read_and_none_that_is_cut(epoch: u32, result in 2_u8..) {
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

//! The IP header of a packet, of either family, from bytes that may be cut short or wrong. No length in them is
//! trusted, and nothing panics.

use std::net::IpAddr;

use etherparse::{Ipv6ExtensionSlice, Ipv6ExtensionsSlice, LaxSlicedPacket};

pub use etherparse::{IpNumber, LaxNetSlice};

/// The greatest TTL of an opener: a packet that is to open its sender's own NAT, and not to arrive. That of other
/// packets begins at 64, 128 or 255.
pub const OPENER_TTL: u8 = 16;

/// An IP header, and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ip<'a> {
    /// The source.
    pub src: IpAddr,
    /// The destination.
    pub dst: IpAddr,
    /// The TTL, or the hop limit.
    pub ttl: u8,
    /// The identification of IPv4.
    pub id: Option<u16>,
    /// Where a fragment begins in its datagram, in bytes; 0 for the first one, and for what is no fragment.
    pub offset: u16,
    /// What follows.
    pub protocol: IpNumber,
    /// The length of the header in bytes, extension headers included.
    pub header: usize,
    /// What follows, as much as is there.
    pub payload: &'a [u8],
}

impl<'a> Ip<'a> {
    /// Reads a packet that begins with its IP header. `None`: it is not one, or its headers are not whole.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Ip::of(LaxSlicedPacket::from_ip(bytes).ok()?.net.as_ref()?)
    }

    /// Reads a packet that etherparse has cut.
    pub fn of(net: &LaxNetSlice<'a>) -> Option<Self> {
        match net {
            LaxNetSlice::Ipv4(v4) => {
                let header = v4.header();
                Some(Ip {
                    src: header.source_addr().into(),
                    dst: header.destination_addr().into(),
                    ttl: header.ttl(),
                    id: Some(header.identification()),
                    offset: header.fragments_offset().value() * 8,
                    protocol: v4.payload().ip_number,
                    header: header.slice().len(),
                    payload: v4.payload().payload,
                })
            }
            LaxNetSlice::Ipv6(v6) => {
                let extensions = v6.extensions().slice();
                Some(Ip {
                    src: v6.header().source_addr().into(),
                    dst: v6.header().destination_addr().into(),
                    ttl: v6.header().hop_limit(),
                    id: None,
                    offset: fragment_offset(v6.header().next_header(), extensions)?,
                    protocol: v6.payload().ip_number,
                    header: 40 + extensions.len(),
                    payload: v6.payload().payload,
                })
            }
            LaxNetSlice::Arp(_) => None,
        }
    }
}

/// What a fragment header among these extension headers says; 0 without one.
///
/// `None` if the chain of headers is not whole. It is checked again here, because the lax slicing ends a chain
/// before a header that is missing, and the iterator over the result then reads that header from whatever lies
/// behind the packet.
fn fragment_offset(first_header: IpNumber, headers: &[u8]) -> Option<u16> {
    let (headers, ..) = Ipv6ExtensionsSlice::from_slice(first_header, headers).ok()?;
    let offset = headers.into_iter().find_map(|header| match header {
        Ipv6ExtensionSlice::Fragment(it) => Some(it.fragment_offset().value() * 8),
        _ => None,
    });
    Some(offset.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UDP: [u8; 8] = [0xa0, 0x28, 0x9c, 0x41, 0, 8, 0, 0];

    fn v4(fragment: u16) -> Vec<u8> {
        let mut bytes = vec![
            0x45, 0, 0, 28, 0, 7, 0, 0, 2, 17, 0, 0, 192, 168, 1, 2, 203, 0, 113, 33,
        ];
        bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
        bytes.extend(UDP);
        bytes
    }

    /// With a fragment header.
    fn v6(fragment: u16) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 16, 44, 9];
        bytes.extend([0xfd; 16]);
        bytes.extend([0xfc; 16]);
        bytes.extend([17, 0]);
        bytes.extend((fragment << 3).to_be_bytes());
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(UDP);
        bytes
    }

    #[test]
    fn both_families_are_read() {
        let packet = v4(0);
        let ip = Ip::read(&packet).unwrap();
        assert_eq!((ip.ttl, ip.id, ip.offset, ip.header), (2, Some(7), 0, 20));
        assert_eq!((ip.protocol, ip.payload), (IpNumber::UDP, &UDP[..]));
        let packet = v6(0);
        let ip = Ip::read(&packet).unwrap();
        assert_eq!((ip.ttl, ip.id, ip.offset, ip.header), (9, None, 0, 48));
        assert_eq!((ip.protocol, ip.payload), (IpNumber::UDP, &UDP[..]));
    }

    #[test]
    fn a_later_fragment_says_where_it_begins() {
        assert_eq!(Ip::read(&v4(3)).unwrap().offset, 24);
        assert_eq!(Ip::read(&v6(3)).unwrap().offset, 24);
    }

    #[test]
    fn a_chain_of_headers_that_is_cut_short_is_no_packet() {
        assert_eq!(Ip::read(&v6(0)[..44]), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_does_not_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..120), six: bool) {
            if let Some(first) = bytes.first_mut() {
                *first = if six { 0x60 } else { 0x45 };
            }
            Ip::read(&bytes);
        }
    }
}

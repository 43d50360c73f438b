//! Keys and values of nft's sets, split into their components.
//!
//! The kernel keeps bytes and a type number that only nft itself uses. The types of a concatenation have
//! 6 bits each, the first type in the highest bits, and each component begins at a multiple of 4 bytes
//! (nft's include/datatype.h).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One component of a key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// ipv4_addr or ipv6_addr
    Address(IpAddr),
    /// inet_service
    Port(u16),
    /// inet_proto
    Protocol(u8),
    /// Any other type.
    Other,
}

/// Splits the bytes by their type number. A length that does not fit the types, or a type of
/// unknown length among several, gives a single [`Field::Other`].
pub(super) fn fields(type_number: u32, bytes: &[u8]) -> Vec<Field> {
    let types = components(type_number);
    if let [only] = *types {
        return vec![field(only, bytes)];
    }
    split(&types, bytes).unwrap_or_else(|| vec![Field::Other])
}

/// The components of such a key, all zero; `None` if [`fields`] could not split it.
pub(super) fn outline(type_number: u32) -> Option<Vec<Field>> {
    let types = components(type_number);
    let lengths = types
        .iter()
        .map(|&one| length(one))
        .collect::<Option<Vec<_>>>()?;
    Some(
        types
            .iter()
            .zip(lengths)
            .map(|(&one, length)| field(one, &vec![0; length]))
            .collect(),
    )
}

// nft's enum datatypes
const IPV4_ADDR: u32 = 7;
const IPV6_ADDR: u32 = 8;
const ETHER_ADDR: u32 = 9;
const ETHER_TYPE: u32 = 10;
const INET_PROTO: u32 = 12;
const INET_SERVICE: u32 = 13;
const MARK: u32 = 19;
const IFACE_INDEX: u32 = 20;
const IFNAME: u32 = 41;

const BITS: u32 = 6;
const ALIGNMENT: usize = 4;

/// The types, first component first.
fn components(mut type_number: u32) -> Vec<u32> {
    let mut types = Vec::new();
    while type_number != 0 {
        types.push(type_number & ((1 << BITS) - 1));
        type_number >>= BITS;
    }
    types.reverse();
    types
}

fn split(types: &[u32], mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    for &one in types {
        let length = length(one)?;
        fields.push(field(one, bytes.get(..length)?));
        bytes = bytes.get(length.next_multiple_of(ALIGNMENT)..)?;
    }
    bytes.is_empty().then_some(fields)
}

fn length(one: u32) -> Option<usize> {
    match one {
        INET_PROTO => Some(1),
        INET_SERVICE | ETHER_TYPE => Some(2),
        IPV4_ADDR | MARK | IFACE_INDEX => Some(4),
        ETHER_ADDR => Some(6),
        IPV6_ADDR | IFNAME => Some(16),
        _ => None,
    }
}

fn field(one: u32, bytes: &[u8]) -> Field {
    let known = match one {
        IPV4_ADDR => <[u8; 4]>::try_from(bytes)
            .ok()
            .map(|b| Field::Address(Ipv4Addr::from(b).into())),
        IPV6_ADDR => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|b| Field::Address(Ipv6Addr::from(b).into())),
        INET_SERVICE => <[u8; 2]>::try_from(bytes)
            .ok()
            .map(|b| Field::Port(u16::from_be_bytes(b))),
        INET_PROTO => <[u8; 1]>::try_from(bytes)
            .ok()
            .map(|[number]| Field::Protocol(number)),
        _ => None,
    };
    known.unwrap_or(Field::Other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn concat(types: &[u32]) -> u32 {
        let (mut number, mut i) = (0, 0);
        while i < types.len() {
            number = number << BITS | types[i];
            i += 1;
        }
        number
    }

    const ALICE: [u8; 4] = [192, 168, 1, 2];
    const BOB: [u8; 4] = [203, 0, 113, 33];

    #[test]
    fn a_key_of_four_components_is_split() {
        let number = concat(&[IPV4_ADDR, INET_SERVICE, IPV4_ADDR, INET_SERVICE]);
        let bytes = [&ALICE[..], &[0x9c, 0x40, 0, 0], &BOB, &[0x9c, 0x41, 0, 0]].concat();
        assert_eq!(
            fields(number, &bytes),
            [
                Field::Address(ALICE.into()),
                Field::Port(40000),
                Field::Address(BOB.into()),
                Field::Port(40001)
            ]
        );
    }

    #[test]
    fn a_single_component_is_not_padded() {
        assert_eq!(fields(INET_SERVICE, &[0x9c, 0x40]), [Field::Port(40000)]);
        assert_eq!(
            fields(IPV6_ADDR, &[0xfd; 16]),
            [Field::Address([0xfd; 16].into())]
        );
    }

    #[test]
    fn components_of_other_types_are_skipped() {
        let number = concat(&[IFNAME, INET_PROTO, INET_SERVICE]);
        let mut bytes = [0; 24];
        bytes[16] = 17;
        bytes[20..22].copy_from_slice(&53_u16.to_be_bytes());
        assert_eq!(
            fields(number, &bytes),
            [Field::Other, Field::Protocol(17), Field::Port(53)]
        );
    }

    #[test]
    fn bytes_that_do_not_fit_the_type_are_not_split() {
        let number = concat(&[IPV4_ADDR, INET_SERVICE]);
        assert_eq!(fields(number, &ALICE), [Field::Other]);
        assert_eq!(fields(number, &[0; 12]), [Field::Other]);
        assert_eq!(fields(concat(&[IPV4_ADDR, 63]), &[0; 8]), [Field::Other]);
        assert_eq!(fields(IPV4_ADDR, &[1, 2]), [Field::Other]);
        assert_eq!(fields(0, &[1, 2]), [Field::Other]);
    }

    proptest! {
        #[test]
        fn random_types_and_bytes_do_not_panic(number in any::<u32>(), bytes in prop::collection::vec(any::<u8>(), 0..70)) {
            fields(number, &bytes);
        }
    }
}

//! A NAT's mappings and permits, recognised by the types of the sets and maps.

use std::io;

use super::concat::{Field, fields, outline};
use super::reading::{Endpoint, Keeps, Life, Mapping, Permit, Protocol};
use crate::kernel::{self, Element, Netfilter, Set, TableId};

/// The name of the inward map, which its type does not tell if both sides are addresses.
const INWARD: &str = "m_in";

/// What a table has sets and maps for, and its mappings and permits, sorted.
pub(super) fn read(
    kernel: &mut Netfilter,
    table: &TableId,
) -> io::Result<(Keeps, Vec<Mapping>, Vec<Permit>)> {
    let mut found = Found::default();
    for set in kernel::sets(kernel, table)?
        .iter()
        .filter(|set| !set.anonymous)
    {
        let Some(role) = role(set) else { continue };
        found.keep(role);
        for element in kernel::elements(kernel, table, &set.name)? {
            found.take(role, set, &element);
        }
    }
    Ok(found.sorted())
}

/// What one set or map has. For fuzzers.
pub(super) fn of(set: &Set, elements: &[Element]) -> (Keeps, Vec<Mapping>, Vec<Permit>) {
    let mut found = Found::default();
    if let Some(role) = role(set) {
        found.keep(role);
        for element in elements {
            found.take(role, set, element);
        }
    }
    found.sorted()
}

/// What a set or map is to a NAT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// From a private endpoint to a public one.
    Outward,
    /// From a public endpoint to a private one.
    Inward,
    /// A public port and who may send to it.
    Permit,
}

/// A map from an endpoint to an endpoint has mappings, a set of a port and a remote has permits. Other
/// sets and maps are ignored.
fn role(set: &Set) -> Option<Role> {
    let (_, first, second) = key(&outline(set.key_type)?)?;
    if set.data_type == 0 {
        return (first.address.is_none() && second.is_some()).then_some(Role::Permit);
    }
    match endpoints(&outline(set.data_type)?)? {
        (_, None) if first.address.is_none() || set.name == INWARD => Some(Role::Inward),
        (_, None) => Some(Role::Outward),
        _ => None,
    }
}

#[derive(Default)]
struct Found {
    keeps: Keeps,
    outward: Vec<Mapping>,
    inward: Vec<Mapping>,
    permits: Vec<Permit>,
}

impl Found {
    fn keep(&mut self, role: Role) {
        match role {
            Role::Outward | Role::Inward => self.keeps.mappings = true,
            Role::Permit => self.keeps.permits = true,
        }
    }

    fn take(&mut self, role: Role, set: &Set, element: &Element) {
        let Some((protocol, first, second)) = key(&fields(set.key_type, &element.key)) else {
            return;
        };
        let data = endpoints(&fields(set.data_type, &element.data)).map(|(endpoint, _)| endpoint);
        let life = Life::new(element.timeout_ms.or(set.timeout_ms), element.remaining_ms);
        let mapping = |inside, outside| Mapping {
            protocol,
            inside,
            outside,
            toward: second,
            life,
        };
        match (role, data, second) {
            (Role::Outward, Some(public), _) => self.outward.push(mapping(first, public)),
            (Role::Inward, Some(private), _) => self.inward.push(mapping(private, first)),
            (Role::Permit, _, Some(from)) => {
                self.permits.push(Permit {
                    protocol,
                    outside: first,
                    from,
                    life,
                });
            }
            _ => {}
        }
    }

    /// A NAT keeps each mapping twice, once for each direction. It is shown once, from inside to outside
    /// if both are there. A key without a protocol has it from the other direction.
    fn sorted(mut self) -> (Keeps, Vec<Mapping>, Vec<Permit>) {
        for outward in &mut self.outward {
            let mut inward = self.inward.iter().filter(|inward| same(inward, outward));
            if let (Some(only), None) = (inward.next(), inward.next()) {
                outward.protocol = only.protocol;
            }
        }
        self.inward
            .retain(|inward| !self.outward.iter().any(|outward| same(inward, outward)));
        self.outward.append(&mut self.inward);
        self.outward.sort();
        self.permits.sort();
        (self.keeps, self.outward, self.permits)
    }
}

fn same(inward: &Mapping, outward: &Mapping) -> bool {
    inward.inside == outward.inside
        && inward.outside.port == outward.outside.port
        && (outward.protocol.is_none() || outward.protocol == inward.protocol)
}

/// A protocol, if there is one, and one or two endpoints.
fn key(fields: &[Field]) -> Option<(Option<Protocol>, Endpoint, Option<Endpoint>)> {
    let (protocol, fields) = match fields {
        [Field::Protocol(number), rest @ ..] => (Some(Protocol(*number)), rest),
        all => (None, all),
    };
    let (first, second) = endpoints(fields)?;
    Some((protocol, first, second))
}

/// One or two endpoints, each an address, a port, or an address and its port.
fn endpoints(fields: &[Field]) -> Option<(Endpoint, Option<Endpoint>)> {
    let (first, rest) = endpoint(fields)?;
    if rest.is_empty() {
        return Some((first, None));
    }
    match endpoint(rest)? {
        (second, []) => Some((first, Some(second))),
        _ => None,
    }
}

fn endpoint(fields: &[Field]) -> Option<(Endpoint, &[Field])> {
    match fields {
        [Field::Address(address), Field::Port(port), rest @ ..] => Some((
            Endpoint {
                address: Some(*address),
                port: Some(*port),
            },
            rest,
        )),
        [Field::Address(address), rest @ ..] => Some((
            Endpoint {
                address: Some(*address),
                port: None,
            },
            rest,
        )),
        [Field::Port(port), rest @ ..] => Some((
            Endpoint {
                address: None,
                port: Some(*port),
            },
            rest,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: u32 = 7;
    const PORT: u32 = 13;
    const ADDRESS_PORT: u32 = ADDRESS << 6 | PORT;
    const PORT_ADDRESS: u32 = PORT << 6 | ADDRESS;

    fn set(name: &str, key_type: u32, data_type: u32) -> Set {
        Set {
            name: name.into(),
            key_type,
            data_type,
            timeout_ms: Some(30_000),
            anonymous: false,
        }
    }

    fn element(key: &[u8], data: &[u8]) -> Element {
        Element {
            key: key.into(),
            data: data.into(),
            timeout_ms: None,
            remaining_ms: Some(20_000),
        }
    }

    fn alice(last: u8) -> [u8; 8] {
        [192, 168, 1, last, 0x9c, 0x40, 0, 0]
    }

    const PUBLIC: [u8; 8] = [203, 0, 113, 17, 0x9c, 0x40, 0, 0];

    /// What is found in a table with these sets, each with one element.
    fn found(sets: &[(Set, Element)]) -> (Keeps, Vec<Mapping>, Vec<Permit>) {
        let mut found = Found::default();
        for (set, element) in sets {
            if let Some(role) = role(set) {
                found.keep(role);
                found.take(role, set, element);
            }
        }
        found.sorted()
    }

    #[test]
    fn both_directions_of_a_mapping_are_shown_once() {
        let (keeps, mappings, _) = found(&[
            (
                set("m_in", PORT, ADDRESS_PORT),
                element(&[0x9c, 0x40], &alice(2)),
            ),
            (
                set("m_out", ADDRESS_PORT, ADDRESS_PORT),
                element(&alice(2), &PUBLIC),
            ),
        ]);
        assert_eq!(
            keeps,
            Keeps {
                mappings: true,
                permits: false
            }
        );
        assert_eq!(mappings.len(), 1);
        assert_eq!(mappings[0].inside.to_string(), "192.168.1.2:40000");
        assert_eq!(mappings[0].outside.to_string(), "203.0.113.17:40000");
        assert_eq!(mappings[0].life, Life::new(Some(30_000), Some(20_000)));
    }

    #[test]
    fn mappings_of_tcp_and_udp_on_one_port_are_two() {
        const PROTOCOL: u32 = 12;
        let with = |number: u8, rest: &[u8]| [&[number, 0, 0, 0], rest].concat();
        let inward = set("m_in", PROTOCOL << 6 | PORT, ADDRESS_PORT);
        let outward = set("m_out", PROTOCOL << 12 | ADDRESS_PORT, ADDRESS_PORT);
        let (_, mappings, _) = found(&[
            (inward, element(&with(6, &[0x9c, 0x40, 0, 0]), &alice(2))),
            (outward, element(&with(17, &alice(2)), &PUBLIC)),
        ]);
        let protocols: Vec<_> = mappings.iter().map(|m| m.protocol).collect();
        assert_eq!(protocols, [Some(Protocol(6)), Some(Protocol(17))]);
    }

    #[test]
    fn a_key_without_the_protocol_has_it_from_the_other_direction() {
        let inward = set("m_in", 12 << 6 | PORT, ADDRESS_PORT);
        let key = [alice(2), [203, 0, 113, 33, 0x9c, 0x41, 0, 0]].concat();
        let outward = set("m_out", ADDRESS_PORT << 12 | ADDRESS_PORT, ADDRESS_PORT);
        let (_, mappings, _) = found(&[
            (inward, element(&[17, 0, 0, 0, 0x9c, 0x40, 0, 0], &alice(2))),
            (outward, element(&key, &PUBLIC)),
        ]);
        assert_eq!(mappings.len(), 1);
        assert_eq!(mappings[0].protocol, Some(Protocol(17)));
        assert!(mappings[0].toward.is_some());
    }

    #[test]
    fn an_inward_mapping_alone_is_shown() {
        let (_, mappings, _) = found(&[(
            set("m_in", PORT, ADDRESS_PORT),
            element(&[0x9c, 0x40], &alice(3)),
        )]);
        assert_eq!(mappings[0].inside.to_string(), "192.168.1.3:40000");
        assert_eq!(mappings[0].outside.to_string(), "*:40000");
    }

    #[test]
    fn a_mapping_towards_one_remote_has_that_remote() {
        let key = [alice(2), [203, 0, 113, 33, 0x9c, 0x41, 0, 0]].concat();
        let map = set("m_out", ADDRESS_PORT << 12 | ADDRESS_PORT, ADDRESS_PORT);
        let (_, mappings, _) = found(&[(map, element(&key, &PUBLIC))]);
        assert_eq!(
            mappings[0].toward.unwrap().to_string(),
            "203.0.113.33:40001"
        );
    }

    #[test]
    fn maps_of_addresses_only_are_mappings() {
        let (inside, outside) = ([192, 168, 1, 2], [203, 0, 113, 18]);
        let (_, mappings, _) = found(&[
            (set("m_out", ADDRESS, ADDRESS), element(&inside, &outside)),
            (set("m_in", ADDRESS, ADDRESS), element(&outside, &inside)),
        ]);
        assert_eq!(mappings.len(), 1);
        assert_eq!(mappings[0].outside.to_string(), "203.0.113.18");
    }

    #[test]
    fn a_set_of_a_port_and_a_remote_is_a_permit() {
        let key = [0x9c, 0x40, 0, 0, 203, 0, 113, 33];
        let (keeps, mappings, permits) = found(&[
            (set("permit", PORT_ADDRESS, 0), element(&key, &[])),
            // Neither the ports in use nor a set of inside endpoints are permits.
            (set("taken", PORT, 0), element(&[0x9c, 0x40], &[])),
            (set("known", ADDRESS_PORT, 0), element(&alice(2), &[])),
        ]);
        assert_eq!(
            keeps,
            Keeps {
                mappings: false,
                permits: true
            }
        );
        assert!(mappings.is_empty());
        assert_eq!(permits.len(), 1);
        assert_eq!(permits[0].from.to_string(), "203.0.113.33");
    }
}

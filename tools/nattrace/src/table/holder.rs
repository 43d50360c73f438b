//! What a NAT holds, as a trace shows it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use journey::Mapping;

use super::holdings;
use super::reading::{self, Endpoint, Permit};
use crate::kernel::{self, Flow, Netfilter, TableId};

/// The NAT of the network namespace in which it was found.
pub(crate) struct Holder {
    kernel: Netfilter,
    table: TableId,
}

impl Holder {
    /// `None`: there is no table of a NAT.
    pub(crate) fn find() -> io::Result<Option<Self>> {
        let table = TableId {
            family: 2,
            name: "pinhole".to_owned(),
        };
        let mut kernel = Netfilter::open()?;
        let names = kernel::table_names(&mut kernel, table.family)?;
        Ok(names
            .contains(&table.name)
            .then_some(Holder { kernel, table }))
    }

    /// Its mappings now: those of its maps, or of the kernel's connection tracking if it has no map. A mapping whose
    /// outside address is not in the map has `outside`.
    pub(crate) fn read(&mut self, outside: Option<IpAddr>) -> io::Result<Vec<Mapping>> {
        let (keeps, mappings, permits) = holdings::read(&mut self.kernel, &self.table)?;
        let mut mappings: Vec<Mapping> = if keeps.mappings {
            mappings
                .iter()
                .map(|mapping| of_map(mapping, &permits, keeps.permits, outside))
                .collect()
        } else {
            let flows = kernel::udp_flows(&mut self.kernel)?;
            flows.iter().map(of_flow).collect()
        };
        mappings.sort_by_key(|mapping| (mapping.outside, mapping.inside, mapping.destination));
        mappings.dedup();
        Ok(mappings)
    }
}

fn of_map(
    mapping: &reading::Mapping,
    permits: &[Permit],
    filters: bool,
    outside: Option<IpAddr>,
) -> Mapping {
    let protocol = mapping.protocol;
    let port = mapping.outside.port;
    let own = permits.iter().filter(|permit| {
        permit.outside.port == port && (permit.protocol.is_none() || permit.protocol == protocol)
    });
    Mapping {
        protocol: match protocol {
            Some(reading::Protocol(6)) => "tcp".to_owned(),
            _ => "udp".to_owned(),
        },
        inside: socket(mapping.inside, None),
        outside: socket(mapping.outside, outside),
        destination: mapping.toward.map(|toward| socket(toward, None)),
        permits: own.map(|permit| socket(permit.from, None)).collect(),
        anyone: !filters,
    }
}

fn of_flow(flow: &Flow) -> Mapping {
    Mapping {
        protocol: "udp".to_owned(),
        inside: flow.original.src,
        outside: flow.reply.dst,
        destination: Some(flow.original.dst),
        permits: vec![flow.reply.src],
        anyone: false,
    }
}

fn socket(endpoint: Endpoint, otherwise: Option<IpAddr>) -> SocketAddr {
    let address = endpoint.address.or(otherwise);
    SocketAddr::new(
        address.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
        endpoint.port.unwrap_or(0),
    )
}

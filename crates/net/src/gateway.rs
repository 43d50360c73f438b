//! Port mapping at the default gateway, by PCP, NAT-PMP and UPnP-IGD.
//!
//! [`port_mapping`] asks which of them the gateway speaks, and maps nothing. A
//! [`Lease`] asks for a port, renews the mapping and gives it back.
//!
//! By NAT-PMP and PCP, packets go to the default gateway alone, and its answers
//! alone are read. A search by UPnP is a multicast on the local network: a lease
//! accepts the default gateway's answer alone, [`port_mapping`] every one.

mod exchange;
mod lease;
mod requests;
mod route;
mod router_port;

pub use gateway_proto::lease::{Config, Event, Grant, Mapped, MappingProtocol, NoMapping};
pub use lease::Lease;
pub use router_port::{RouterPort, reachable};

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use discover::{NatPmp, Pcp, PortMapping, UpnpIgd};
use gateway_proto::message::{NAT_PMP_REQUEST, NatPmpAnswer, PcpAnswer, pcp_announce};
use tokio::time::timeout;

use crate::discover::Error;
use crate::host::address_towards;
use exchange::{UPNP_HTTP, exchange, search};

/// Asks by NAT-PMP, PCP and UPnP at the same time. That takes a few milliseconds
/// where the gateway answers by all three, and up to 5.5 s where it does not by
/// UPnP. `None` for IPv6, which has no outside address to ask for.
///
/// # Errors
/// When there is no route to the server, and so no network to ask on.
pub async fn port_mapping(server: SocketAddr) -> Result<Option<PortMapping>, Error> {
    if server.is_ipv6() {
        return Ok(None);
    }
    let local = address_towards(server).map_err(|error| Error::Route(server, error))?;
    let gateway = route::default_gateway();
    let ((nat_pmp, pcp), upnp_igd) = tokio::join!(
        async {
            let Some(gateway) = gateway else {
                return (None, None);
            };
            tokio::join!(nat_pmp(gateway), pcp(gateway))
        },
        upnp_igd(local, gateway),
    );
    Ok(Some(PortMapping {
        gateway: gateway.map(IpAddr::V4),
        nat_pmp,
        pcp,
        upnp_igd,
        agrees: None,
    }))
}

async fn nat_pmp(gateway: Ipv4Addr) -> Option<NatPmp> {
    let answer = exchange(gateway, |_| NAT_PMP_REQUEST, NatPmpAnswer::parse).await?;
    Some(NatPmp {
        external: answer.external.map(IpAddr::V4),
        epoch: answer.epoch,
        result: answer.result,
    })
}

async fn pcp(gateway: Ipv4Addr) -> Option<Pcp> {
    let PcpAnswer { result, epoch } = exchange(gateway, pcp_announce, PcpAnswer::parse).await?;
    Some(Pcp { epoch, result })
}

async fn upnp_igd(local: IpAddr, gateway: Option<Ipv4Addr>) -> Option<UpnpIgd> {
    let gateway = search(local, gateway, |_| true).await?;
    let external = timeout(UPNP_HTTP, gateway.get_external_ip()).await;
    let external = external.ok().and_then(Result::ok);
    Some(UpnpIgd {
        external: external.filter(|ip| !ip.is_unspecified()),
        location: format!("http://{}{}", gateway.addr, gateway.root_url),
    })
}

//! Does the home's gateway map ports for who asks? [`port_mapping`] asks it what
//! it is and never to map, so that nothing is left behind on it; a [`Lease`]
//! asks for a port, keeps it and gives it back.
//!
//! None but the default gateway is asked by NAT-PMP and PCP, and heard. UPnP is
//! a multicast on the local network; a lease takes the default gateway's answer
//! alone.

mod ask;
mod lease;

pub use gateway_proto::lease::{Config, Event, Grant, Mapped, Protocol, Refusal};
pub use lease::Lease;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use discover::{NatPmp, Pcp, PortMapping, UpnpIgd};
use gateway_proto::message::{
    GATEWAY_PORT, NAT_PMP_REQUEST, NatPmpAnswer, PcpAnswer, pcp_announce,
};
use igd_next::SearchOptions;
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::discover::Error;
use crate::host::address_towards;

/// How long UPnP has: devices may take up to the search's MX, three seconds,
/// before they speak (UPnP Device Architecture 1.1 §1.3.2).
const UPNP_PATIENCE: Duration = Duration::from_millis(3_500);
/// Then there are a description and a few questions, by HTTP.
const UPNP_TALK: Duration = Duration::from_secs(2);
/// A multicast is sent once by whoever searches, and may be lost.
const SEARCHES: u32 = 3;
const SPACING: Duration = Duration::from_millis(100);
/// The waits of RFC 6886 §3.1, which doubles them; after a second a gateway on
/// this very network is silent.
const WAITS: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(250),
    Duration::from_millis(500),
];

/// Asks by NAT-PMP, PCP and UPnP at once; a few milliseconds where all of them
/// answer, seconds where UPnP does not. `None` for IPv6, which has no outer
/// address to tell.
///
/// # Errors
/// When there is no way to the server, and so no network to ask on.
pub async fn port_mapping(server: SocketAddr) -> Result<Option<PortMapping>, Error> {
    if server.is_ipv6() {
        return Ok(None);
    }
    let local = address_towards(server).map_err(|error| Error::Route(server, error))?;
    let gateway = gateway();
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

/// The default gateway.
fn gateway() -> Option<Ipv4Addr> {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    default_gateway(&routes)
}

async fn nat_pmp(gateway: Ipv4Addr) -> Option<NatPmp> {
    let answer = ask(gateway, |_| NAT_PMP_REQUEST, NatPmpAnswer::parse).await?;
    Some(NatPmp {
        external: answer.external.map(IpAddr::V4),
        epoch: answer.epoch,
        result: answer.result,
    })
}

async fn pcp(gateway: Ipv4Addr) -> Option<Pcp> {
    let PcpAnswer { result, epoch } = ask(gateway, pcp_announce, PcpAnswer::parse).await?;
    Some(Pcp { epoch, result })
}

/// Sends the request, which may depend on the address that it leaves from,
/// until something comes back that can be read. The socket is connected, so
/// that nobody but the gateway is heard; that it refuses is an answer, too.
async fn ask<A, R: AsRef<[u8]>>(
    gateway: Ipv4Addr,
    request: impl Fn(IpAddr) -> R,
    parse: impl Fn(&[u8]) -> Option<A>,
) -> Option<A> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect((gateway, GATEWAY_PORT)).await.ok()?;
    let request = request(socket.local_addr().ok()?.ip());
    let mut buffer = [0; stun::MAX_DATAGRAM];
    for wait in WAITS {
        socket.send(request.as_ref()).await.ok()?;
        let heard = timeout(wait, async {
            loop {
                let length = socket.recv(&mut buffer).await.ok()?;
                if let Some(answer) = parse(&buffer[..length]) {
                    return Some(answer);
                }
            }
        });
        if let Ok(heard) = heard.await {
            return heard;
        }
    }
    None
}

async fn upnp_igd(local: IpAddr, gateway: Option<Ipv4Addr>) -> Option<UpnpIgd> {
    let gateway = search(local, gateway, |_| true).await?;
    let external = timeout(UPNP_TALK, gateway.get_external_ip()).await;
    let external = external.ok().and_then(Result::ok);
    Some(UpnpIgd {
        external: external.filter(|ip| !ip.is_unspecified()),
        location: format!("http://{}{}", gateway.addr, gateway.root_url),
    })
}

/// The first gateway at an acceptable address that a search finds; `local` says
/// on which network. A router may answer from its outer address and name its
/// inner one: that is believed of nobody but the default gateway.
async fn search(
    local: IpAddr,
    gateway: Option<Ipv4Addr>,
    acceptable: impl Fn(IpAddr) -> bool,
) -> Option<Gateway<Tokio>> {
    let mut searches = JoinSet::new();
    for number in 0..SEARCHES {
        let mut options = SearchOptions::default();
        options.bind_addr = SocketAddr::new(local, 0);
        options.timeout = Some(UPNP_PATIENCE);
        options.allowed_gateway_ips = gateway.map(IpAddr::V4).into_iter().collect();
        searches.spawn(async move {
            sleep(SPACING * number).await;
            search_gateway(options).await.ok()
        });
    }
    // The others end with the set.
    loop {
        if let Ok(Some(gateway)) = searches.join_next().await?
            && acceptable(gateway.addr.ip())
        {
            return Some(gateway);
        }
    }
}

/// The gateway of the default route with the lowest metric in Linux' table of
/// them, whose numbers are in hex: addresses in the byte order of the host.
fn default_gateway(routes: &str) -> Option<Ipv4Addr> {
    const UP_VIA_GATEWAY: u32 = 0x3;
    let route = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let mut hex = || u32::from_str_radix(fields.next()?, 16).ok();
        let [destination, gateway, flags] = [hex()?, hex()?, hex()?];
        let mut fields = fields.skip(2);
        let metric: u32 = fields.next()?.parse().ok()?;
        let mask = u32::from_str_radix(fields.next()?, 16).ok()?;
        let default = destination == 0 && mask == 0 && flags & UP_VIA_GATEWAY == UP_VIA_GATEWAY;
        default.then(|| (metric, Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    let defaults = routes.lines().skip(1).filter_map(route);
    defaults.min_by_key(|&(metric, _)| metric).map(|(_, ip)| ip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn route(to: [u8; 4], via: [u8; 4], flags: &str, metric: u32, mask: [u8; 4]) -> String {
        let hex = |ip| format!("{:08X}", u32::from_ne_bytes(ip));
        let [to, via, mask] = [to, via, mask].map(hex);
        format!("eth0\t{to}\t{via}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
    }

    #[test]
    fn the_cheapest_default_route_has_the_gateway() {
        let (any, lan) = ([0; 4], [192, 168, 1, 0]);
        let table = [
            HEADER.to_owned(),
            route(lan, any, "0001", 0, [255, 255, 255, 0]),
            route(any, [10, 0, 0, 1], "0003", 600, any),
            route(any, [192, 168, 1, 1], "0003", 100, any),
            // Down, and a tunnel, which has nobody to ask.
            route(any, [192, 168, 1, 9], "0002", 1, any),
            route(any, any, "0001", 2, any),
            // Half of everything, as VPNs have it.
            route(any, [10, 8, 0, 1], "0003", 0, [128, 0, 0, 0]),
        ];
        let gateway = default_gateway(&table.concat());
        assert_eq!(gateway, Some(Ipv4Addr::new(192, 168, 1, 1)));
    }

    #[test]
    fn without_a_default_route_there_is_no_gateway() {
        assert_eq!(default_gateway(""), None);
        assert_eq!(default_gateway(HEADER), None);
    }

    proptest! {
        #[test]
        fn any_table_is_read(table in ".*", lines in "(eth0\t[0-9A-Fx]{0,9}(\t[0-9A-F]{0,9}){0,9}\n){0,9}") {
            let _ = default_gateway(&table);
            let _ = default_gateway(&format!("{HEADER}{lines}"));
        }
    }
}

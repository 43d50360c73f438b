//! One exchange with the gateway: by UDP for NAT-PMP and PCP, a search by UPnP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use gateway_proto::message::GATEWAY_PORT;
use igd_next::SearchOptions;
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::opened::{self, Opened};

/// How long a UPnP search takes at most: devices answer within the MX of the
/// search, three seconds (UPnP Device Architecture 1.1 §1.3.2).
const UPNP_PATIENCE: Duration = Duration::from_millis(3_500);
/// How long a request to a UPnP gateway by HTTP takes at most.
pub(super) const UPNP_HTTP: Duration = Duration::from_secs(2);
/// A search is one multicast datagram, which may be lost: hence several, this far
/// apart.
const SEARCHES: u32 = 3;
const SPACING: Duration = Duration::from_millis(100);
/// How long to wait after each request. RFC 6886 §3.1 doubles the wait nine times;
/// a gateway on this network that has not answered within a second does not.
const WAITS: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(250),
    Duration::from_millis(500),
];

/// Sends a request by NAT-PMP or PCP, which may depend on our own address, and
/// repeats it until an answer can be parsed. The socket is connected, so that it
/// receives from the gateway alone. `None`: no answer, or an ICMP error.
pub(super) async fn exchange<A, R: AsRef<[u8]>>(
    gateway: Ipv4Addr,
    request: impl Fn(IpAddr) -> R,
    parse: impl Fn(&[u8]) -> Option<A>,
) -> Option<A> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect((gateway, GATEWAY_PORT)).await.ok()?;
    let local = socket.local_addr().ok()?;
    opened::tell(Opened::Udp(local.port()));
    let request = request(local.ip());
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
    tracing::debug!(%gateway, "no answer by UDP");
    None
}

/// Searches for a UPnP gateway on the network of `local`, and returns the first
/// whose address is acceptable. A router may answer from its outside address
/// and name its inside one: this is accepted only of the default gateway.
pub(super) async fn search(
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
    // The other searches end when the set is dropped.
    loop {
        if let Ok(Some(gateway)) = searches.join_next().await?
            && acceptable(gateway.addr.ip())
        {
            return Some(gateway);
        }
    }
}

//! Carries out the actions of a lease, in three protocols.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gateway_proto::lease::{Action, Grant, MappingProtocol, NoMapping};
use gateway_proto::message::map::{NatPmpMapping, PcpMap, nat_pmp_map};
use gateway_proto::message::{
    GATEWAY_PORT, NAT_PMP_REQUEST, NatPmpAnswer, PcpAnswer, pcp_announce,
};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::Tokio;
use igd_next::{AddPortError, PortMappingProtocol::UDP};
use tokio::time::timeout;

use super::exchange::{UPNP_HTTP, exchange, search};
use super::route::default_gateway;
use crate::host::address_towards;

/// The description of our mapping in the gateway's table, for its owner.
const DESCRIPTION: &str = "pinhole";

/// The requests for one inside port.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) port: u16,
    /// The nonce of PCP: with it, anybody can change the mapping.
    pub(super) nonce: [u8; 12],
    pub(super) igd: Mutex<Igd>,
}

/// The UPnP gateway that was found, and the outside port that it was asked for.
#[derive(Debug, Default)]
pub(super) struct Igd {
    gateway: Option<Gateway<Tokio>>,
    external: Option<u16>,
}

/// How an [`Action`] ended.
pub(super) enum Outcome {
    Found(MappingProtocol),
    Missing(MappingProtocol, NoMapping),
    Granted(MappingProtocol, Grant),
    Failed(MappingProtocol, NoMapping),
    Released,
}

impl Requests {
    /// Carries out one action. It takes up to a second by PCP and NAT-PMP, and a
    /// few seconds by UPnP.
    pub(super) async fn carry_out(&self, action: Action) -> Outcome {
        match action {
            Action::Find(protocol) => match self.find(protocol).await {
                Ok(()) => Outcome::Found(protocol),
                Err(why) => Outcome::Missing(protocol, why),
            },
            Action::Map {
                protocol,
                external,
                lifetime,
            } => match self.map(protocol, external, lifetime).await {
                Ok(grant) => Outcome::Granted(protocol, grant),
                Err(why) => Outcome::Failed(protocol, why),
            },
            Action::Release(protocol) => {
                // A release that fails is not repeated: the mapping expires.
                let _ = self.release(protocol).await;
                Outcome::Released
            }
        }
    }

    async fn find(&self, protocol: MappingProtocol) -> Result<(), NoMapping> {
        let gateway = default_gateway().ok_or(NoMapping::NoGateway)?;
        match protocol {
            MappingProtocol::Pcp => {
                let answer = exchange(gateway, pcp_announce, PcpAnswer::parse).await;
                answer.map(drop).ok_or(NoMapping::Silent)
            }
            MappingProtocol::NatPmp => external_by_nat_pmp(gateway).await.map(drop),
            MappingProtocol::UpnpIgd => {
                let local = internal(gateway, self.port)?.ip();
                let theirs = |ip| ip == IpAddr::V4(gateway);
                let found = search(local, Some(gateway), theirs).await;
                self.igd().gateway = Some(found.ok_or(NoMapping::Silent)?);
                Ok(())
            }
        }
    }

    async fn map(
        &self,
        protocol: MappingProtocol,
        external: Option<SocketAddr>,
        lifetime: Duration,
    ) -> Result<Grant, NoMapping> {
        let gateway = default_gateway().ok_or(NoMapping::NoGateway)?;
        let seconds = seconds(lifetime);
        // The outside port equal to the inside one is the port that a NAT
        // which preserves ports gives our own packets.
        let wanted = external.map_or(self.port, |external| external.port());
        match protocol {
            MappingProtocol::Pcp => {
                let hint = external.unwrap_or((Ipv4Addr::UNSPECIFIED, wanted).into());
                self.pcp(gateway, Some(hint), seconds).await
            }
            MappingProtocol::NatPmp => {
                let ip = external_by_nat_pmp(gateway).await?;
                let (port, lifetime) = self.nat_pmp(gateway, wanted, seconds).await?;
                Ok(Grant {
                    external: SocketAddr::new(ip, port),
                    lifetime,
                })
            }
            MappingProtocol::UpnpIgd => {
                let internal = internal(gateway, self.port)?;
                let map = self.upnp(internal, wanted, external.is_some(), lifetime);
                // Three requests: the address, the port, and another port if
                // that one is taken.
                let granted = timeout(UPNP_HTTP * 3, map).await;
                granted.map_err(|_| NoMapping::Silent)?
            }
        }
    }

    async fn release(&self, protocol: MappingProtocol) -> Result<(), NoMapping> {
        let gateway = default_gateway().ok_or(NoMapping::NoGateway)?;
        match protocol {
            MappingProtocol::Pcp => self.pcp(gateway, None, 0).await.map(drop),
            MappingProtocol::NatPmp => self.nat_pmp(gateway, 0, 0).await.map(drop),
            MappingProtocol::UpnpIgd => {
                let (igd, external) = {
                    let mut igd = self.igd();
                    (igd.gateway.clone(), igd.external.take())
                };
                let (Some(igd), Some(external)) = (igd, external) else {
                    return Ok(());
                };
                let removed = timeout(UPNP_HTTP, igd.remove_port(UDP, external)).await;
                removed.map_err(|_| NoMapping::Silent)?.map_err(refused)
            }
        }
    }

    async fn pcp(
        &self,
        gateway: Ipv4Addr,
        external: Option<SocketAddr>,
        seconds: u32,
    ) -> Result<Grant, NoMapping> {
        let map = PcpMap {
            internal: internal(gateway, self.port)?,
            nonce: self.nonce,
        };
        let answer = exchange(
            gateway,
            |_| map.request(external, seconds),
            |datagram| map.parse(datagram),
        );
        let answer = answer.await.ok_or(NoMapping::Silent)?;
        match answer.result {
            0 => Ok(Grant {
                external: answer.external,
                lifetime: Duration::from_secs(answer.lifetime.into()),
            }),
            code => Err(refused(format_args!("result {code} of RFC 6887 §7.4"))),
        }
    }

    async fn nat_pmp(
        &self,
        gateway: Ipv4Addr,
        external: u16,
        seconds: u32,
    ) -> Result<(u16, Duration), NoMapping> {
        let answer = exchange(
            gateway,
            |_| nat_pmp_map(self.port, external, seconds),
            |datagram| NatPmpMapping::parse(datagram).filter(|answer| answer.internal == self.port),
        );
        let answer = answer.await.ok_or(NoMapping::Silent)?;
        match answer.result {
            0 => {
                let lifetime = Duration::from_secs(answer.lifetime.into());
                Ok((answer.external, lifetime))
            }
            code => Err(nat_pmp_refused(code)),
        }
    }

    /// A gateway that gives only mappings without an end counts as refusing: a
    /// process that is killed must leave no mapping that does not expire.
    async fn upnp(
        &self,
        internal: SocketAddr,
        wanted: u16,
        again: bool,
        lifetime: Duration,
    ) -> Result<Grant, NoMapping> {
        let igd = self.igd().gateway.clone().ok_or(NoMapping::Silent)?;
        let ip = igd.get_external_ip().await.map_err(refused)?;
        let seconds = seconds(lifetime);
        self.igd().external = Some(wanted);
        let added = igd
            .add_port(UDP, wanted, internal, seconds, DESCRIPTION)
            .await;
        let port = match added {
            Ok(()) => wanted,
            Err(AddPortError::PortInUse) if !again => {
                // The port is another host's: it is not ours to release.
                self.igd().external = None;
                let any = igd.add_any_port(UDP, internal, seconds, DESCRIPTION).await;
                any.map_err(refused)?
            }
            Err(error) => return Err(refused(error)),
        };
        self.igd().external = Some(port);
        Ok(Grant {
            external: SocketAddr::new(ip, port),
            lifetime,
        })
    }

    fn igd(&self) -> std::sync::MutexGuard<'_, Igd> {
        self.igd.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn external_by_nat_pmp(gateway: Ipv4Addr) -> Result<IpAddr, NoMapping> {
    let answer = exchange(gateway, |_| NAT_PMP_REQUEST, NatPmpAnswer::parse).await;
    let answer = answer.ok_or(NoMapping::Silent)?;
    match answer.external {
        Some(ip) => Ok(IpAddr::V4(ip)),
        None if answer.result == 0 => Err(NoMapping::NotPublic(Ipv4Addr::UNSPECIFIED.into())),
        None => Err(nat_pmp_refused(answer.result)),
    }
}

/// Our own address towards the gateway, to which it maps.
fn internal(gateway: Ipv4Addr, port: u16) -> Result<SocketAddr, NoMapping> {
    let towards = SocketAddr::from((gateway, GATEWAY_PORT));
    let ip = address_towards(towards).map_err(|error| NoMapping::NoRoute(error.to_string()))?;
    Ok(SocketAddr::new(ip, port))
}

/// The lifetime in seconds, rounded up.
fn seconds(lifetime: Duration) -> u32 {
    lifetime
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u32::MAX)
}

fn nat_pmp_refused(code: u16) -> NoMapping {
    refused(format_args!("result {code} of RFC 6886 §3.5"))
}

fn refused(why: impl std::fmt::Display) -> NoMapping {
    NoMapping::RefusedByGateway(why.to_string())
}

//! One lease's words with the gateway, in three protocols.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gateway_proto::lease::{Action, Grant, Protocol, Refusal};
use gateway_proto::message::map::{NatPmpMapping, PcpMap, nat_pmp_map};
use igd_next::aio::Gateway;
use igd_next::aio::tokio::Tokio;
use igd_next::{AddPortError, PortMappingProtocol::UDP};
use tokio::time::timeout;

use super::{NAT_PMP_REQUEST, NatPmpAnswer, PcpAnswer, UPNP_TALK, ask, pcp_announce, search};
use crate::host::address_towards;

/// What a gateway's owner finds in its table.
const DESCRIPTION: &str = "pinhole";

/// What one inner port is asked for with.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) port: u16,
    /// PCP's: who knows it can change the mapping.
    pub(super) nonce: [u8; 12],
    pub(super) igd: Mutex<Igd>,
}

/// What UPnP found, and what it was asked for.
#[derive(Debug, Default)]
pub(super) struct Igd {
    gateway: Option<Gateway<Tokio>>,
    external: Option<u16>,
}

/// How an [`Action`] ended.
pub(super) enum Outcome {
    Found(Protocol),
    Missing(Protocol, Refusal),
    Granted(Protocol, Grant),
    Failed(Protocol, Refusal),
    Released,
}

impl Asker {
    /// Bounded by the waits of [`super`]: UPnP's few seconds, the others' one.
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
                // Nobody can do more about one that will not be released.
                let _ = self.release(protocol).await;
                Outcome::Released
            }
        }
    }

    async fn find(&self, protocol: Protocol) -> Result<(), Refusal> {
        let gateway = super::gateway().ok_or(Refusal::NoGateway)?;
        match protocol {
            Protocol::Pcp => {
                let answer = ask(gateway, pcp_announce, PcpAnswer::parse).await;
                answer.map(drop).ok_or(Refusal::Silent)
            }
            Protocol::NatPmp => external_by_nat_pmp(gateway).await.map(drop),
            Protocol::UpnpIgd => {
                let local = inner(gateway, self.port)?.ip();
                let theirs = |ip| ip == IpAddr::V4(gateway);
                let found = search(local, Some(gateway), theirs).await;
                self.igd().gateway = Some(found.ok_or(Refusal::Silent)?);
                Ok(())
            }
        }
    }

    async fn map(
        &self,
        protocol: Protocol,
        external: Option<SocketAddr>,
        lifetime: Duration,
    ) -> Result<Grant, Refusal> {
        let gateway = super::gateway().ok_or(Refusal::NoGateway)?;
        let seconds = seconds(lifetime);
        // The same port outside as inside is what a NAT that preserves ports
        // gives to what we send ourselves.
        let wanted = external.map_or(self.port, |external| external.port());
        match protocol {
            Protocol::Pcp => {
                let hint = external.unwrap_or((Ipv4Addr::UNSPECIFIED, wanted).into());
                self.pcp(gateway, Some(hint), seconds).await
            }
            Protocol::NatPmp => {
                let ip = external_by_nat_pmp(gateway).await?;
                let (port, lifetime) = self.nat_pmp(gateway, wanted, seconds).await?;
                Ok(Grant {
                    external: SocketAddr::new(ip, port),
                    lifetime,
                })
            }
            Protocol::UpnpIgd => {
                let inner = inner(gateway, self.port)?;
                let map = self.upnp(inner, wanted, external.is_some(), lifetime);
                // The address, the port, and another one if that is taken.
                let granted = timeout(UPNP_TALK * 3, map).await;
                granted.map_err(|_| Refusal::Silent)?
            }
        }
    }

    async fn release(&self, protocol: Protocol) -> Result<(), Refusal> {
        let gateway = super::gateway().ok_or(Refusal::NoGateway)?;
        match protocol {
            Protocol::Pcp => self.pcp(gateway, None, 0).await.map(drop),
            Protocol::NatPmp => self.nat_pmp(gateway, 0, 0).await.map(drop),
            Protocol::UpnpIgd => {
                let (igd, external) = {
                    let mut igd = self.igd();
                    (igd.gateway.clone(), igd.external.take())
                };
                let (Some(igd), Some(external)) = (igd, external) else {
                    return Ok(());
                };
                let removed = timeout(UPNP_TALK, igd.remove_port(UDP, external)).await;
                removed.map_err(|_| Refusal::Silent)?.map_err(refused)
            }
        }
    }

    async fn pcp(
        &self,
        gateway: Ipv4Addr,
        external: Option<SocketAddr>,
        seconds: u32,
    ) -> Result<Grant, Refusal> {
        let map = PcpMap {
            inner: inner(gateway, self.port)?,
            nonce: self.nonce,
        };
        let answer = ask(
            gateway,
            |_| map.request(external, seconds),
            |datagram| map.parse(datagram),
        );
        let answer = answer.await.ok_or(Refusal::Silent)?;
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
    ) -> Result<(u16, Duration), Refusal> {
        let answer = ask(
            gateway,
            |_| nat_pmp_map(self.port, external, seconds),
            |datagram| NatPmpMapping::parse(datagram).filter(|answer| answer.inner == self.port),
        );
        let answer = answer.await.ok_or(Refusal::Silent)?;
        match answer.result {
            0 => {
                let lifetime = Duration::from_secs(answer.lifetime.into());
                Ok((answer.external, lifetime))
            }
            code => Err(by_nat_pmp(code)),
        }
    }

    /// That a gateway maps for ever or not at all is a refusal: a process that
    /// dies leaves nothing behind that does not end by itself.
    async fn upnp(
        &self,
        inner: SocketAddr,
        wanted: u16,
        again: bool,
        lifetime: Duration,
    ) -> Result<Grant, Refusal> {
        let igd = self.igd().gateway.clone().ok_or(Refusal::Silent)?;
        let ip = igd.get_external_ip().await.map_err(refused)?;
        let seconds = seconds(lifetime);
        self.igd().external = Some(wanted);
        let added = igd.add_port(UDP, wanted, inner, seconds, DESCRIPTION).await;
        let port = match added {
            Ok(()) => wanted,
            Err(AddPortError::PortInUse) if !again => {
                // It is somebody else's, whom nothing must be taken from.
                self.igd().external = None;
                let any = igd.add_any_port(UDP, inner, seconds, DESCRIPTION).await;
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

async fn external_by_nat_pmp(gateway: Ipv4Addr) -> Result<IpAddr, Refusal> {
    let answer = ask(gateway, |_| NAT_PMP_REQUEST, NatPmpAnswer::parse).await;
    let answer = answer.ok_or(Refusal::Silent)?;
    match answer.external {
        Some(ip) => Ok(IpAddr::V4(ip)),
        None if answer.result == 0 => Err(Refusal::Worthless),
        None => Err(by_nat_pmp(answer.result)),
    }
}

/// Our own address towards the gateway, which is the one that it maps to.
fn inner(gateway: Ipv4Addr, port: u16) -> Result<SocketAddr, Refusal> {
    let towards = SocketAddr::from((gateway, super::GATEWAY_PORT));
    let ip = address_towards(towards).map_err(refused)?;
    Ok(SocketAddr::new(ip, port))
}

/// Whole ones; a fraction of one is one.
fn seconds(lifetime: Duration) -> u32 {
    lifetime
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u32::MAX)
}

fn by_nat_pmp(code: u16) -> Refusal {
    refused(format_args!("result {code} of RFC 6886 §3.5"))
}

fn refused(why: impl std::fmt::Display) -> Refusal {
    Refusal::Refused(why.to_string())
}

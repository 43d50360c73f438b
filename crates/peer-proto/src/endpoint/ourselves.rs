//! What we know of ourselves, and tell peers.

use std::net::SocketAddr;

use crate::candidate::{Candidates, Tcp};
use nat::plan::{Ports, Side};

/// What is known of our NAT.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Nat {
    /// It is being measured.
    BeingMeasured,
    /// It was not measured, or could not be.
    Unknown,
    Known(Side),
}

/// Where peers reach us by TCP beside UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TcpToo {
    /// Nowhere: UDP alone is used.
    No,
    /// That is asked for when it is wanted.
    Unasked,
    /// The driver finds it out.
    Asked,
    Known(Tcp),
}

#[derive(Debug)]
pub(super) struct Ourselves {
    hosts: Vec<SocketAddr>,
    nat: Nat,
    /// The outside endpoint of our port mapping at the gateway.
    opened: Option<SocketAddr>,
    tcp: Option<Tcp>,
    tcp_too: TcpToo,
    shares: bool,
}

impl Ourselves {
    pub(super) fn new(hosts: Vec<SocketAddr>, tcp: Option<Tcp>, nat: Nat, shares: bool) -> Self {
        Self {
            hosts,
            nat,
            opened: None,
            tcp,
            tcp_too: TcpToo::No,
            shares,
        }
    }

    pub(super) fn describe(&mut self, side: Option<Side>) {
        self.nat = side.map_or(Nat::Unknown, Nat::Known);
    }

    /// We have changed our network: these are our host candidates from now on.
    pub(super) fn roamed(&mut self, hosts: Vec<SocketAddr>, nat: Nat) {
        (self.hosts, self.nat, self.opened) = (hosts, nat, None);
        if self.tcp_too != TcpToo::No {
            self.tcp_too = TcpToo::Unasked;
        }
    }

    /// Whether there is nothing more to come of our NAT.
    pub(super) fn is_described(&self) -> bool {
        self.nat != Nat::BeingMeasured
    }

    fn side(&self) -> Option<Side> {
        match self.nat {
            Nat::Known(side) => Some(side),
            Nat::BeingMeasured | Nat::Unknown => None,
        }
    }

    /// How our NAT assigns ports.
    pub(super) fn ports(&self) -> Ports {
        self.side().map_or(Ports::Any, |side| side.ports)
    }

    pub(super) fn set_opened(&mut self, opened: Option<SocketAddr>) {
        self.opened = opened;
    }

    pub(super) fn set_tcp(&mut self, tcp: Tcp) {
        self.tcp = Some(tcp);
    }

    pub(super) fn tcp_too(&self) -> &TcpToo {
        &self.tcp_too
    }

    pub(super) fn set_tcp_too(&mut self, tcp: TcpToo) {
        self.tcp_too = tcp;
    }

    pub(super) fn tcp(&self) -> Option<&Tcp> {
        self.tcp.as_ref()
    }

    /// The candidates that are known without a server.
    pub(super) fn candidates(&self) -> Candidates {
        Candidates {
            hosts: self.hosts.clone(),
            side: self.side().map(|side| Side {
                mapped: self.opened.is_some(),
                ..side
            }),
            opened: self.opened,
            measuring: self.nat == Nat::BeingMeasured,
            tcp: self.tcp.clone(),
            tcp_too: match &self.tcp_too {
                TcpToo::Known(tcp) => Some(tcp.clone()),
                TcpToo::No | TcpToo::Unasked | TcpToo::Asked => None,
            },
            shares: self.shares,
            ..Candidates::default()
        }
    }
}

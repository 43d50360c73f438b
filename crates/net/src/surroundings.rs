//! What helps to reach peers directly, and is never waited for: the measurement of our NAT, a
//! port of our router, and word of changes of our network.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use nat::plan::{Limits, Side};
use tokio::task::JoinSet;

use crate::gateway::{self, RouterPort};
use crate::roaming::Roaming;

/// How long our NAT may take to be measured.
const MEASURE: Duration = Duration::from_secs(3);

/// A measurement that is older is made again before ports are guessed.
const OLD: Duration = Duration::from_secs(3600);

/// What our NAT does.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// As peers are told it.
    pub side: Side,
    /// When it was measured.
    pub at: Instant,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// Our NAT is measured, or could not be (`None`).
    Measured(Option<Side>),
    /// The port of our router.
    Router(gateway::Event),
    /// We have changed our network; packets to the server leave from this address now.
    Network(IpAddr),
}

/// The helpers of one host.
#[derive(Debug)]
pub struct Surroundings {
    /// What we may spend on guesses; `None`: our NAT is not measured.
    limits: Option<Limits>,
    measured: Option<Measured>,
    /// The measurement, if one is under way.
    measuring: JoinSet<Option<Side>>,
    router: RouterPort,
    roaming: Roaming,
}

impl Surroundings {
    /// Nothing is measured yet. Without `limits` nothing is; the router is asked if
    /// `maps_ports` says so.
    pub fn watch(server: SocketAddr, limits: Option<Limits>, maps_ports: bool) -> Surroundings {
        Surroundings {
            limits,
            measured: None,
            measuring: JoinSet::new(),
            router: RouterPort::new(maps_ports),
            roaming: Roaming::watch(server),
        }
    }

    /// Whether our NAT is measured when [`Self::measure`] says so.
    pub fn measures(&self) -> bool {
        self.limits.is_some()
    }

    /// Measures our NAT, unless that is being done.
    pub fn measure(&mut self, server: SocketAddr) {
        if let (Some(limits), true) = (self.limits, self.measuring.is_empty()) {
            self.measuring.spawn(measure(server, limits));
        }
    }

    /// Measures it again if that was long ago.
    pub fn measure_if_old(&mut self, now: Instant, server: SocketAddr) {
        if self
            .measured
            .is_none_or(|measured| measured.at + OLD <= now)
        {
            self.measure(server);
        }
    }

    /// What our NAT does, if it is known.
    pub fn measured(&self) -> Option<Measured> {
        self.measured
    }

    /// We are registered, and seen at this address: the router may map a port to ours,
    /// unless it was asked for one.
    pub fn registered(&mut self, server: SocketAddr, port: u16, reflexive: SocketAddr) {
        if self.router.is_unasked() {
            self.router.ask(server, port, reflexive);
        }
    }

    /// What happens next. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Event {
        tokio::select! {
            Some(side) = self.measuring.join_next() => {
                let side = side.ok().flatten();
                let at = Instant::now();
                self.measured = side.map(|side| Measured { side, at });
                Event::Measured(side)
            }
            change = self.router.next() => Event::Router(change),
            from = self.roaming.next() => {
                self.router.forget();
                // It is about the NAT of the network before.
                self.measuring = JoinSet::new();
                self.measured = None;
                Event::Network(from)
            }
        }
    }

    /// Gives the router's port back.
    pub async fn close(&mut self) {
        self.router.close().await;
    }
}

/// Measures our NAT; `None` where that does not succeed in time.
async fn measure(server: SocketAddr, limits: Limits) -> Option<Side> {
    let config = discover::Config::new(server, None);
    let report = tokio::time::timeout(MEASURE, crate::discover::discover(config)).await;
    let report = report.ok()?.ok()?;
    (report.verdict == discover::Verdict::Measured).then(|| report.side(limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_measurement_that_fails_is_told_once_and_can_be_made_again() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = silent.local_addr().unwrap();
        let mut unmeasured = Surroundings::watch(server, None, false);
        unmeasured.measure(server);
        assert!(unmeasured.measuring.is_empty());
        let mut surroundings = Surroundings::watch(server, Some(Limits::POLITE), false);
        for _ in 0..2 {
            surroundings.measure_if_old(Instant::now(), server);
            surroundings.measure(server);
            assert_eq!(surroundings.measuring.len(), 1);
            let event = surroundings.next().await;
            assert!(matches!(event, Event::Measured(None)), "{event:?}");
            assert!(surroundings.measuring.is_empty() && surroundings.measured().is_none());
        }
    }
}

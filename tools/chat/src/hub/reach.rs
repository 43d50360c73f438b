//! What helps to reach peers directly, and never delays a conversation: the measurement of
//! our NAT, a port of our router, and word of changes of our network. Nothing here is waited
//! for.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nat::plan::{Limits, Side};
use net::gateway::{self, RouterPort};
use net::roaming::Roaming;
use tokio::task::JoinHandle;

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
    /// Our NAT is measured.
    Measured,
    /// The port of our router.
    Router(gateway::Event),
    /// We have changed our network.
    Network,
}

/// The helpers.
#[derive(Debug)]
pub struct Reach {
    /// What we may spend on guesses; `None`: our NAT is not measured.
    limits: Option<Limits>,
    measured: Option<Measured>,
    measuring: Option<JoinHandle<Option<Side>>>,
    router: RouterPort,
    roaming: Roaming,
}

impl Reach {
    /// Nothing is measured yet. Without `limits` nothing is; the router is asked if
    /// `maps_ports` says so.
    pub fn new(server: SocketAddr, limits: Option<Limits>, maps_ports: bool) -> Reach {
        Reach {
            limits,
            measured: None,
            measuring: None,
            router: RouterPort::new(maps_ports),
            roaming: Roaming::watch(server),
        }
    }

    /// Measures our NAT, unless that is being done.
    pub fn measure(&mut self, server: SocketAddr) {
        let (Some(limits), None) = (self.limits, &self.measuring) else {
            return;
        };
        self.measuring = Some(tokio::spawn(async move {
            let config = discover::Config::new(server, None);
            let measured = tokio::time::timeout(MEASURE, net::discover::discover(config)).await;
            let report = measured.ok()?.ok()?;
            (report.verdict == discover::Verdict::Measured).then(|| report.side(limits))
        }));
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

    /// We are registered, and seen at this address: the router may map a port to ours.
    pub fn registered(&mut self, server: SocketAddr, port: u16, reflexive: SocketAddr) {
        if self.router.is_unasked() {
            self.router.ask(server, port, reflexive);
        }
    }

    /// What happens next. A call that is dropped loses nothing.
    pub async fn next(&mut self) -> Event {
        let measured = async {
            match &mut self.measuring {
                Some(task) => task.await.ok().flatten(),
                None => pending().await,
            }
        };
        tokio::select! {
            side = measured => {
                self.measuring = None;
                let at = Instant::now();
                self.measured = side.map(|side| Measured { side, at });
                Event::Measured
            }
            event = self.router.next() => Event::Router(event),
            _ = self.roaming.next() => {
                self.router.forget();
                self.measured = None;
                Event::Network
            }
        }
    }

    /// Gives the router's port back.
    pub async fn close(&mut self) {
        self.router.close().await;
    }
}

//! The driver of [`gateway_proto::lease`].

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_proto::lease::{self, Config, Event, Mapped};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};

use super::requests::{Outcome, Requests};
use crate::discover::{Error, seed};

/// How long giving a mapping back may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// A mapping of a UDP port that a task asks the gateway for, renews for as long as
/// this exists, and gives back when this is closed or dropped.
#[derive(Debug)]
pub struct Lease {
    news: watch::Receiver<Option<Event>>,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Begins to ask for a mapping of this port of this host's IPv4 address. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// When the system has no randomness. That no mapping is given is an
    /// [`Event`].
    pub fn ask(port: u16, config: Config) -> Result<Self, Error> {
        let seed = seed()?;
        let requests = Requests {
            port,
            nonce: std::array::from_fn(|i| seed[i]),
            igd: Default::default(),
        };
        let (tell, news) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        Ok(Self {
            news,
            end: Some(end),
            task: tokio::spawn(keep(
                lease::Lease::new(config),
                Arc::new(requests),
                tell,
                ended,
            )),
        })
    }

    /// The next event; if there were several since the last call, the latest. A
    /// call that is dropped loses nothing. When there can be no more events it
    /// waits for ever, for use as one branch of a `select!`.
    pub async fn next(&mut self) -> Event {
        loop {
            if self.news.changed().await.is_err() {
                return std::future::pending().await;
            }
            if let Some(event) = &*self.news.borrow_and_update() {
                return event.clone();
            }
        }
    }

    /// The mapping, if there is one now.
    pub fn mapped(&self) -> Option<Mapped> {
        match &*self.news.borrow() {
            Some(Event::Mapped(mapped)) => Some(*mapped),
            _ => None,
        }
    }

    /// The outside address of the mapping, if there is one now.
    pub fn external(&self) -> Option<SocketAddr> {
        self.mapped().map(|mapped| mapped.external)
    }

    /// Gives the mapping back, and waits for that for at most three seconds.
    /// Dropping does the same without waiting, unless the runtime ends before.
    pub async fn close(mut self) {
        drop(self.end.take());
        if timeout(FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn keep(
    mut protocol: lease::Lease,
    requests: Arc<Requests>,
    tell: watch::Sender<Option<Event>>,
    mut ended: oneshot::Receiver<()>,
) {
    let mut under_way = JoinSet::new();
    let mut open = true;
    loop {
        while let Some(action) = protocol.poll_action() {
            let requests = Arc::clone(&requests);
            under_way.spawn(async move { requests.carry_out(action).await });
        }
        while let Some(event) = protocol.poll_event() {
            tell.send_replace(Some(event));
        }
        if protocol.is_closed() {
            return;
        }
        let timeout = protocol.poll_timeout();
        tokio::select! {
            _ = &mut ended, if open => {
                open = false;
                protocol.close();
            }
            Some(outcome) = under_way.join_next() => {
                let now = Instant::now();
                match outcome.unwrap_or_else(|error| resume_unwind(error.into_panic())) {
                    Outcome::Found(by) => protocol.handle_found(now, by),
                    Outcome::Missing(by, why) => protocol.handle_missing(now, by, why),
                    Outcome::Granted(by, grant) => protocol.handle_granted(now, by, grant),
                    Outcome::Failed(by, why) => protocol.handle_failed(now, by, why),
                    Outcome::Released => protocol.handle_released(now),
                }
            }
            () = sleep_until(timeout.unwrap_or_else(Instant::now).into()), if timeout.is_some() => {
                protocol.handle_timeout(Instant::now());
            }
        }
    }
}

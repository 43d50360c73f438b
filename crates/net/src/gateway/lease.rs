//! The hands of [`gateway_proto::lease`].

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway_proto::lease::{Config, Event, Lease as Brain, Mapped};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep_until, timeout};

use super::ask::{Asker, Outcome};
use crate::discover::{Error, seed};

/// How long a mapping that is given back may take: all that is sent for it.
const FAREWELL: Duration = Duration::from_secs(3);

/// A UDP port that the gateway is asked to map, in the background: nobody waits
/// for it. It is renewed for as long as this lives, and given back when it is
/// closed, or dropped.
#[derive(Debug)]
pub struct Lease {
    news: watch::Receiver<Option<Event>>,
    end: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Begins to ask for a port of this host's IPv4 address. It must be called
    /// in a tokio runtime.
    ///
    /// # Errors
    /// When the system has no randomness. That nobody maps is an [`Event`].
    pub fn ask(port: u16, config: Config) -> Result<Self, Error> {
        let seed = seed()?;
        let asker = Asker {
            port,
            nonce: std::array::from_fn(|i| seed[i]),
            igd: Default::default(),
        };
        let (tell, news) = watch::channel(None);
        let (end, ended) = oneshot::channel();
        Ok(Self {
            news,
            end: Some(end),
            task: tokio::spawn(keep(Brain::new(config), Arc::new(asker), tell, ended)),
        })
    }

    /// What there is to know next. If more than one thing has happened since,
    /// the last one. May be dropped and called again; where nothing more can
    /// come it waits for ever, as befits one branch of a `select!`.
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

    /// The mapping that there is now.
    pub fn mapped(&self) -> Option<Mapped> {
        match &*self.news.borrow() {
            Some(Event::Mapped(mapped)) => Some(*mapped),
            _ => None,
        }
    }

    /// Whoever sends here is let in, as far as is known now.
    pub fn external(&self) -> Option<SocketAddr> {
        self.mapped().map(|mapped| mapped.external)
    }

    /// Gives the mapping back, and waits for that: three seconds at most.
    /// Dropping does the same without waiting, and not at all if the runtime
    /// ends before.
    pub async fn close(mut self) {
        drop(self.end.take());
        if timeout(FAREWELL, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

async fn keep(
    mut brain: Brain,
    asker: Arc<Asker>,
    tell: watch::Sender<Option<Event>>,
    mut ended: oneshot::Receiver<()>,
) {
    let mut under_way = JoinSet::new();
    let mut open = true;
    loop {
        while let Some(action) = brain.poll_action() {
            let asker = Arc::clone(&asker);
            under_way.spawn(async move { asker.carry_out(action).await });
        }
        while let Some(event) = brain.poll_event() {
            tell.send_replace(Some(event));
        }
        if brain.is_closed() {
            return;
        }
        let timeout = brain.poll_timeout();
        tokio::select! {
            _ = &mut ended, if open => {
                open = false;
                brain.close();
            }
            Some(outcome) = under_way.join_next() => {
                let now = Instant::now();
                match outcome.unwrap_or_else(|error| resume_unwind(error.into_panic())) {
                    Outcome::Found(protocol) => brain.handle_found(now, protocol),
                    Outcome::Missing(protocol, why) => brain.handle_missing(now, protocol, why),
                    Outcome::Granted(protocol, grant) => brain.handle_granted(now, protocol, grant),
                    Outcome::Failed(protocol, why) => brain.handle_failed(now, protocol, why),
                    Outcome::Released => brain.handle_released(now),
                }
            }
            () = sleep_until(timeout.unwrap_or_else(Instant::now).into()), if timeout.is_some() => {
                brain.handle_timeout(Instant::now());
            }
        }
    }
}

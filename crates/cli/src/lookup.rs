//! The server's name, looked up again and again while the server is silent.

use std::net::SocketAddr;
use std::time::Duration;

use net::host;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The pause before the second look. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause: a name that leads elsewhere now is known after about a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Looks up, beside everything else, whether the server is at another address by now.
#[derive(Debug)]
pub struct LookUp {
    /// `HOST:PORT`.
    host: String,
    at: SocketAddr,
    under_way: Option<JoinHandle<SocketAddr>>,
}

impl LookUp {
    /// The server `host`, which is known at this address.
    pub fn new(host: &str, at: SocketAddr) -> LookUp {
        LookUp {
            host: host.to_owned(),
            at,
            under_way: None,
        }
    }

    /// The server is silent: looks until it is found at another address.
    pub fn begin(&mut self) {
        if self.under_way.is_none() {
            self.under_way = Some(tokio::spawn(elsewhere(self.host.clone(), self.at)));
        }
    }

    /// The server answers again.
    pub fn end(&mut self) {
        if let Some(task) = self.under_way.take() {
            task.abort();
        }
    }

    /// Another address of the server, when one is found. A call that is dropped loses
    /// nothing.
    pub async fn next(&mut self) -> SocketAddr {
        loop {
            let Some(task) = &mut self.under_way else {
                std::future::pending().await
            };
            let found = task.await.unwrap_or(self.at);
            self.under_way = None;
            if std::mem::replace(&mut self.at, found) != found {
                return found;
            }
        }
    }
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.end();
    }
}

/// The first address of the server other than the one before that answers.
async fn elsewhere(host: String, before: SocketAddr) -> SocketAddr {
    let mut pause = FIRST_PAUSE;
    loop {
        match host::resolve_again(&host, stun::DEFAULT_PORT, before).await {
            Ok(found) if found != before => return found,
            _ => sleep(pause).await,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

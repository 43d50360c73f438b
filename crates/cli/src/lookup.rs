//! The server's name, looked up again when the server is silent.

use std::net::SocketAddr;

use net::host;
use tokio::task::JoinHandle;

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

    /// The server is silent.
    pub fn begin(&mut self) {
        if self.under_way.is_some() {
            return;
        }
        let (host, before) = (self.host.clone(), self.at);
        self.under_way = Some(tokio::spawn(async move {
            let again = host::resolve_again(&host, stun::DEFAULT_PORT, before).await;
            again.unwrap_or(before)
        }));
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

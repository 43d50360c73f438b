//! The same addresses by TCP: Binding, for clients that measure how their NAT
//! maps TCP. The server decides when a connection ends.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use rendezvous_proto::server::StreamId;
use sansio::SocketId;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

use crate::serve::Shared;

/// How long to wait when there is no file for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted, of one address.
const BACKLOG: u32 = 1024;

/// The tasks that serve a connection each.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<StreamId, AbortHandle>>);

impl Streams {
    /// Closes a connection, unless it is closed.
    pub fn close(&self, id: StreamId) {
        if let Some(task) = self.lock().remove(&id) {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Listens; on `::`, for both address families, whatever the system's default is.
///
/// # Errors
/// Those of `bind(2)` and `listen(2)`.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        setsockopt(
            &socket,
            sockopt::Ipv6V6Only,
            &!address.ip().is_unspecified(),
        )?;
    }
    // Connections of the run before may not have ended yet.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections to the address of socket `index`, until the runtime ends.
pub async fn accept(shared: Arc<Shared>, index: SocketId, listener: TcpListener) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let mut server = shared.lock();
        let id = server.stream_opened(Instant::now(), index, from);
        let served = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            serve(&served, id, &stream).await;
            served.lock().stream_closed(id);
            served.changed();
        });
        shared.streams.lock().insert(id, task.abort_handle());
        // Another one may have ended for it.
        shared.close_streams(&mut server);
        shared.changed();
    }
}

/// Answers until the client closes the connection, does not read its answers, or sends something
/// that is not answered.
async fn serve(shared: &Shared, id: StreamId, stream: &TcpStream) {
    let mut buffer = [0; stun::MAX_DATAGRAM];
    while stream.readable().await.is_ok() {
        let length = match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let received = &buffer[..length];
        let answers = shared.lock().stream_received(Instant::now(), id, received);
        shared.changed();
        let sent = |answers: Vec<u8>| match answers.len() {
            0 => true,
            length => stream.try_write(&answers).is_ok_and(|sent| sent == length),
        };
        if !answers.is_some_and(sent) {
            return;
        }
    }
}

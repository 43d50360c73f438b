//! The same addresses by TCP: Binding, for clients that measure how their NAT
//! maps TCP.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rendezvous_proto::server::Server;
use sansio::SocketId;
use stun::Frames;
use tokio::net::{TcpListener, TcpStream};

use crate::serve::Shared;

/// A connection that is silent for this long is closed. Clients send every 15 s.
const IDLE: Duration = Duration::from_secs(60);

/// How long to wait when there is no file descriptor for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections to the address of socket `index`, until the runtime ends.
pub async fn accept(shared: Arc<Shared>, index: SocketId, listener: TcpListener) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        if shared.lock().stream_opened(from) {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                serve(&shared, index, &stream, from).await;
                shared.lock().stream_closed(from);
            });
        }
    }
}

/// Answers until the client closes the connection, is silent for too long, or
/// sends something that is not answered.
async fn serve(shared: &Shared, index: SocketId, stream: &TcpStream, from: SocketAddr) {
    let mut frames = Frames::default();
    let mut buffer = [0; stun::MAX_DATAGRAM];
    while let Ok(Ok(())) = tokio::time::timeout(IDLE, stream.readable()).await {
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => frames.push(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        loop {
            let message = match frames.next_message() {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(_) => return,
            };
            let answer = handle(&mut shared.lock(), index, from, &message);
            // A client that does not read its answers loses the connection.
            let sent = answer.map(|answer| (stream.try_write(&answer), answer.len()));
            if !matches!(sent, Some((Ok(sent), length)) if sent == length) {
                return;
            }
        }
    }
}

fn handle(server: &mut Server, index: SocketId, from: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    server.handle_stream(Instant::now(), index, from, bytes)
}

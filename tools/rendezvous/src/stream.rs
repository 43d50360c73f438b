//! The same addresses by TCP: Binding, for clients whose NAT treats TCP in its
//! own way.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rendezvous_proto::server::Server;
use sansio::SocketId;
use stun::Frames;
use tokio::net::{TcpListener, TcpStream};

use crate::serve::Shared;

/// Who says nothing for so long is gone; clients ask every 15 s.
const IDLE: Duration = Duration::from_secs(60);

/// How long to wait when there is no file left for another connection.
const BREATH: Duration = Duration::from_millis(100);

/// Accepts for the brain's socket `index`, until the runtime ends.
pub async fn accept(shared: Arc<Shared>, index: SocketId, listener: TcpListener) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        if shared.lock().stream_opened(from) {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                converse(&shared, index, &stream, from).await;
                shared.lock().stream_closed(from);
            });
        }
    }
}

/// Until the client leaves, is silent for too long, or says what is not answered.
async fn converse(shared: &Shared, index: SocketId, stream: &TcpStream, from: SocketAddr) {
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
            let message = match frames.next() {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(_) => return,
            };
            let answer = handle(&mut shared.lock(), index, from, &message);
            // Who does not read its answers does not need them.
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

//! Connections from one local TCP port, for [`peer_proto::tcp::Agent`]: that port
//! connects and listens at the same time.
//!
//! [`Port::bind`] takes the port, [`ByTcp::prepare`] asks the server for its reflexive address
//! and keeps it, and after the introduction [`ByTcp::start`] connects to the peer until both sides
//! have agreed on one connection. [`Carrier`] sends datagrams over it.

mod by_tcp;
mod carrier;
mod mapping;
mod puncher;

pub use by_tcp::{ByTcp, Ended, Event, Outcome};
pub use carrier::{Carrier, MOST_WAITING};
pub use mapping::Mapping;
pub use puncher::{Punched, Puncher};

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::opened::{self, Opened};

/// SYNs that wait to be accepted.
const BACKLOG: u32 = 16;

/// A local port that several sockets share.
#[derive(Debug)]
pub struct Port {
    /// Keeps the port until the first attempt, from which on a listener does.
    socket: Option<TcpSocket>,
    local: SocketAddr,
}

impl Port {
    /// Binds this port, or any for 0.
    ///
    /// # Errors
    /// What `bind(2)` says.
    pub fn bind(local: SocketAddr) -> io::Result<Port> {
        let socket = socket(local)?;
        let local = socket.local_addr()?;
        Ok(Port {
            socket: Some(socket),
            local,
        })
    }

    /// The number of the port.
    pub fn number(&self) -> u16 {
        self.local.port()
    }

    fn listen(&mut self) -> io::Result<TcpListener> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket(self.local)?,
        };
        socket.listen(BACKLOG)
    }
}

/// A socket on the shared port. It sends at once: its messages are short, and the
/// peer waits for each.
fn socket(local: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match local {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.set_nodelay(true)?;
    socket.bind(local)?;
    opened::tell(Opened::Tcp(socket.local_addr()?.port()));
    Ok(socket)
}

/// Sends all of it: what is sent here fits into any send buffer.
///
/// # Errors
/// Also where it does not fit.
fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    match stream.try_write(bytes)? {
        sent if sent == bytes.len() => Ok(()),
        _ => Err(ErrorKind::WriteZero.into()),
    }
}

/// Receives what has arrived.
///
/// # Errors
/// Also at the end of the stream.
async fn receive(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut buffer = [0; stun::MAX_DATAGRAM];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => return Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

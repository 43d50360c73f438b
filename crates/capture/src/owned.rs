//! Whether a local port is one of this process's own.

use std::fs;
use std::os::fd::RawFd;
use std::path::Path;

use nix::sys::socket::{SockaddrStorage, getsockname};

use crate::Transport;

/// Whether a socket of this process has this local port: its open files are looked through,
/// in some ten microseconds. The system's table of sockets would take as many milliseconds,
/// in which a connection to the gateway is over. `false` where they cannot be read.
pub(crate) fn is_ours(transport: Transport, port: u16) -> bool {
    let Ok(files) = fs::read_dir("/proc/self/fd") else {
        return false;
    };
    let mut files = files.filter_map(|file| Some(file.ok()?.path()));
    files.any(|file| local_port(&file) == Some(port) && is_of(transport, &file))
}

fn local_port(file: &Path) -> Option<u16> {
    let number: RawFd = file.file_name()?.to_str()?.parse().ok()?;
    let local: SockaddrStorage = getsockname(number).ok()?;
    let v4 = local.as_sockaddr_in().map(|it| it.port());
    v4.or_else(|| local.as_sockaddr_in6().map(|it| it.port()))
}

/// Whether the kernel says so of the socket (net/socket.c: sockfs has this attribute).
fn is_of(transport: Transport, socket: &Path) -> bool {
    let mut name = [0; 16];
    let length = rustix::fs::getxattr(socket, "system.sockprotoname", &mut name[..]);
    let name = name.get(..length.unwrap_or_default()).unwrap_or_default();
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    match transport {
        Transport::Udp => name == b"UDP" || name == b"UDPv6",
        Transport::Tcp => name == b"TCP" || name == b"TCPv6",
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_socket_of_this_process_is_found_by_its_port_and_protocol() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = udp.local_addr().unwrap().port();
        assert!(is_ours(Transport::Udp, port));
        assert!(!is_ours(Transport::Tcp, port));
        drop(udp);
        assert!(!is_ours(Transport::Udp, port));
        let tcp = TcpListener::bind("[::1]:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        assert!(is_ours(Transport::Tcp, port));
        assert!(!is_ours(Transport::Udp, port));
        drop(tcp);
        assert!(!is_ours(Transport::Tcp, port));
    }
}

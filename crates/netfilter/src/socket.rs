//! A netlink socket to netfilter.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};

use crate::attributes::{errno, messages};

/// The socket, which never waits. The kernel answers a request before `send` returns.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Socket {
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        Ok(Socket {
            socket,
            buffer: vec![0; 256 * 1024],
        })
    }

    pub(crate) fn send(&self, message: &[u8]) -> io::Result<()> {
        send(self.socket.as_raw_fd(), message, MsgFlags::empty())?;
        Ok(())
    }

    /// Sends requests, and reads the answers.
    ///
    /// # Errors
    /// The first one that the kernel answers with.
    pub(crate) fn request(&mut self, messages: &[u8]) -> io::Result<()> {
        self.send(messages)?;
        self.for_each(accepted)
    }

    /// Reads each message that waits.
    pub(crate) fn for_each(
        &mut self,
        mut read: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            let got = match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
                Ok(got) => got,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
            messages(&self.buffer[..got]).try_for_each(&mut read)?;
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether an answer is no error.
fn accepted(answer: &[u8]) -> io::Result<()> {
    match errno(answer) {
        None | Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;
    use crate::attributes::message;

    #[test]
    fn an_error_among_the_answers_is_found() {
        let answer = |errno: i32| {
            let mut bytes = message(libc::NLMSG_ERROR as u16, 0, 0, 0, &[]);
            bytes[16..20].copy_from_slice(&(-errno).to_ne_bytes());
            bytes
        };
        let all = |answers: &[u8]| messages(answers).try_for_each(accepted);
        assert!(all(&answer(0)).is_ok());
        let both = [answer(0), answer(libc::EPERM)].concat();
        let refused = all(&both).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(all(&both[..10]).is_ok(), "cut short");
    }
}

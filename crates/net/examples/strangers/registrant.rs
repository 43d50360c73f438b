//! A client of the rendezvous, request by request.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use session::identity::Identity;
use stun::{Builder, Message, Method, Transaction, code};

use crate::Result;

/// Requests are padded to this many bytes.
const LENGTH: usize = 640;

/// How often each error code came back.
pub type Codes = BTreeMap<u16, u32>;

pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// A socket, a key, and the server's cookie.
pub struct Registrant {
    pub socket: UdpSocket,
    pub key: Identity,
    server: SocketAddr,
    sequence: u64,
    cookie: Option<Vec<u8>>,
}

impl Registrant {
    pub fn new(server: SocketAddr, from: SocketAddr) -> Result<Self> {
        Ok(Registrant {
            socket: UdpSocket::bind(from)?,
            key: Identity::from_secret(&random()),
            server,
            sequence: 0,
            cookie: None,
        })
    }

    pub fn has_cookie(&self) -> bool {
        self.cookie.is_some()
    }

    /// Takes the cookie out of an answer that has one. Its error code, if any.
    pub fn handle(&mut self, answer: &Message<'_>) -> Option<u16> {
        let error = answer.error();
        if matches!(error, Some(code::UNAUTHENTICATED | code::STALE_NONCE)) {
            self.cookie = answer.nonce().map(<[u8]>::to_vec);
        }
        error
    }

    /// A request of that name, signed if there is a cookie.
    pub fn request(
        &mut self,
        method: Method,
        name: &str,
        fill: impl FnOnce(Builder) -> Builder,
    ) -> (Transaction, Vec<u8>) {
        let transaction = random();
        let request = Builder::request(method, transaction);
        let request = match &self.cookie {
            None => request,
            Some(cookie) => {
                self.sequence += 1;
                let request = request
                    .nonce(cookie)
                    .name(name)
                    .public_key(&self.key.public())
                    .sequence(self.sequence);
                fill(request).sign(|part| self.key.sign(part))
            }
        };
        (transaction, request.pad_to(LENGTH).finish())
    }

    pub fn register(&mut self, name: &str, lifetime: u32) -> (Transaction, Vec<u8>) {
        let fresh = random();
        self.request(Method::Register, name, |request| {
            request.lifetime(lifetime).fresh(&fresh).relay(&[])
        })
    }

    pub fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send_to(bytes, self.server);
    }

    /// Sends a request, and again until its answer comes, as our client does; `None`: it does not
    /// within three seconds.
    pub fn ask(&self, transaction: Transaction, bytes: &[u8]) -> Result<Option<Vec<u8>>> {
        let start = Instant::now();
        let mut wait = Duration::from_millis(100);
        let mut buffer = [0; stun::MAX_DATAGRAM];
        while start.elapsed() < Duration::from_secs(3) {
            self.send(bytes);
            let until = Instant::now() + wait;
            while let Some(left) = until.checked_duration_since(Instant::now())
                && let Some(length) = receive(&self.socket, &mut buffer, left)?
            {
                let answer = Message::parse(&buffer[..length]);
                if answer.is_ok_and(|answer| answer.transaction() == transaction) {
                    return Ok(Some(buffer[..length].to_vec()));
                }
            }
            wait = (wait * 2).min(Duration::from_millis(400));
        }
        Ok(None)
    }
}

/// Waits for a datagram. It waits for none with a time of zero.
pub fn receive(socket: &UdpSocket, buffer: &mut [u8], wait: Duration) -> Result<Option<usize>> {
    socket.set_nonblocking(wait.is_zero())?;
    if !wait.is_zero() {
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(100))))?;
    }
    match socket.recv(buffer) {
        Ok(length) => Ok(Some(length)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(None),
            // What an ICMP error says of an earlier datagram.
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable => Ok(None),
            _ => Err(error.into()),
        },
    }
}

pub fn print_codes(codes: &Codes) -> String {
    let each: Vec<String> = codes
        .iter()
        .map(|(code, count)| format!("{code}:{count}"))
        .collect();
    match each.is_empty() {
        true => "-".into(),
        false => each.join(","),
    }
}

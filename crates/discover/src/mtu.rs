//! The path MTU towards a server, by requests that no router may fragment (DF, RFC 1191, RFC 8899).
//!
//! A size fits if an answer to a request of that size comes. One that does not fit is refused by a
//! router (ICMP too big), or by silence. The largest size that fits is
//! searched for by halves, from what every IPv4 host has to take up to the MTU of our interface.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sansio::{Datagram, IcmpError, Input, Protocol, Transmit};
use serde::Serialize;
use stun::{Builder, IcmpReason, Message, Method, Transaction};

use super::MIN_WAIT;
use super::transaction::transaction;

/// Larger packets are not tried: servers do not take them.
const MOST: u16 = 1500;
/// RFC 791 and RFC 8200: every host takes as much.
const LEAST: [u16; 2] = [576, 1280];
/// A request is padded to a multiple of it (RFC 8489 §14).
const STEP: u16 = 4;
/// A size is tried so often, since packets are lost for other reasons as well.
const TRIES: usize = 4;
const SPACING: Duration = Duration::from_millis(30);

/// What is known of the path MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MtuReport {
    /// The largest IP packet, in bytes and to four of them, that came to the server. `None`: not even
    /// the least that every host takes.
    pub fits: Option<u16>,
    /// The MTU of our own interface.
    pub interface: u16,
    /// What is in the way of larger ones.
    pub limit: MtuLimit,
    /// The router that said so.
    pub router: Option<IpAddr>,
}

/// What is in the way of larger packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MtuLimit {
    /// Our own interface.
    Interface,
    /// A router, which says so.
    Router,
    /// They get no answer and no ICMP error: a router drops them, or the server does not take them.
    Silence,
    /// Larger ones than 1,500 bytes were not tried.
    NotTried,
}

/// The measurement. Its one socket must forbid fragmentation.
#[derive(Debug)]
pub struct Mtu {
    server: SocketAddr,
    interface: u16,
    /// In bytes: this fits, and this does not.
    fits: Option<u16>,
    too_big: Option<(u16, MtuLimit, Option<IpAddr>)>,
    /// The size that is tried.
    size: u16,
    sent: Vec<Transaction>,
    first: Instant,
    round_trip: Duration,
    next: Option<Instant>,
    rng: ChaCha20Rng,
    due: bool,
}

impl Mtu {
    /// Begins. `interface` is the MTU of the interface that packets to the server leave by.
    pub fn new(now: Instant, server: SocketAddr, interface: u16, seed: [u8; 32]) -> Mtu {
        Mtu {
            server,
            interface,
            fits: None,
            too_big: None,
            size: interface.min(MOST) / STEP * STEP,
            sent: Vec::new(),
            first: now,
            round_trip: Duration::ZERO,
            next: Some(now),
            rng: ChaCha20Rng::from_seed(seed),
            due: true,
        }
    }

    /// The result, when there is one.
    pub fn report(&self) -> Option<MtuReport> {
        if self.next.is_some() {
            return None;
        }
        let whole = match self.interface <= MOST {
            true => MtuLimit::Interface,
            false => MtuLimit::NotTried,
        };
        let (limit, router) = match self.too_big {
            Some((_, limit, router)) => (limit, router),
            None => (whole, None),
        };
        Some(MtuReport {
            fits: self.fits,
            interface: self.interface,
            limit,
            router,
        })
    }

    fn least(&self) -> u16 {
        LEAST[usize::from(self.server.is_ipv6())]
    }

    fn headers(&self) -> u16 {
        if self.server.is_ipv6() { 48 } else { 28 }
    }

    fn fits(&mut self, now: Instant) {
        self.fits = Some(self.size);
        self.go_on(now);
    }

    fn does_not_fit(&mut self, now: Instant, limit: MtuLimit, router: Option<IpAddr>) {
        self.too_big = Some((self.size, limit, router));
        self.go_on(now);
    }

    /// The next size, half way between what fits and what does not.
    fn go_on(&mut self, now: Instant) {
        let next = match (self.fits, self.too_big) {
            (_, None) => None,
            (None, Some((too_big, ..))) => Some(self.least()).filter(|least| *least < too_big),
            (Some(fits), Some((too_big, ..))) => {
                let half = (fits + (too_big - fits) / 2) / STEP * STEP;
                Some(half).filter(|half| *half > fits)
            }
        };
        self.sent.clear();
        self.first = now;
        (self.due, self.next) = (next.is_some(), next.map(|_| now));
        self.size = next.unwrap_or(self.size);
    }

    fn answered(&mut self, now: Instant, datagram: Datagram<'_>) {
        let message = Message::parse(datagram.payload).ok();
        let message = message.filter(|_| datagram.from == self.server);
        if message.is_some_and(|it| self.sent.contains(&it.transaction())) {
            self.round_trip = self.round_trip.max(now - self.first);
            self.fits(now);
        }
    }

    fn told(&mut self, now: Instant, error: IcmpError<'_>) {
        let quoted = error.quoted.get(8..).and_then(<[u8]>::first_chunk);
        // One that quotes too little may be about a size before: then silence decides.
        let ours = error.to == self.server && quoted.is_some_and(|it| self.sent.contains(it));
        if ours && error.reason() == Some(IcmpReason::TooBig) {
            self.does_not_fit(now, MtuLimit::Router, Some(error.offender));
        }
    }
}

impl Protocol for Mtu {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            _ if self.next.is_none() => {}
            Input::Datagram(datagram) => self.answered(now, datagram),
            Input::Icmp(error) => self.told(now, error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        match self.sent.len() {
            TRIES => self.does_not_fit(now, MtuLimit::Silence, None),
            _ => self.due = true,
        }
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        if !std::mem::take(&mut self.due) {
            return None;
        }
        let transaction = transaction(&mut self.rng);
        self.sent.push(transaction);
        let last = self.sent.len() == TRIES;
        let wait = MIN_WAIT.max(3 * self.round_trip);
        self.next = self
            .next
            .map(|next| next + if last { wait } else { SPACING });
        let request = Builder::request(Method::Binding, transaction);
        let length = usize::from(self.size - self.headers());
        let payload = request.pad_to(length).finish();
        Some(Transmit::new(0, self.server, payload))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use stun::Icmp;

    use super::*;

    /// How what is larger than the MTU ends.
    #[derive(Clone, Copy)]
    enum TooBig {
        /// With so much of the request quoted.
        Told(usize),
        Dropped,
    }

    /// Measures a path with this MTU.
    fn measure(mtu: u16, interface: u16, too_big: TooBig) -> (MtuReport, Duration) {
        let (server, start) = ("203.0.113.1:3478".parse().unwrap(), Instant::now());
        let router = "203.0.113.254".parse().unwrap();
        let mut protocol = Mtu::new(start, server, interface, [1; 32]);
        let mut now = start;
        while let Some(next) = protocol.poll_timeout() {
            while let Some(sent) = protocol.poll_transmit() {
                let size = sent.payload.len() + 28;
                if size <= usize::from(mtu) {
                    let request = Message::parse(&sent.payload).unwrap();
                    let answer = Builder::success(&request).finish();
                    protocol.handle_input(now, Input::datagram(0, server, &answer));
                    continue;
                }
                match too_big {
                    TooBig::Dropped => {}
                    TooBig::Told(quoted) => protocol.handle_input(
                        now,
                        Input::Icmp(IcmpError {
                            socket: 0,
                            to: server,
                            offender: router,
                            icmp: Icmp { kind: 3, code: 4 },
                            quoted: &sent.payload[..quoted],
                        }),
                    ),
                }
            }
            now = now.max(next);
            protocol.handle_timeout(now);
            assert!(now - start < Duration::from_secs(10), "it does not end");
        }
        (protocol.report().unwrap(), now - start)
    }

    #[test]
    fn the_largest_size_that_fits_is_found_and_who_refuses_larger_ones() {
        for mtu in [576, 1280, 1400, 1452, 1492, 1496] {
            for (how, limit) in [
                (TooBig::Told(20), MtuLimit::Router),
                (TooBig::Told(0), MtuLimit::Silence),
                (TooBig::Dropped, MtuLimit::Silence),
            ] {
                let (found, _) = measure(mtu, 1500, how);
                assert_eq!((found.fits, found.limit), (Some(mtu), limit), "{mtu}");
                assert_eq!(found.router.is_some(), limit == MtuLimit::Router);
            }
        }
        let (odd, _) = measure(1454, 1500, TooBig::Told(20));
        assert_eq!(odd.fits, Some(1452), "to four bytes");
    }

    #[test]
    fn what_fits_whole_takes_one_packet_and_what_cannot_be_told_is_said() {
        let (whole, took) = measure(1500, 1500, TooBig::Dropped);
        assert_eq!((whole.fits, whole.limit), (Some(1500), MtuLimit::Interface));
        assert_eq!(took, Duration::ZERO);
        let (jumbo, _) = measure(9000, 9000, TooBig::Dropped);
        assert_eq!((jumbo.fits, jumbo.limit), (Some(1500), MtuLimit::NotTried));
        let (none, _) = measure(100, 1500, TooBig::Dropped);
        assert_eq!((none.fits, none.limit), (None, MtuLimit::Silence));
    }
}

//! Where on the way the NAT is, by packets whose TTL expires.
//!
//! 1. Towards the server, with every TTL: each router where a packet expires answers ICMP time
//!    exceeded, which shows its address.
//! 2. The same towards our own reflexive address: the first router where the packet does *not*
//!    expire has that address.
//! 3. A filter lets the server's other address in after a packet was sent there. A packet with a TTL
//!    of h opens the filters of the routers before hop h. So the smallest h after which an answer
//!    from there comes in is one more than the hop of the farthest filter.
//!
//! Every TTL has a socket of its own, since an ICMP error need not quote more of a packet than its
//! ports (RFC 792).
//!
//! Then each hop is asked several times more, for its round trip and the loss on the way to it.

mod quality;
#[cfg(test)]
mod tests;

pub use quality::HopQuality;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use nat::private_network;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::Serialize;
use stun::{Builder, Change, Class, IcmpReason, Message, Method};

use super::MIN_WAIT;
use super::mtu::MtuReport;
use super::transaction::transaction;
use quality::{Quality, Told};
use sansio::{Datagram, IcmpError, Input, Protocol, Transmit};

/// The routers on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PathReport {
    /// Their addresses, from the gateway on; `None` where a router does not answer.
    pub hops: Vec<Option<IpAddr>>,
    /// Whether `hops` ends at the server: it answered a packet whose TTL was one greater.
    pub complete: bool,
    /// The hop, from 1 on, that has our reflexive address: the last translation. `None`: not found.
    pub public_at_hop: Option<u8>,
    /// The hop of the farthest filter. `None`: not found, or there is none.
    pub filter_at_hop: Option<u8>,
    /// Whether there is more than one NAT. `None`: not certain, since a private network in front of
    /// the last NAT may be routed or translated.
    pub nats_in_series: Option<bool>,
    /// The round trip to each of `hops` and the loss on the way there; at the end of a complete path
    /// those of the server.
    pub quality: Vec<HopQuality>,
    /// The path MTU to the server; [`Mtu`](super::Mtu) measures it. `None`: it was not measured.
    pub mtu: Option<MtuReport>,
}

/// The measurement.
#[derive(Debug)]
pub struct Path {
    server: SocketAddr,
    /// The server's other address and port, if a filter can be tested there.
    other: Option<SocketAddr>,
    /// Our reflexive address.
    outside: Option<SocketAddr>,
    rounds: u32,
    next: Option<Instant>,
    rng: ChaCha20Rng,
    round_trip: Duration,
    sent: Instant,
    seen: [Sweep; 3],
    quality: Option<Quality>,
    outbox: VecDeque<Transmit>,
}

/// What became of the packets with each TTL, by TTL − 1.
#[derive(Debug, Default)]
struct Sweep {
    expired_at: [Option<IpAddr>; HOPS],
    answered: [bool; HOPS],
}

/// The greatest TTL: most NATs are nearer.
const HOPS: usize = 16;
/// The control: the last socket of the filter's sweep asks without an opener.
const CONTROL: usize = HOPS - 1;
const ROUNDS: u32 = 4;
const SPACING: Duration = Duration::from_millis(30);

const TO_SERVER: usize = 0;
const TO_OUTSIDE: usize = 1;
const FILTER: usize = 2;

impl Path {
    /// Begins the measurement. `outside` is our reflexive address, if there is a NAT; `other` the
    /// server's other address, if the mapping is endpoint-independent.
    pub fn new(
        now: Instant,
        server: SocketAddr,
        other: Option<SocketAddr>,
        outside: Option<SocketAddr>,
        seed: [u8; 32],
    ) -> Self {
        let mut path = Self {
            server,
            other,
            outside,
            rounds: 0,
            next: Some(now),
            rng: ChaCha20Rng::from_seed(seed),
            round_trip: Duration::ZERO,
            sent: now,
            seen: Default::default(),
            quality: None,
            outbox: VecDeque::new(),
        };
        path.handle_timeout(now);
        path
    }

    /// The result, when there is one.
    pub fn report(&self) -> Option<PathReport> {
        if self.next.is_some() {
            return None;
        }
        let [to_server, to_outside, _] = &self.seen;
        let (count, complete) = self.length();
        let hops = to_server.expired_at[..count].to_vec();
        let public = self
            .outside
            .and_then(|_| last_nat(&hops, &to_outside.expired_at));
        let before = public.map(|public| &hops[..=public]);
        let nats_in_series = before.and_then(|before| match before {
            [_] => Some(false),
            _ => changes_network(before).then_some(true),
        });
        Some(PathReport {
            complete,
            public_at_hop: public.map(|hop| hop as u8 + 1),
            filter_at_hop: self.farthest_filter(),
            nats_in_series,
            quality: self
                .quality
                .as_ref()
                .map_or_else(Vec::new, |quality| quality.report(complete)),
            mtu: None,
            hops,
        })
    }

    /// The number of routers that are known, and whether the server comes after them.
    fn length(&self) -> (usize, bool) {
        let to_server = &self.seen[TO_SERVER];
        let end = to_server.answered.iter().position(|&answered| answered);
        let last = to_server.expired_at.iter().rposition(Option::is_some);
        let known = last.map_or(0, |last| last + 1);
        (end.unwrap_or(known), end.is_some())
    }

    /// Asks each hop, and the server behind them, once more.
    fn ask_each_hop(&mut self, now: Instant) {
        let (count, complete) = self.length();
        let hops = count + usize::from(complete);
        let quality = self.quality.get_or_insert_with(|| Quality::new(hops));
        let requests = quality.requests(now, &mut self.rng);
        for (index, request) in requests {
            let ttl = index as u8 + 1;
            self.push(TO_SERVER, index, self.server, Some(ttl), request);
        }
    }

    fn farthest_filter(&self) -> Option<u8> {
        let heard = &self.seen[FILTER].answered;
        // An answer without an opener shows that nothing is filtered.
        if self.other.is_none() || heard[CONTROL] {
            return None;
        }
        let opened = heard[..CONTROL].iter().position(|&heard| heard)?;
        // TTL 1 does not pass the first router: then the filter is our own host's.
        u8::try_from(opened).ok().filter(|&hop| hop > 0)
    }

    fn send(&mut self) {
        for index in 0..HOPS {
            let ttl = index as u8 + 1;
            let plain = self.request(None);
            self.push(TO_SERVER, index, self.server, Some(ttl), plain);
            if let Some(outside) = self.outside {
                let plain = self.request(None);
                self.push(TO_OUTSIDE, index, outside, Some(ttl), plain);
            }
            let Some(other) = self.other else { continue };
            if index != CONTROL {
                // An indication, because it must not be answered itself.
                let opener = Builder::indication(Method::Binding, transaction(&mut self.rng));
                let opener = opener.finish();
                self.push(FILTER, index, other, Some(ttl), opener);
            }
            let from_there = self.request(Some(Change {
                ip: true,
                port: true,
            }));
            self.push(FILTER, index, self.server, None, from_there);
        }
    }

    fn request(&mut self, change: Option<Change>) -> Vec<u8> {
        stun::binding_request(transaction(&mut self.rng), change)
    }

    fn push(
        &mut self,
        sweep: usize,
        index: usize,
        to: SocketAddr,
        ttl: Option<u8>,
        payload: Vec<u8>,
    ) {
        self.outbox.push_back(Transmit {
            socket: sweep * HOPS + index,
            to,
            ttl,
            payload,
        });
    }
}

/// The index of the hop that has the reflexive address.
fn last_nat(hops: &[Option<IpAddr>], expired_at: &[Option<IpAddr>]) -> Option<usize> {
    // The hop after the last one where a packet to that address expired.
    let on_the_way = expired_at.iter().rposition(Option::is_some);
    let found = on_the_way.map_or(0, |last| last + 1);
    // With hairpinning, it expires there as well, on its way back in. But after the last router with
    // a private address nothing is translated.
    let inside = |hop: &Option<IpAddr>| hop.is_some_and(|hop| private(hop).is_some());
    let found = found.min(hops.iter().rposition(inside)?);
    // Its silence counts only if it is known to send ICMP errors.
    hops[found].map(|_| found)
}

/// Whether two different private networks follow each other: a carrier does not route its shared
/// addresses (RFC 6598) into a home.
fn changes_network(hops: &[Option<IpAddr>]) -> bool {
    let kinds: Vec<_> = hops.iter().flatten().map(|&hop| private(hop)).collect();
    kinds
        .windows(2)
        .any(|pair| pair[0] != pair[1] && pair.iter().all(Option::is_some))
}

/// The private IPv4 network (RFC 1918, RFC 6598) that the address belongs to, if any.
fn private(address: IpAddr) -> Option<IpNet> {
    match address {
        IpAddr::V4(v4) if !v4.is_link_local() => private_network(address),
        _ => None,
    }
}

impl Path {
    fn answered(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Datagram {
            socket,
            from,
            payload,
            ..
        } = datagram;
        let Ok(message) = Message::parse(payload) else {
            return;
        };
        let expected = match socket / HOPS {
            TO_SERVER => from == self.server,
            FILTER => Some(from) == self.other,
            _ => false,
        };
        if expected && message.is(Class::Success, Method::Binding) {
            if let Some(quality) = self.quality.as_mut().filter(|_| socket < HOPS) {
                return quality.told(now, socket, Told::By(message.transaction()));
            }
            self.seen[socket / HOPS].answered[socket % HOPS] = true;
            self.round_trip = self.round_trip.max(now - self.sent);
        }
    }

    fn expired(&mut self, now: Instant, error: IcmpError<'_>) {
        let sweep = error.socket / HOPS;
        let expected = match sweep {
            TO_SERVER => error.to == self.server,
            TO_OUTSIDE => Some(error.to) == self.outside,
            _ => false,
        };
        if expected && error.reason() == Some(IcmpReason::TimeExceeded) {
            if let Some(quality) = self.quality.as_mut().filter(|_| sweep == TO_SERVER) {
                return quality.told(now, error.socket, Told::of_quoted(error.quoted));
            }
            self.seen[sweep].expired_at[error.socket % HOPS] = Some(error.offender);
        }
    }
}

impl Protocol for Path {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => self.answered(now, datagram),
            Input::Icmp(error) => self.expired(now, error),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        self.rounds += 1;
        let wait = MIN_WAIT.max(3 * self.round_trip);
        self.next = match self.rounds {
            ..=ROUNDS => {
                self.sent = now;
                self.send();
                let last = self.rounds == ROUNDS;
                Some(now + if last { wait } else { SPACING })
            }
            round if round <= ROUNDS + quality::ROUNDS => {
                self.ask_each_hop(now);
                let last = round == ROUNDS + quality::ROUNDS;
                Some(now + if last { wait } else { quality::SPACING })
            }
            _ => None,
        };
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.outbox.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }
}

//! What servers see of our sockets: the mapping towards the server's other
//! address, the last port of a sequential NAT, and port brackets. It also numbers
//! the sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use stun::{Builder, Message, Method};

use super::binding::BindingTransaction;
use super::bracket::{Bracket, Bracketed, Purpose};
use nat::plan::Ports;
use sansio::{SocketId, Transmit};

/// Packets that give our sockets a mapping towards a peer.
#[derive(Debug)]
pub(super) struct Openers {
    pub(super) peer: SocketAddr,
    /// New sockets, of which each sends one.
    pub(super) sockets: u32,
    pub(super) ttl: Option<u8>,
}

/// How long the second address may take longer than the first, at least.
const LATER: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Gathering {
    server: SocketAddr,
    rng: ChaCha20Rng,
    /// The first number that no socket has yet.
    next_socket: SocketId,
    /// The mapping towards the server's other address.
    other: Option<BindingTransaction>,
    /// Until when somebody waits for it.
    waits_until: Option<Instant>,
    /// The last port of a sequential NAT.
    fresh: Option<BindingTransaction>,
    bracket: Option<Bracket>,
}

impl Gathering {
    pub(super) fn new(server: SocketAddr, seed: [u8; 32]) -> Self {
        Self {
            server,
            rng: ChaCha20Rng::from_seed(seed),
            next_socket: 1,
            other: None,
            waits_until: None,
            fresh: None,
            bracket: None,
        }
    }

    /// The rendezvous.
    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    /// The rendezvous is at this address from now on. What it, and its other address, have
    /// told of us is asked for anew.
    pub(super) fn move_server(&mut self, server: SocketAddr) {
        self.server = server;
        (self.other, self.fresh) = (None, None);
    }

    /// The server has a second address.
    pub(super) fn ask_other(&mut self, now: Instant, to: SocketAddr) {
        self.other = Some(self.binding(now, 0, to));
    }

    /// Our address has changed, hence the mapping towards the other address, too.
    pub(super) fn moved(&mut self, now: Instant) {
        if let Some(old) = self.other.take_if(|other| other.mapped.is_some()) {
            self.ask_other(now, old.to);
        }
    }

    /// We have changed our network, hence every mapping.
    pub(super) fn roamed(&mut self, now: Instant) {
        self.fresh = None;
        self.moved(now);
    }

    /// The server's second address.
    pub(super) fn other_server(&self) -> Option<SocketAddr> {
        Some(self.other.as_ref()?.to)
    }

    /// Where the server's second address sees our first socket.
    pub(super) fn other_mapped(&self) -> Option<SocketAddr> {
        self.other.as_ref()?.mapped
    }

    /// The last port that a sequential NAT assigned to us.
    pub(super) fn base(&self) -> Option<u16> {
        Some(self.fresh.as_ref()?.mapped?.port())
    }

    /// Whether the mapping towards the other address is known, or is not waited for any
    /// longer: a second address that is silent or slow delays nobody. `rtt` is our round trip
    /// to the first one, and the second is as far.
    pub(super) fn has_other(&mut self, now: Instant, rtt: Option<Duration>) -> bool {
        let other = self.other.as_ref().filter(|other| !other.is_over(now));
        let late = other.map(|other| match rtt {
            Some(rtt) => other.since() + rtt + LATER.max(rtt / 2),
            None => other.end(),
        });
        self.waits_until = late.filter(|late| now < *late);
        self.waits_until.is_none()
    }

    /// Whether the last port is known, or will not be. A port that is too old is
    /// asked for anew.
    pub(super) fn has_base(&mut self, now: Instant) -> bool {
        if self.fresh.as_ref().is_none_or(|fresh| fresh.is_stale(now)) {
            let socket = self.new_sockets(1);
            self.fresh = Some(self.binding(now, socket, self.server));
        }
        self.fresh.as_ref().is_some_and(|fresh| fresh.is_over(now))
    }

    /// Numbers for `count` new sockets; the first of them.
    pub(super) fn new_sockets(&mut self, count: u32) -> SocketId {
        let first = self.next_socket;
        self.next_socket += count as usize;
        first
    }

    pub(super) fn is_bracketing(&self) -> bool {
        self.bracket.is_some()
    }

    /// Begins a port bracket. Nothing else may leave between the packets returned.
    pub(super) fn bracket(
        &mut self,
        now: Instant,
        openers: &Openers,
        purpose: Purpose,
    ) -> Vec<Transmit> {
        let scratch = self.new_sockets(2);
        let first = self.new_sockets(openers.sockets);
        let mut before = self.binding(now, scratch, self.server);
        let mut after = self.binding(now, scratch + 1, self.server);
        let mut transmits = Vec::from_iter(before.poll_transmit(now));
        for socket in first..self.next_socket {
            let indication = Builder::indication(Method::Binding, self.transaction());
            transmits.push(Transmit {
                ttl: openers.ttl,
                ..Transmit::new(socket, openers.peer, indication.finish())
            });
        }
        transmits.extend(after.poll_transmit(now));
        self.bracket = Some(Bracket {
            purpose,
            first,
            before,
            after,
        });
        transmits
    }

    /// The port bracket, once both requests are answered or will not be. `ports` is
    /// how our NAT assigns ports.
    pub(super) fn poll_bracketed(&mut self, now: Instant, ports: Ports) -> Option<Bracketed> {
        let bracket = self.bracket.take_if(|bracket| bracket.is_over(now))?;
        Some(bracket.result(ports))
    }

    /// A Binding answer, from there.
    pub(super) fn handle_input(&mut self, from: SocketAddr, message: &Message<'_>) {
        for binding in self.other.iter_mut().chain(&mut self.fresh) {
            binding.handle_input(from, message);
        }
        if let Some(bracket) = &mut self.bracket {
            bracket.handle_input(from, message);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let bindings = self.other.iter().chain(&self.fresh);
        let bindings = bindings.filter_map(BindingTransaction::poll_timeout);
        let bracket = self.bracket.as_ref().and_then(Bracket::poll_timeout);
        bindings.chain(bracket).chain(self.waits_until).min()
    }

    /// The next request that is due.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.waits_until.take_if(|until| *until <= now);
        let mut bindings = self.other.iter_mut().chain(&mut self.fresh);
        let due = bindings.find_map(|binding| binding.poll_transmit(now));
        due.or_else(|| self.bracket.as_mut()?.poll_transmit(now))
    }

    fn binding(&mut self, now: Instant, socket: SocketId, to: SocketAddr) -> BindingTransaction {
        BindingTransaction::new(now, self.transaction(), socket, to)
    }

    fn transaction(&mut self) -> stun::Transaction {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        transaction
    }
}

//! The measurements of natprobe, with servers that answer anything.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use discover::{Config, Discover, Hairpin, Lifetime, Path, SOCKETS};
use sansio::{Datagram, IcmpError, Input, Protocol, SocketId, Transmit};
use stun::{Attribute, Builder, Icmp, Message};

use crate::input::{Choices, at};

/// A measurement, and whether it has its result.
trait Measurement: Protocol {
    fn is_done(&self) -> bool;
    /// Sockets that it may use; more is an error.
    fn sockets(&self) -> usize;
}

impl Measurement for Discover {
    fn is_done(&self) -> bool {
        if let Some(report) = self.report() {
            serde_json::to_string(report).expect("a report is JSON");
            let _ = discover::sheet(report);
        }
        self.report().is_some()
    }

    fn sockets(&self) -> usize {
        SOCKETS
    }
}

impl Measurement for Hairpin {
    /// There is no result if the server did not answer.
    fn is_done(&self) -> bool {
        self.poll_timeout().is_none()
    }

    fn sockets(&self) -> usize {
        2
    }
}

impl Measurement for Lifetime {
    fn is_done(&self) -> bool {
        self.report().is_some()
    }

    fn sockets(&self) -> usize {
        64
    }
}

impl Measurement for Path {
    fn is_done(&self) -> bool {
        self.report().is_some()
    }

    fn sockets(&self) -> usize {
        8192
    }
}

pub(crate) fn discover(data: &[u8]) {
    let mut choices = Choices::new(data);
    let now = Instant::now();
    let (s1, local) = (at("203.0.113.1:3478"), at("192.168.1.2:40000"));
    let seed = [7; 32];
    let other = choices.flag().then(|| at("203.0.113.2:3479"));
    match choices.byte() % 8 {
        0..=4 => {
            let config = Config {
                survey: choices.flag(),
                wait: choices
                    .flag()
                    .then(|| Duration::from_millis(choices.byte().into())),
                ..Config::new(s1, other)
            };
            World::run(Discover::new(now, config, local, seed), now, &mut choices);
        }
        5 => World::run(Hairpin::new(now, s1, seed), now, &mut choices),
        6 => {
            let longest = Duration::from_secs(u64::from(choices.byte()) * 4);
            World::run(Lifetime::new(now, s1, longest, seed), now, &mut choices);
        }
        _ => {
            let outside = choices.flag().then(|| at("198.51.100.7:40000"));
            World::run(Path::new(now, s1, other, outside, seed), now, &mut choices);
        }
    }
}

struct World<M> {
    measurement: M,
    now: Instant,
    sent: Vec<Transmit>,
    /// The hosts that may be sent to: the server's, and those that an answer has named.
    hosts: BTreeSet<IpAddr>,
    open: BTreeSet<SocketId>,
    usual: Vec<SocketAddr>,
}

impl<M: Measurement> World<M> {
    fn run(measurement: M, now: Instant, choices: &mut Choices<'_>) {
        let usual = [
            "203.0.113.1:3478",
            "203.0.113.1:3479",
            "203.0.113.2:3478",
            "203.0.113.2:3479",
            "198.51.100.7:40000",
            "198.51.100.7:40001",
            "198.51.100.7:40100",
            "198.51.100.8:40000",
            "192.168.1.2:40000",
        ];
        let usual = usual.map(at).to_vec();
        let mut world = World {
            measurement,
            now,
            sent: Vec::new(),
            hosts: usual.iter().map(SocketAddr::ip).collect(),
            open: BTreeSet::new(),
            usual,
        };
        world.send();
        while !choices.is_empty() {
            world.step(choices);
            world.send();
        }
        // It has a result in the end, if nothing more is answered.
        for _ in 0..20_000 {
            if world.measurement.is_done() {
                return;
            }
            world.timeout();
            world.send();
        }
        let (what, next) = (std::any::type_name::<M>(), world.measurement.poll_timeout());
        panic!("{what} has no result, and its next timeout is {next:?}");
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.byte() % 8 {
            0 => self.now += Duration::from_millis(choices.short().into()),
            1 => self.timeout(),
            2 => {
                let (from, bytes) = (choices.address(&self.usual), choices.bytes());
                self.receive(usize::from(choices.byte() % 16), from, None, bytes);
            }
            3 => self.icmp(choices),
            4 => {
                // What hairpinning and early packets look like: a datagram of ours comes back.
                let Some(sent) = self.any(choices) else {
                    return;
                };
                let from = choices.address(&self.usual);
                self.receive(usize::from(choices.byte() % 16), from, None, &sent.payload);
            }
            _ => self.answer(choices),
        }
    }

    fn any(&self, choices: &mut Choices<'_>) -> Option<Transmit> {
        let back = usize::from(choices.byte()) % self.sent.len().max(1);
        self.sent.iter().rev().nth(back).cloned()
    }

    fn answer(&mut self, choices: &mut Choices<'_>) {
        let Some(sent) = self.any(choices) else {
            return;
        };
        let Ok(request) = Message::parse(&sent.payload) else {
            return;
        };
        let what = choices.byte();
        let mut answer = match what & 1 {
            0 => Builder::success(&request),
            _ => Builder::error(&request, choices.of(&[400, 420, 500])),
        };
        if what & 2 == 0 {
            answer = answer.xor_mapped(choices.address(&self.usual));
        }
        if what & 4 != 0 {
            answer = answer.other_address(choices.address(&self.usual));
        }
        if what & 8 != 0 {
            answer = answer.response_origin(choices.address(&self.usual));
        }
        if what & 16 != 0 {
            answer = answer.bounced(&[]);
        }
        if what & 32 != 0 {
            let (kind, code) = (choices.byte() & 0x7f, choices.byte());
            answer = answer.icmp(Icmp { kind, code });
        }
        if what & 64 != 0 {
            answer = answer.raw(Attribute::MappedAddress, choices.bytes());
        }
        let from = match what & 128 {
            0 => sent.to,
            _ => choices.address(&self.usual),
        };
        self.receive(sent.socket, from, None, &answer.finish());
    }

    fn icmp(&mut self, choices: &mut Choices<'_>) {
        let Some(sent) = self.any(choices) else {
            return;
        };
        let quoted = &sent.payload[..usize::from(choices.byte()).min(sent.payload.len())];
        let error = IcmpError {
            socket: sent.socket,
            to: sent.to,
            offender: choices.address(&self.usual).ip(),
            icmp: Icmp {
                kind: choices.of(&[3, 11, 1, 5]),
                code: choices.byte() % 16,
            },
            quoted,
        };
        self.measurement.handle_input(self.now, Input::Icmp(error));
    }

    fn receive(&mut self, socket: SocketId, from: SocketAddr, ttl: Option<u8>, payload: &[u8]) {
        if let Ok(message) = Message::parse(payload) {
            let named = [
                message.other_address(),
                message.mapped(),
                message.response_origin(),
            ];
            self.hosts
                .extend(named.into_iter().flatten().map(|named| named.ip()));
        }
        let datagram = Datagram {
            socket,
            from,
            ttl,
            payload,
        };
        self.measurement
            .handle_input(self.now, Input::Datagram(datagram));
    }

    fn timeout(&mut self) {
        let due = self.measurement.poll_timeout();
        self.now = due.map_or(self.now, |at| at.max(self.now));
        self.measurement.handle_timeout(self.now);
        let next = self.measurement.poll_timeout();
        let moves = next.is_none_or(|next| next > self.now);
        let late = next.map(|next| self.now.saturating_duration_since(next));
        assert!(
            moves || self.measurement.is_done(),
            "it would be called at once: it is {late:?} late"
        );
    }

    fn send(&mut self) {
        let mut count = 0;
        while let Some(transmit) = self.measurement.poll_transmit() {
            count += 1;
            assert!(count <= 4096, "one step makes it send without end");
            assert!(
                self.hosts.contains(&transmit.to.ip()),
                "{} was not named",
                transmit.to
            );
            assert!(transmit.socket < self.measurement.sockets());
            if self.open.insert(transmit.socket) {
                let port = 40_000 + transmit.socket as u16;
                let local = SocketAddr::new(at("192.168.1.2:0").ip(), port);
                self.measurement.handle_opened(transmit.socket, local);
            }
            self.sent.push(transmit);
        }
        let old = self.sent.len().saturating_sub(256);
        self.sent.drain(..old);
    }
}

//! Two agents, and between them two NATs that treat an unexpected SYN in different
//! ways.

use super::*;
use nat::plan::Role;
use session::seal::Keys;
use std::time::Instant;

const A: &str = "203.0.113.17:4000";
const B: &str = "203.0.113.33:4000";

/// What a NAT does with a SYN that comes before one has left.
#[derive(Clone, Copy, PartialEq)]
enum Stray {
    /// It drops it: the sender's system sends it again after a second.
    Silence,
    /// It answers with a reset, which leaves the mapping of the sender's NAT.
    Reset,
    /// It answers with a reset, which removes the mapping of the sender's NAT, as on
    /// Linux.
    ResetCloses,
    /// It lets it in.
    Welcome,
}

#[derive(Clone, Copy, Debug)]
enum Packet {
    Syn(LinkId),
    /// It answers the SYN of this link, which is one of the receiver.
    SynAck(LinkId),
    Reset(LinkId),
}

struct Host {
    agent: Agent,
    address: SocketAddr,
    stray: Stray,
    /// The peer's packets are let in.
    open: bool,
    /// The connection that is being made, and the one that is established.
    making: Option<LinkId>,
    stands: Option<LinkId>,
    ended: Option<Event>,
}

/// What happens later: a packet or bytes arrive at a side, or a side sends its SYN
/// again.
enum Due {
    Packet(usize, Packet),
    Bytes(usize, Vec<u8>),
    Again(usize, LinkId),
}

struct World {
    now: Instant,
    start: Instant,
    /// When the last side had ended.
    done: Instant,
    hosts: [Host; 2],
    delay: Duration,
    caller_starts: Instant,
    due: Vec<(Instant, Due)>,
}

fn keys() -> [Keys; 2] {
    let (one, other) = (stun::integrity_key(&[1; 32]), stun::integrity_key(&[2; 32]));
    let keys = |outgoing: &stun::IntegrityKey, incoming: &stun::IntegrityKey| Keys {
        attempt: [5; 8],
        outgoing: outgoing.clone(),
        incoming: incoming.clone(),
    };
    [keys(&one, &other), keys(&other, &one)]
}

/// The callee starts at once, the caller `later`: the answer to its Connect has to come.
fn world(strays: [Stray; 2], delay: Duration, later: Duration, seed: u8) -> World {
    let now = Instant::now();
    let [a, b] = keys();
    let host = |now, role, keys, own: &str, peer: &str, stray, seed| Host {
        agent: Agent::new(
            Config {
                role,
                keys,
                targets: vec![peer.parse().unwrap()],
                lan_likely: false,
                deadline: now + Duration::from_secs(5),
                seed: [seed; 32],
            },
            now,
        ),
        address: own.parse().unwrap(),
        stray,
        open: stray == Stray::Welcome,
        making: None,
        stands: None,
        ended: None,
    };
    World {
        now,
        start: now,
        done: now,
        hosts: [
            host(now + later, Role::Caller, a, A, B, strays[0], seed),
            host(
                now,
                Role::Callee,
                b,
                B,
                A,
                strays[1],
                seed.wrapping_add(100),
            ),
        ],
        delay,
        caller_starts: now + later,
        due: Vec::new(),
    }
}

impl World {
    fn run(&mut self) -> [Event; 2] {
        loop {
            for side in [0, 1] {
                self.drain(side);
            }
            let next = self.due.iter().map(|(at, _)| *at);
            let timeouts = self.hosts.iter().filter_map(|h| h.agent.poll_timeout());
            let starts = (self.now < self.caller_starts).then_some(self.caller_starts);
            let Some(at) = next.chain(timeouts).chain(starts).min() else {
                return self.hosts.each_ref().map(|host| host.ended.unwrap());
            };
            self.now = self.now.max(at);
            let (now, late) = std::mem::take(&mut self.due)
                .into_iter()
                .partition(|(at, _)| *at <= self.now);
            self.due = late;
            let now: Vec<(Instant, Due)> = now;
            for (_, due) in now {
                self.happen(due);
            }
            for host in &mut self.hosts {
                if host.agent.poll_timeout().is_some_and(|at| at <= self.now) {
                    host.agent.handle_timeout(self.now);
                }
            }
        }
    }

    fn drain(&mut self, side: usize) {
        let then = self.now + self.delay;
        if side == 0 && self.now < self.caller_starts {
            return;
        }
        while let Some(command) = self.hosts[side].agent.poll_command() {
            match command {
                Command::Connect { link, .. } => {
                    assert!(self.hosts[side].making.is_none() && self.hosts[side].stands.is_none());
                    self.hosts[side].making = Some(link);
                    self.happen(Due::Again(side, link));
                }
                Command::Send { link, bytes } => {
                    assert_eq!(self.hosts[side].stands, Some(link));
                    self.due.push((then, Due::Bytes(1 - side, bytes)));
                }
                Command::Close { link } => {
                    self.hosts[side].making.take_if(|making| *making == link);
                }
            }
        }
        if let Some(event) = self.hosts[side].agent.poll_event() {
            assert_eq!(self.hosts[side].ended.replace(event), None);
            self.done = self.now;
        }
    }

    fn happen(&mut self, due: Due) {
        let (now, then) = (self.now, self.now + self.delay);
        match due {
            Due::Again(side, link) => {
                let host = &mut self.hosts[side];
                if host.making == Some(link) {
                    host.open = true;
                    self.due
                        .push((then, Due::Packet(1 - side, Packet::Syn(link))));
                    self.due
                        .push((now + Duration::from_secs(1), Due::Again(side, link)));
                }
            }
            Due::Bytes(side, bytes) => {
                let host = &mut self.hosts[side];
                if let Some(link) = host.stands {
                    host.agent.handle_bytes(now, link, &bytes);
                }
            }
            Due::Packet(side, packet) => self.packet(side, packet, then),
        }
    }

    fn packet(&mut self, side: usize, packet: Packet, then: Instant) {
        let closes = self.hosts[1 - side].stray == Stray::ResetCloses;
        let host = &mut self.hosts[side];
        let mut back = |packet| self.due.push((then, Due::Packet(1 - side, packet)));
        match packet {
            Packet::Syn(theirs) if !host.open => {
                if host.stray != Stray::Silence {
                    back(Packet::Reset(theirs));
                }
            }
            Packet::Syn(theirs) => {
                // Passing SYNs are one connection, which both sides made.
                if let Some(ours) = host.making.take() {
                    host.stands = Some(ours);
                    back(Packet::SynAck(theirs));
                    host.agent.handle_open(self.now, ours);
                } else if host.stands.is_none() {
                    let remote = [B, A][side].parse().unwrap();
                    host.stands = host.agent.handle_accepted(self.now, remote);
                    back(Packet::SynAck(theirs));
                }
            }
            Packet::SynAck(ours) => {
                if host.making.take_if(|making| *making == ours).is_some() {
                    host.stands = Some(ours);
                    host.agent.handle_open(self.now, ours);
                }
            }
            Packet::Reset(ours) => {
                host.open &= !closes;
                if host.making.take_if(|making| *making == ours).is_some() {
                    host.agent.handle_failed(self.now, ours, Failure::Reset);
                }
            }
        }
    }
}

const MS: Duration = Duration::from_millis(1);

fn connects(strays: [Stray; 2], delay: Duration, seed: u8) -> Option<Duration> {
    connects_later(strays, delay, Duration::ZERO, seed)
}

fn connects_later(
    strays: [Stray; 2],
    delay: Duration,
    later: Duration,
    seed: u8,
) -> Option<Duration> {
    let mut world = world(strays, delay, later, seed);
    match world.run() {
        [Event::Connected(one), Event::Connected(other)] => {
            assert_eq!(one.remote, world.hosts[1].address);
            assert_eq!(other.remote, world.hosts[0].address);
            Some(world.done - world.start)
        }
        [Event::Failed(one), Event::Failed(_)] => {
            assert!(one.tries <= MOST_TRIES);
            None
        }
        events => panic!("the two sides do not agree: {events:?}"),
    }
}

#[test]
fn the_first_try_is_a_simultaneous_open_where_early_syns_are_dropped() {
    for stray in [Stray::Silence, Stray::Welcome] {
        let took = connects([Stray::Silence, stray], 20 * MS, 1).unwrap();
        assert!(took < 200 * MS, "{took:?}");
    }
}

#[test]
fn after_a_reset_another_connection_is_tried() {
    for seed in 0..50 {
        for strays in [
            [Stray::Reset; 2],
            [Stray::Silence, Stray::Reset],
            [Stray::Reset, Stray::Welcome],
        ] {
            assert!(connects(strays, 20 * MS, seed).is_some());
        }
    }
}

/// The caller starts later than the callee, by the way from the server to the one and from the other
/// to the server: if both started at the same moment, their first SYNs would pass each other.
#[test]
fn where_a_reset_removes_the_mapping_99_of_100_attempts_connect() {
    for delay in [20, 30, 50, 100, 200].map(|delay| delay * MS) {
        let starts = [1, 2, 3, 6].map(|ways| ways * delay);
        let tries = starts
            .iter()
            .flat_map(|&later| (0..100).map(move |seed| (later, seed)));
        let reached = tries.filter(|&(later, seed)| {
            connects_later([Stray::ResetCloses; 2], delay, later, seed).is_some()
        });
        let reached = reached.count();
        assert!(reached >= 396, "{delay:?}: {reached} of 400");
    }
}

#[test]
fn connections_without_the_keys_or_without_a_word_are_closed() {
    let now = Instant::now();
    let [keys, _] = keys();
    let config = |keys| Config {
        role: Role::Callee,
        keys,
        targets: Vec::new(),
        lan_likely: false,
        deadline: now + Duration::from_secs(10),
        seed: [3; 32],
    };
    let mut agent = Agent::new(config(keys.clone()), now);
    let remote: SocketAddr = "198.51.100.9:99".parse().unwrap();
    // Our own probe, sent back to us.
    let mirror = stun::Builder::request(stun::Method::Probe, [1; 12])
        .attempt(keys.attempt)
        .use_candidate()
        .finish_authentic(&keys.outgoing);
    for bytes in [
        &b"GET / HTTP/1.0\r\n\r\n"[..],
        &stun::binding_request([1; 12], None),
        &mirror,
    ] {
        let link = agent.handle_accepted(now, remote).unwrap();
        assert_eq!(agent.poll_command(), None, "nothing is sent to a stranger");
        agent.handle_bytes(now, link, bytes);
        assert_eq!(agent.poll_command(), Some(Command::Close { link }));
        assert_eq!((agent.poll_command(), agent.poll_event()), (None, None));
    }
    let room = std::iter::from_fn(|| agent.handle_accepted(now, remote)).take(50);
    assert_eq!(room.count(), 8);
    agent.handle_timeout(now + 5 * link::TIMEOUT / 3);
    let closed = std::iter::from_fn(|| agent.poll_command()).count();
    assert_eq!(closed, 8);
}

#[test]
fn what_follows_the_last_message_is_not_lost() {
    let world = world([Stray::Welcome; 2], Duration::ZERO, Duration::ZERO, 1);
    let now = world.now;
    let [mut caller, mut callee] = world.hosts.map(|host| host.agent);
    let callees = callee.handle_accepted(now, A.parse().unwrap()).unwrap();
    caller.handle_open(now, 0);
    let sends = |agent: &mut Agent| {
        let commands = std::iter::from_fn(|| agent.poll_command());
        Vec::from_iter(commands.filter_map(|command| match command {
            Command::Send { bytes, .. } => Some(bytes),
            _ => None,
        }))
    };
    for _ in 0..3 {
        for mut bytes in sends(&mut caller) {
            let message = stun::Message::parse(&bytes).unwrap();
            if message.use_candidate() {
                bytes.extend(b"\x00\x05later");
            }
            callee.handle_bytes(now, callees, &bytes);
        }
        for bytes in sends(&mut callee) {
            caller.handle_bytes(now, 0, &bytes);
        }
    }
    assert!(matches!(callee.poll_event(), Some(Event::Connected(_))));
    assert_eq!(callee.take_rest(), b"\x00\x05later");
    assert!(matches!(caller.poll_event(), Some(Event::Connected(_))));
    assert_eq!(caller.take_rest(), b"");
}

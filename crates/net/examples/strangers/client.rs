//! The honest client. It asks for one thing of each kind every [`PACE`], all kinds at once, and counts.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use peer_proto::client::{Callee, Client, Config, Event, Relation};
use peer_proto::relay;
use session::credentials::{Credentials, Granted};
use session::identity::Identity;
use stun::Message;

use crate::Result;
use crate::registrant::{Codes, Registrant, print_codes, random, receive};

const PACE: Duration = Duration::from_millis(50);

/// What takes longer than this is not there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What was noticed of one kind.
struct Kind {
    name: &'static str,
    asked: u32,
    times: Vec<Duration>,
    codes: Codes,
}

impl Kind {
    fn new(name: &'static str) -> Self {
        Kind {
            name,
            asked: 0,
            times: Vec::new(),
            codes: Codes::new(),
        }
    }

    /// Asks again and again until the end. `ask` returns whether it got what it asked for.
    fn repeat(
        mut self,
        end: Instant,
        mut ask: impl FnMut(&mut Codes) -> Result<bool>,
    ) -> Result<Self> {
        while Instant::now() < end {
            let start = Instant::now();
            self.asked += 1;
            if ask(&mut self.codes)? {
                self.times.push(start.elapsed());
            }
            std::thread::sleep(PACE.saturating_sub(start.elapsed()));
        }
        Ok(self)
    }

    fn line(mut self) -> String {
        self.times.sort();
        let median = self.times.get(self.times.len() / 2);
        let median = median.map_or("-".into(), |time| {
            format!("{:.3}", time.as_secs_f64() * 1e3)
        });
        let codes = print_codes(&self.codes);
        format!(
            "{} {} {} {median} {codes}",
            self.name,
            self.asked,
            self.times.len()
        )
    }
}

/// A client of the rendezvous as our tools have it, on a socket of its own.
struct Driven {
    socket: UdpSocket,
    server: SocketAddr,
    client: Client,
}

impl Driven {
    fn new(server: SocketAddr, address: IpAddr, name: String, identity: Identity) -> Result<Self> {
        let config = Config {
            server,
            name,
            identity,
            sequence: 1,
            relay: false,
            seed: random(),
            server_key: None,
        };
        Ok(Driven {
            socket: UdpSocket::bind((address, 0))?,
            server,
            client: Client::new(config, Instant::now()),
        })
    }

    /// What happens next, at most until `until`.
    fn next(&mut self, until: Instant) -> Result<Option<Event>> {
        let mut buffer = [0; stun::MAX_DATAGRAM];
        loop {
            while let Some(bytes) = self.client.poll_transmit() {
                let _ = self.socket.send_to(&bytes, self.server);
            }
            if let Some(event) = self.client.poll_event() {
                return Ok(Some(event));
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            let timeout = self.client.poll_timeout().map_or(until, |at| at.min(until));
            let wait = timeout
                .saturating_duration_since(now)
                .max(Duration::from_micros(100));
            if let Some(length) = receive(&self.socket, &mut buffer, wait)?
                && let Ok(message) = Message::parse(&buffer[..length])
            {
                self.client.handle_input(Instant::now(), &message);
            }
            self.client.handle_timeout(Instant::now());
        }
    }

    /// The key and the nonce of a peer, if it is registered before the timeout.
    fn look_up(&mut self, codes: &mut Codes, peer: &str) -> Result<Option<Callee>> {
        let mut found = None;
        self.client.look_up(Instant::now(), peer);
        self.until(codes, |event| {
            if let Event::Found { callee, .. } = event {
                found = Some(*callee);
            }
            found.is_some()
        })?;
        Ok(found)
    }

    /// Whether something has come to pass before the timeout; the error codes before it are counted.
    fn until(&mut self, codes: &mut Codes, mut done: impl FnMut(&Event) -> bool) -> Result<bool> {
        let until = Instant::now() + TIMEOUT;
        while let Some(event) = self.next(until)? {
            match &event {
                event if done(event) => return Ok(true),
                Event::Refused(code) | Event::PeerUnavailable { code, .. } => {
                    *codes.entry(*code).or_default() += 1;
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

fn registered(event: &Event) -> bool {
    matches!(event, Event::Registered { .. })
}

fn name(what: &str) -> String {
    format!("{what}-{}", hex(&random::<6>()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn run(server: SocketAddr, address: IpAddr, time: Duration, relay: bool) -> Result<()> {
    let end = Instant::now() + time;
    let stop = AtomicBool::new(false);
    let kinds = std::thread::scope(|scope| {
        let bob = name("bob");
        let identity = Identity::from_secret(&random());
        let callee = Driven::new(server, address, bob.clone(), identity)?;
        let stop = &stop;
        let answers = scope.spawn(move || answer(callee, stop));
        let mut tasks = vec![
            scope.spawn(move || registrations(server, address, end)),
            scope.spawn(move || refreshes(server, address, end)),
            scope.spawn(move || introductions(server, address, end, &bob)),
            scope.spawn(move || streams(server, address, end)),
        ];
        if relay {
            tasks.push(scope.spawn(move || allocations(server, address, end)));
        }
        let kinds: Vec<Result<Kind>> = tasks
            .into_iter()
            .map(|task| task.join().expect("it does not panic"))
            .collect();
        stop.store(true, Ordering::Relaxed);
        answers.join().expect("it does not panic")?;
        kinds.into_iter().collect::<Result<Vec<Kind>>>()
    })?;
    let mut stdout = std::io::stdout().lock();
    for kind in kinds {
        writeln!(stdout, "{}", kind.line())?;
    }
    Ok(())
}

/// A new name each time.
fn registrations(server: SocketAddr, address: IpAddr, end: Instant) -> Result<Kind> {
    Kind::new("registrations").repeat(end, |codes| {
        let identity = Identity::from_secret(&random());
        let mut client = Driven::new(server, address, name("new"), identity)?;
        client.until(codes, registered)
    })
}

/// One name, again and again.
fn refreshes(server: SocketAddr, address: IpAddr, end: Instant) -> Result<Kind> {
    let mut client = Registrant::new(server, (address, 0).into())?;
    let name = name("refresh");
    Kind::new("refreshes").repeat(end, |codes| {
        // A stale cookie costs another round trip.
        for _ in 0..3 {
            let (transaction, request) = client.register(&name, 90);
            let Some(answer) = client.ask(transaction, &request)? else {
                return Ok(false);
            };
            let cookie = client.has_cookie();
            match client.handle(&Message::parse(&answer)?) {
                None => return Ok(true),
                Some(stun::code::UNAUTHENTICATED | stun::code::STALE_NONCE) => {}
                Some(code) => {
                    *codes.entry(code).or_default() += 1;
                    return Ok(false);
                }
            }
            if cookie {
                *codes.entry(stun::code::STALE_NONCE).or_default() += 1;
            }
        }
        Ok(false)
    })
}

fn introductions(server: SocketAddr, address: IpAddr, end: Instant, bob: &str) -> Result<Kind> {
    let identity = Identity::from_secret(&random());
    let mut alice = Driven::new(server, address, name("alice"), identity)?;
    let mut codes = Codes::new();
    if !alice.until(&mut codes, registered)? {
        return Err(format!("the caller could not register: {}", print_codes(&codes)).into());
    }
    // The callee registers meanwhile.
    alice.look_up(&mut codes, bob)?;
    Kind::new("introductions").repeat(end, |codes| {
        let Some(callee) = alice.look_up(codes, bob)? else {
            return Ok(false);
        };
        let now = Instant::now();
        alice.client.connect(now, bob, callee, vec![1; 100]);
        let introduced = |event: &Event| matches!(event, Event::Introduced(_));
        let done = alice.until(codes, introduced)?;
        alice.client.forget(bob);
        Ok(done)
    })
}

/// The callee: it accepts every invitation.
fn answer(mut callee: Driven, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let until = Instant::now() + Duration::from_millis(50);
        if let Some(Event::Notified(call)) = callee.next(until)? {
            let now = Instant::now();
            if let Some(invitation) = callee.client.open(now, &call, Relation::Known) {
                let known = Relation::Known;
                callee.client.accept(now, invitation, known, &[2; 100])?;
            }
        }
    }
    Ok(())
}

/// Binding by TCP, each time by a new connection.
fn streams(server: SocketAddr, _: IpAddr, end: Instant) -> Result<Kind> {
    Kind::new("tcp").repeat(end, |_| {
        let Ok(mut stream) = TcpStream::connect_timeout(&server, TIMEOUT) else {
            return Ok(false);
        };
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = stun::binding_request(random(), None);
        let mut header = [0; 20];
        let asked = stream.write_all(&request);
        Ok(asked.and_then(|()| stream.read_exact(&mut header)).is_ok())
    })
}

/// An allocation, which is given back.
fn allocations(server: SocketAddr, address: IpAddr, end: Instant) -> Result<Kind> {
    let Credentials { username, password } = credentials(server, address)?;
    let config = relay::Config {
        server,
        username,
        password,
        challenge: None,
    };
    Kind::new("allocations").repeat(end, |codes| {
        let socket = UdpSocket::bind((address, 0))?;
        let mut client = relay::Client::new(&config, random(), Instant::now());
        let until = Instant::now() + TIMEOUT;
        let mut buffer = [0; stun::turn::MAX_DATAGRAM];
        let mut allocated = false;
        loop {
            while let Some(bytes) = client.poll_transmit() {
                let _ = socket.send_to(&bytes, server);
            }
            match client.poll_event() {
                Some(relay::Event::Allocated { .. }) => {
                    allocated = true;
                    client.close(Instant::now());
                    continue;
                }
                Some(relay::Event::Failed(why)) => {
                    if let relay::Failure::Refused(code) = why {
                        *codes.entry(code).or_default() += 1;
                    }
                    return Ok(allocated);
                }
                _ => {}
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            let wait = Duration::from_millis(5);
            if let Some(length) = receive(&socket, &mut buffer, wait)? {
                client.handle_input(Instant::now(), server, &buffer[..length]);
            }
            client.handle_timeout(Instant::now());
        }
    })
}

/// Registers once, for the credentials of the relay.
fn credentials(server: SocketAddr, address: IpAddr) -> Result<Credentials> {
    let mut client = Registrant::new(server, (address, 0).into())?;
    let name = name("relayed");
    for _ in 0..3 {
        let (transaction, request) = client.register(&name, 90);
        let answer = client.ask(transaction, &request)?;
        let answer = answer.ok_or("the rendezvous does not answer")?;
        let answer = Message::parse(&answer)?;
        if client.handle(&answer).is_none() {
            let sealed = answer.relay().ok_or("this rendezvous does not relay")?;
            return Ok(Granted::open(&name, &client.key, sealed)?.credentials);
        }
    }
    Err("no credentials for the relay".into())
}

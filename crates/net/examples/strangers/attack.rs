//! The attackers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session::credentials::{Credentials, Granted};
use stun::{Attribute, Builder, Message, Method, turn};
use tokio::net::{TcpSocket, TcpStream};

use crate::Result;
use crate::registrant::{Codes, Registrant, print_codes, random, receive};

/// How often the attackers send.
const STEP: Duration = Duration::from_millis(5);

/// Names of each prefix that call each other.
const CALLEES: usize = 500;

/// Calls that fill a table of introductions.
const TO_FILL: u64 = 9000;

/// TCP connections of each prefix.
const STREAMS: usize = 64;

#[derive(Clone, Copy)]
pub struct Plan {
    pub server: SocketAddr,
    /// In the first prefix.
    pub first: IpAddr,
    pub prefixes: u32,
    /// Messages a second, of each prefix.
    pub rate: u32,
    pub time: Duration,
}

impl Plan {
    /// The address of prefix `n`.
    fn address(&self, n: u32) -> SocketAddr {
        let address = match self.first {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + (n << 8))),
            IpAddr::V6(first) => {
                IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() + (u128::from(n) << 80)))
            }
        };
        (address, 0).into()
    }
}

/// Stdin has ended.
static ENDED: AtomicBool = AtomicBool::new(false);

/// From when on, and until when, an attack runs.
struct Run {
    start: Instant,
    time: Duration,
}

impl Run {
    fn start(plan: Plan) -> Self {
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            ENDED.store(true, Ordering::Relaxed);
        });
        Run {
            start: Instant::now(),
            time: plan.time,
        }
    }

    /// From now on, its effect is to be watched.
    fn begun() -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "begun")?;
        Ok(stdout.flush()?)
    }

    fn goes_on(&self) -> bool {
        self.start.elapsed() < self.time && !ENDED.load(Ordering::Relaxed)
    }
}

/// What an attack has come to.
#[derive(Default)]
struct Outcome {
    sent: u64,
    codes: Codes,
}

pub fn run(kind: &str, plan: Plan) -> Result<()> {
    let outcome = match kind {
        "names" => names(plan)?,
        "introductions" => introductions(plan)?,
        "hellos" => datagrams(plan, || hello(640))?,
        "bindings" => datagrams(plan, || stun::binding_request(random(), None))?,
        "garbage" => datagrams(plan, garbage)?,
        "streams" => streams(plan)?,
        "relay" => allocations(plan)?,
        _ => return Err(format!("no attack is called {kind}").into()),
    };
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "{kind} {} {}",
        outcome.sent,
        print_codes(&outcome.codes)
    )?;
    Ok(())
}

/// Sends at the rate of the plan, until its time is over. `send` is called with the number of the
/// message; between the calls `rest` reads what has come. The attack has begun once `first` messages
/// are sent.
fn paced(
    plan: Plan,
    first: u64,
    mut send: impl FnMut(u64) -> Result<()>,
    mut rest: impl FnMut() -> Result<()>,
) -> Result<u64> {
    let run = Run::start(plan);
    let mut begun = false;
    let rate = f64::from(plan.rate) * f64::from(plan.prefixes);
    // What is not sent in its time, because this machine is too slow, is left out.
    let burst = (rate / 20.0) as u64 + 1;
    let (mut sent, mut before) = (0, 0);
    while run.goes_on() {
        let due = (run.start.elapsed().as_secs_f64() * rate) as u64;
        for _ in before..due.min(before + burst) {
            send(sent)?;
            sent += 1;
        }
        before = due;
        if sent >= first && !std::mem::replace(&mut begun, true) {
            Run::begun()?;
        }
        rest()?;
        std::thread::sleep(STEP);
    }
    Ok(sent)
}

/// Reads what has come to a registrant.
fn hear(registrant: &mut Registrant, codes: &mut Codes) -> Result<()> {
    let mut buffer = [0; stun::MAX_DATAGRAM];
    while let Some(length) = receive(&registrant.socket, &mut buffer, Duration::ZERO)? {
        if let Ok(message) = Message::parse(&buffer[..length])
            && let Some(code) = registrant.handle(&message)
        {
            *codes.entry(code).or_default() += 1;
        }
    }
    Ok(())
}

/// One client of each prefix.
fn registrants(plan: Plan) -> Result<Vec<Registrant>> {
    (0..plan.prefixes)
        .map(|n| {
            let mut client = Registrant::new(plan.server, plan.address(n))?;
            let (transaction, hello) = client.register("hello", 0);
            let answer = client.ask(transaction, &hello)?;
            let answer = answer.ok_or("the rendezvous does not answer")?;
            client.handle(&Message::parse(&answer)?);
            Ok(client)
        })
        .collect()
}

/// New names: every second one is given back at once.
fn names(plan: Plan) -> Result<Outcome> {
    let clients = std::cell::RefCell::new(registrants(plan)?);
    let mut codes = Codes::new();
    let many = clients.borrow().len() as u64;
    let send = |n: u64| {
        let mut clients = clients.borrow_mut();
        let client = &mut clients[(n % many) as usize];
        let lifetime = if (n / many).is_multiple_of(2) { 0 } else { 90 };
        let name = format!("m-{:016x}", u64::from_be_bytes(random()));
        let (_, request) = client.register(&name, lifetime);
        client.send(&request);
        Ok(())
    };
    let rest = || {
        let mut clients = clients.borrow_mut();
        clients
            .iter_mut()
            .try_for_each(|client| hear(client, &mut codes))
    };
    let sent = paced(plan, 0, send, rest)?;
    Ok(Outcome { sent, codes })
}

/// Each prefix calls among names of its own, which do not answer.
fn introductions(plan: Plan) -> Result<Outcome> {
    let mut clients = registrants(plan)?;
    let mut codes = Codes::new();
    let names: Vec<String> = (0..CALLEES).map(|n| format!("call-{n}")).collect();
    for (prefix, client) in clients.iter_mut().enumerate() {
        for name in &names {
            let (_, request) = client.register(&format!("{name}-{prefix}"), 90);
            client.send(&request);
            hear(client, &mut codes)?;
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    let clients = std::cell::RefCell::new(clients);
    let many = clients.borrow().len() as u64;
    let send = |n: u64| {
        let (prefix, n) = (n % many, n / many);
        let mut clients = clients.borrow_mut();
        let client = &mut clients[prefix as usize];
        let [caller, callee] = [n, n + 1].map(|n| &names[n as usize % CALLEES]);
        let callee = format!("{callee}-{prefix}");
        let caller = format!("{caller}-{prefix}");
        let (_, request) = client.request(Method::Connect, &caller, |r| {
            r.peer_name(&callee).fresh(&[1; 8]).seal(&[1; 100])
        });
        client.send(&request);
        Ok(())
    };
    let rest = || {
        let mut clients = clients.borrow_mut();
        clients
            .iter_mut()
            .try_for_each(|client| hear(client, &mut codes))
    };
    let sent = paced(plan, TO_FILL, send, rest)?;
    Ok(Outcome { sent, codes })
}

/// Datagrams without a cookie.
fn datagrams(plan: Plan, mut datagram: impl FnMut() -> Vec<u8>) -> Result<Outcome> {
    let sockets = (0..plan.prefixes).map(|n| Ok(std::net::UdpSocket::bind(plan.address(n))?));
    let sockets: Vec<std::net::UdpSocket> = sockets.collect::<Result<_>>()?;
    let mut failed = 0;
    let send = |n: u64| {
        let socket = &sockets[n as usize % sockets.len()];
        // The buffer may be full, or an ICMP error has come back.
        let sent = socket.send_to(&datagram(), plan.server);
        failed += u64::from(sent.is_err());
        Ok(())
    };
    // What comes back is lost in the sockets' buffers.
    let sent = paced(plan, 0, send, || Ok(()))?;
    let codes = Codes::new();
    Ok(Outcome {
        sent: sent - failed,
        codes,
    })
}

/// The first request of a client.
fn hello(length: usize) -> Vec<u8> {
    Builder::request(Method::Register, random())
        .pad_to(length)
        .finish()
}

fn garbage() -> Vec<u8> {
    let heads: [&[u8]; 4] = [
        b"",
        b"\x00\x01\x00\x08\x21\x12\xa4\x42",
        b"\x00\xf3\x02\x00\x21\x12\xa4\x42",
        b"\x40\x00\x00\x40",
    ];
    let noise = random::<600>();
    let head = heads[usize::from(noise[0]) % heads.len()];
    let length = usize::from(noise[1]) * 2;
    [head, &noise[2..][..length]].concat()
}

/// As many TCP connections as there may be, each with half a message that goes on byte by byte. One
/// that is closed is opened again.
fn streams(plan: Plan) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let open = async |address: SocketAddr| -> Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(address)?;
        let stream = socket.connect(plan.server).await?;
        stream.writable().await?;
        stream.try_write(&stun::binding_request(random(), None)[..8])?;
        Ok(stream)
    };
    runtime.block_on(async {
        let run = Run::start(plan);
        let mut sent = 0;
        let mut begun = false;
        let mut streams = BTreeMap::new();
        while run.goes_on() {
            for n in 0..plan.prefixes * STREAMS as u32 {
                let address = plan.address(n % plan.prefixes);
                let again = match streams.get(&n) {
                    None => true,
                    Some(stream) => !goes_on(stream),
                };
                if again && let Ok(stream) = open(address).await {
                    streams.insert(n, stream);
                    sent += 1;
                }
            }
            if !std::mem::replace(&mut begun, true) {
                Run::begun()?;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let codes = Codes::new();
        Ok(Outcome { sent, codes })
    })
}

/// Sends one byte more; whether the connection is still open.
fn goes_on(stream: &TcpStream) -> bool {
    let blocked = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    let open = stream.try_read(&mut [0]).is_err_and(blocked);
    open && stream.try_write(&[0]).map_or_else(blocked, |_| true)
}

/// As many allocations as there may be, of addresses of the first prefix alone: in IPv6 of one /64.
/// They are kept until the end.
fn allocations(plan: Plan) -> Result<Outcome> {
    let run = Run::start(plan);
    Run::begun()?;
    let mut outcome = Outcome::default();
    let mut kept = Vec::new();
    let mut host = 0;
    while run.goes_on() {
        host += 1;
        let address = match plan.first {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + host % 200)),
            IpAddr::V6(first) => {
                IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() + u128::from(host)))
            }
        };
        if kept.len() < 600 {
            let (client, error) = allocate(plan.server, (address, 0).into())?;
            outcome.sent += 1;
            match error {
                Some(code) => *outcome.codes.entry(code).or_default() += 1,
                None => kept.push(client),
            }
        }
        std::thread::sleep(Duration::from_secs(1) / plan.rate.max(1));
    }
    Ok(outcome)
}

/// Registers a new name, and allocates with its credentials. The error code, if there was one.
fn allocate(server: SocketAddr, from: SocketAddr) -> Result<(Registrant, Option<u16>)> {
    let mut client = Registrant::new(server, from)?;
    let name = format!("r-{:016x}", u64::from_be_bytes(random()));
    let mut granted = None;
    for _ in 0..2 {
        let (transaction, request) = client.register(&name, 90);
        let Some(answer) = client.ask(transaction, &request)? else {
            return Ok((client, Some(0)));
        };
        let answer = Message::parse(&answer)?;
        client.handle(&answer);
        granted = answer.relay().map(<[u8]>::to_vec).or(granted);
    }
    let Some(granted) = granted else {
        return Ok((client, Some(0)));
    };
    let Credentials { username, password } =
        Granted::open(&name, &client.key, &granted)?.credentials;
    let transaction = random();
    let hello = Builder::request(Method::Allocate, transaction)
        .udp()
        .finish();
    let Some(answer) = client.ask(transaction, &hello)? else {
        return Ok((client, Some(0)));
    };
    let answer = Message::parse(&answer)?;
    let (Some(realm), Some(nonce)) = (answer.realm(), answer.nonce()) else {
        return Ok((client, answer.error()));
    };
    let transaction = random();
    let family = if from.is_ipv4() { 1 } else { 2 };
    let request = Builder::request(Method::Allocate, transaction)
        .udp()
        .raw(Attribute::RequestedAddressFamily, &[family, 0, 0, 0])
        .username(&username)
        .realm(realm)
        .nonce(nonce)
        .finish_long_term(&turn::long_term_key(&username, realm, &password));
    let answer = client.ask(transaction, &request)?;
    let error = match answer {
        Some(answer) => Message::parse(&answer)?.error(),
        None => Some(0),
    };
    Ok((client, error))
}

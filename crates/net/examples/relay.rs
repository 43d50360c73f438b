//! A TURN client at the command line, for the lab's tests. It allocates a relayed
//! address, reads commands from stdin and prints events, one on each line.
//!
//!     relay SERVER USERNAME PASSWORD     with these credentials
//!     relay SERVER NAME                  with those that a rendezvous gives to NAME
//!
//! The commands are `permit IP`, `bind IP:PORT`, `send IP:PORT TEXT` and `close`;
//! the events are
//! `allocated RELAYED MAPPED SECONDS`, `permitted IP`, `refused IP`,
//! `bound IP:PORT`, `heard IP:PORT TEXT`, `failed WHY`.

use std::error::Error;
use std::io::{BufRead, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use peer_proto::relay::{Client, Config, Event, Input};
use session::credentials::{Credentials, Granted};
use session::identity::Identity;
use stun::{Builder, Message, Method, code};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let (server, credentials) = match words[..] {
        [server, username, password] => {
            let [username, password] = [username, password].map(str::to_owned);
            (server.parse()?, Credentials { username, password })
        }
        [server, name] => {
            let server = server.parse()?;
            (server, register(&socket, server, name)?)
        }
        _ => return Err("relay SERVER (NAME | USERNAME PASSWORD)".into()),
    };
    let config = Config {
        server,
        username: credentials.username,
        password: credentials.password,
        challenge: None,
    };
    let (lines, commands) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            let _ = lines.send(line);
        }
    });
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let mut client = Client::new(&config, seed, Instant::now());
    let mut buffer = [0; stun::turn::MAX_DATAGRAM];
    loop {
        while let Ok(line) = commands.try_recv() {
            carry_out(&mut client, &socket, &line)?;
        }
        while let Some(bytes) = client.poll_transmit() {
            socket.send_to(&bytes, server)?;
        }
        while let Some(event) = client.poll_event() {
            if !print_event(event)? {
                return Ok(());
            }
        }
        let now = Instant::now();
        let wait = client
            .poll_timeout()
            .map_or(Duration::MAX, |at| at.saturating_duration_since(now));
        // Commands are read this often.
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(20));
        if let Some((length, from)) = receive(&socket, &mut buffer, wait)? {
            let input = client.handle_input(Instant::now(), from, &buffer[..length]);
            if let Input::Relayed { peer, payload } = input {
                print(&format!(
                    "heard {peer} {}",
                    String::from_utf8_lossy(&payload)
                ))?;
            }
        }
        client.handle_timeout(Instant::now());
    }
}

fn print(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

/// Prints an event; false where it is the last.
fn print_event(event: Event) -> Result<bool> {
    print(&match event {
        Event::Allocated {
            relayed,
            mapped,
            lifetime,
        } => format!(
            "allocated {relayed} {} {}",
            mapped.map_or("-".into(), |mapped| mapped.to_string()),
            lifetime.as_secs()
        ),
        Event::Permitted(peer) => format!("permitted {peer}"),
        Event::Refused(peer) => format!("refused {peer}"),
        Event::ChannelBound(peer) => format!("bound {peer}"),
        Event::Failed(why) => {
            print(&format!("failed {why}"))?;
            return Ok(false);
        }
    })?;
    Ok(true)
}

/// Carries out a command.
fn carry_out(client: &mut Client, socket: &UdpSocket, line: &str) -> Result<()> {
    let now = Instant::now();
    match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
        ["permit", peer] => client.permit(now, peer.parse()?),
        ["bind", peer] => client.bind_channel(now, peer.parse()?),
        ["send", peer, text] => {
            let bytes = client.send_to(now, peer.parse()?, text.as_bytes())?;
            socket.send_to(&bytes, client.server())?;
        }
        ["close"] => client.close(now),
        _ => return Err(format!("{line:?} is not a command").into()),
    }
    Ok(())
}

fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    wait: Duration,
) -> Result<Option<(usize, SocketAddr)>> {
    socket.set_read_timeout(Some(wait))?;
    match socket.recv_from(buffer) {
        Ok(received) => Ok(Some(received)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Registers once, and asks for the credentials of the relay.
fn register(socket: &UdpSocket, server: SocketAddr, name: &str) -> Result<Credentials> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let identity = Identity::from_secret(&secret);
    let mut cookie: Option<Vec<u8>> = None;
    let mut buffer = [0; stun::MAX_DATAGRAM];
    for sequence in 1..20 {
        let mut request = Builder::request(Method::Register, [sequence as u8; 12]);
        if let Some(cookie) = &cookie {
            request = request
                .nonce(cookie)
                .name(name)
                .public_key(&identity.public())
                .sequence(sequence)
                .lifetime(90)
                .fresh(&[0; 8])
                .relay(&[])
                .sign(|part| identity.sign(part));
        }
        socket.send_to(&request.pad_to(640).finish(), server)?;
        let wait = Duration::from_millis(500);
        let Some((length, from)) = receive(socket, &mut buffer, wait)? else {
            continue;
        };
        let Some(answer) = Message::parse(&buffer[..length])
            .ok()
            .filter(|_| from == server)
        else {
            continue;
        };
        match answer.error() {
            Some(code::UNAUTHENTICATED | code::STALE_NONCE) => {
                cookie = answer.nonce().map(<[u8]>::to_vec);
            }
            Some(error) => return Err(format!("refused: {error}").into()),
            None => {
                let sealed = answer.relay().ok_or("this rendezvous does not relay")?;
                return Ok(Granted::open(name, &identity, sealed)?.credentials);
            }
        }
    }
    Err("the rendezvous does not answer".into())
}

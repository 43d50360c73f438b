//! A peer with `is`, the ICE agent of str0m. The lab runs it in alice and in bob at once (`--both`).
//!
//! Exit code 0: the peer's message has come over the path that ICE found. 1: ICE found no path. All
//! else is an error of this program or of its environment. The peers exchange candidates through
//! files in a folder that both see; a program of yours has a signalling server for that.

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};

/// How long ICE may look for a path.
const ENOUGH: Duration = Duration::from_secs(10);

/// How often the peer's file is looked for.
const POLL: Duration = Duration::from_millis(10);

/// Where both peers leave what the other has to know.
struct Signalling {
    folder: PathBuf,
    role: String,
    peer: String,
}

impl Signalling {
    fn leave(&self, what: &str, text: &str) -> std::io::Result<()> {
        let part = self.folder.join(format!("{}.part", self.role));
        std::fs::write(&part, text)?;
        std::fs::rename(part, self.folder.join(format!("{}.{what}", self.role)))
    }

    fn found(&self, what: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(format!("{}.{what}", self.peer))).ok()
    }

    fn find(&self, what: &str) -> String {
        loop {
            match self.found(what) {
                Some(text) => return text,
                None => std::thread::sleep(POLL),
            }
        }
    }
}

/// Our address as a STUN server sees it (RFC 8489 §6): the agent leaves that to its user.
fn reflexive(socket: &UdpSocket, server: &str) -> Result<SocketAddr, Box<dyn Error>> {
    let mut request = [0; 20];
    request[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
    request[8..].copy_from_slice(b"transaction1");
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut buffer = [0; 1500];
    for _ in 0..10 {
        socket.send_to(&request, server)?;
        let Ok(length) = socket.recv(&mut buffer) else {
            continue;
        };
        if let Some(mapped) = xor_mapped(&buffer[..length]) {
            return Ok(mapped);
        }
    }
    Err(format!("no answer from the STUN server {server}").into())
}

/// XOR-MAPPED-ADDRESS of IPv4 (RFC 8489 §14.2). The agent's own parser takes no message without
/// MESSAGE-INTEGRITY, which an answer to an anonymous request does not have.
fn xor_mapped(answer: &[u8]) -> Option<SocketAddr> {
    let mut rest = answer.get(20..)?;
    loop {
        let &[t1, t2, l1, l2, ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([l1, l2]));
        if let ([0, 0x20], Some(&[0, 1, p1, p2, a, b, c, d])) = ([t1, t2], rest.get(4..12)) {
            let port = u16::from_be_bytes([p1, p2]) ^ 0x2112;
            return Some((Ipv4Addr::new(a ^ 0x21, b ^ 0x12, c ^ 0xa4, d ^ 0x42), port).into());
        }
        rest = rest.get(4 + length.next_multiple_of(4)..)?;
    }
}

fn connect() -> Result<bool, Box<dyn Error>> {
    let (role, peer) = (env::var("PINHOLE_ROLE")?, env::var("PINHOLE_PEER")?);
    let signalling = Signalling {
        folder: env::var("PINHOLE_HOME")?.into(),
        role: role.clone(),
        peer,
    };
    let socket = UdpSocket::bind((env::var("PINHOLE_ADDRESS")?.as_str(), 0))?;
    let local = socket.local_addr()?;
    let mapped = reflexive(&socket, &env::var("PINHOLE_SERVER")?)?;

    let mut agent = IceAgent::new(IceCreds::new());
    agent.set_controlling(role == "alice");
    agent.add_local_candidate(Candidate::host(local, "udp")?);
    if mapped != local {
        agent.add_local_candidate(Candidate::server_reflexive(mapped, local, "udp")?);
    }
    let mut offer = vec![agent.local_credentials().ufrag.clone()];
    offer.push(agent.local_credentials().pass.clone());
    offer.extend(agent.local_candidates().map(|c| c.to_sdp_string()));
    signalling.leave("offer", &offer.join("\n"))?;

    let offer = signalling.find("offer");
    let mut lines = offer.lines().map(str::to_owned);
    let (ufrag, pass) = lines.next().zip(lines.next()).ok_or("half an offer")?;
    agent.set_remote_credentials(IceCreds { ufrag, pass });
    for line in lines {
        agent.add_remote_candidate(Candidate::from_sdp_string(&line)?);
    }

    let hello = format!("hello from {role}");
    let start = Instant::now();
    let mut buffer = [0; 1500];
    let mut nominated = None;
    let mut greeted = false;
    while start.elapsed() < ENOUGH {
        let now = Instant::now();
        agent.handle_timeout(now);
        while let Some(event) = agent.poll_event() {
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                nominated = Some(destination);
            }
        }
        while let Some(transmit) = agent.poll_transmit() {
            // no way to a private address is not an error of ICE
            let _ = socket.send_to(&transmit.contents, transmit.destination);
        }
        if let Some(path) = nominated {
            socket.send_to(hello.as_bytes(), path)?;
        }
        // the path stays until both have read
        if greeted && signalling.found("done").is_some() {
            return Ok(true);
        }
        let wait = agent
            .poll_timeout()
            .map_or(POLL, |at| at.saturating_duration_since(now));
        socket.set_read_timeout(Some(wait.clamp(Duration::from_millis(1), POLL)))?;
        let Ok((length, source)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if let Ok(text) = std::str::from_utf8(&buffer[..length])
            && text.starts_with("hello")
        {
            if !greeted {
                println!("{role}: {text}");
                signalling.leave("done", "")?;
            }
            greeted = true;
        } else if let Ok(message) = StunMessage::parse(&buffer[..length]) {
            let packet = StunPacket {
                proto: Protocol::Udp,
                source,
                destination: local,
                message,
            };
            agent.handle_packet(Instant::now(), packet);
        }
    }
    println!("{role}: no path within {} s", ENOUGH.as_secs());
    Ok(false)
}

fn main() -> ExitCode {
    match connect() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("ice-peer: {error}");
            ExitCode::from(2)
        }
    }
}

//! A rendezvous with `--state` that is killed again and again (SIGKILL) while clients register: no name that
//! it has acknowledged is lost.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use session::identity::Identity;
use stun::{Builder, Message, Method, code};

/// How long anything may take, however slow the machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// How long a client waits before it sends again.
const AGAIN: Duration = Duration::from_millis(300);

const ROUNDS: usize = 8;
const CLIENTS: usize = 4;

/// An address of the loopback network that no other test uses.
fn own_address() -> IpAddr {
    let [.., a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | a, b, c.max(1)).into()
}

struct Server {
    process: Child,
    at: SocketAddr,
}

impl Server {
    fn start(state: &Path) -> Self {
        let at = SocketAddr::new(own_address(), 8848);
        let mut process = Command::new(env!("CARGO_BIN_EXE_rendezvous"))
            .args(["--ip", &at.ip().to_string(), "--state"])
            .arg(state)
            .arg("--key")
            .arg(state.with_file_name("key"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let server = Server { process, at };
        let (first, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            first.send(line)
        });
        let line = line.recv_timeout(DEADLINE).unwrap();
        assert!(line.contains("listening"), "{line:?}");
        server
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Client {
    socket: UdpSocket,
    sequence: u64,
}

impl Client {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(AGAIN)).unwrap();
        Client {
            socket,
            sequence: 0,
        }
    }

    /// Sends until the answer comes; `None`: the server has gone.
    fn ask(&self, request: &[u8], stop: &AtomicBool) -> Option<Vec<u8>> {
        let deadline = Instant::now() + DEADLINE;
        let mut buffer = [0; 1500];
        while !stop.load(Ordering::Relaxed) && Instant::now() < deadline {
            self.socket.send(request).ok()?;
            match self.socket.recv(&mut buffer) {
                Ok(length) if buffer[8..20] == request[8..20] => {
                    return Some(buffer[..length].to_vec());
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Registers a name, and says what the server answers: `Ok`, or the code.
    fn register(
        &mut self,
        name: &str,
        key: &Identity,
        stop: &AtomicBool,
    ) -> Option<Result<(), u16>> {
        let hello = Builder::request(Method::Register, self.transaction())
            .pad_to(300)
            .finish();
        let answer = self.ask(&hello, stop)?;
        let cookie = Message::parse(&answer).unwrap().nonce().unwrap().to_vec();
        let request = Builder::request(Method::Register, self.transaction())
            .nonce(&cookie)
            .name(name)
            .public_key(&key.public())
            .sequence(self.sequence)
            .fresh(&[4; 8])
            .lifetime(90)
            .sign(|part| key.sign(part))
            .pad_to(640)
            .finish();
        let answer = self.ask(&request, stop)?;
        let answer = Message::parse(&answer).unwrap();
        Some(answer.error().map_or(Ok(()), Err))
    }

    fn transaction(&mut self) -> [u8; 12] {
        self.sequence += 1;
        let mut transaction = [7; 12];
        transaction[4..].copy_from_slice(&self.sequence.to_be_bytes());
        transaction
    }
}

fn owner(name: &str) -> Identity {
    let mut secret = [1; 32];
    secret[..name.len()].copy_from_slice(name.as_bytes());
    Identity::from_secret(&secret)
}

struct Room(PathBuf);

impl Drop for Room {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_server_that_is_killed_loses_no_name_that_it_has_acknowledged() {
    let name = format!("pinhole-killed-{}", std::process::id());
    let room = Room(std::env::temp_dir().join(name));
    std::fs::create_dir_all(&room.0).unwrap();
    let state = room.0.join("names");
    let acknowledged = Mutex::new(Vec::<String>::new());
    let stop = AtomicBool::new(false);
    for round in 0..ROUNDS {
        let server = Server::start(&state);
        let at = server.at;
        stop.store(false, Ordering::Relaxed);
        let before = acknowledged.lock().unwrap().len();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (acknowledged, stop) = (&acknowledged, &stop);
                scope.spawn(move || {
                    let mut registrant = Client::new(at);
                    for n in 0.. {
                        let name = format!("r{round}-c{client}-n{n}");
                        match registrant.register(&name, &owner(&name), stop) {
                            Some(Ok(())) => acknowledged.lock().unwrap().push(name),
                            Some(Err(_)) | None => return,
                        }
                    }
                });
            }
            let deadline = Instant::now() + DEADLINE;
            while acknowledged.lock().unwrap().len() < before + 3 + 5 * round {
                assert!(Instant::now() < deadline, "nothing is acknowledged");
                std::thread::yield_now();
            }
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
    }

    let server = Server::start(&state);
    stop.store(false, Ordering::Relaxed);
    let mut thief = Client::new(server.at);
    let names = acknowledged.into_inner().unwrap();
    assert!(names.len() >= ROUNDS);
    for name in &names {
        let stolen = thief.register(name, &Identity::from_secret(&[9; 32]), &stop);
        assert_eq!(
            stolen,
            Some(Err(code::NAME_TAKEN)),
            "{name} was acknowledged"
        );
    }
    let mut owners = Client::new(server.at);
    let name = &names[0];
    let kept = owners.register(name, &owner(name), &stop);
    assert_eq!(kept, Some(Ok(())), "{name} is still its owner's");
}

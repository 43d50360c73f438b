//! Captures on a real kernel. Every test runs itself again in a private user and network namespace, and
//! fails on a machine that does not allow that.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::env;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use capture::{Capture, CaptureError, Direction, Ports, Seen, Transport, What};
use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};
use pnet::datalink::{self, Channel, DataLinkSender};

/// Set in the copy of this program that runs inside the namespace.
const INSIDE: &str = "CAPTURE_TEST_INSIDE";
/// No test takes longer, unless it fails.
const DEADLINE: Duration = Duration::from_secs(5);

const ALICE: &str = "10.9.0.1";
const BOB: &str = "10.9.0.2";
const BOB_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

#[test]
fn a_packet_on_loopback_is_seen_once() {
    in_namespace(
        "a_packet_on_loopback_is_seen_once",
        &["--map-root-user"],
        || {
            run("ip link set lo up");
            let (alice, bob) = (socket("127.0.0.1"), socket("127.0.0.1"));
            let (capture, seen) = Capture::open(Ports::of([port(&alice)]), Instant::now()).unwrap();
            alice.send_to(b"there", bob.local_addr().unwrap()).unwrap();
            bob.send_to(b"and back", alice.local_addr().unwrap())
                .unwrap();
            bob.send_to(b"not for us", bob.local_addr().unwrap())
                .unwrap();
            drop(capture);
            let seen: Vec<_> = seen
                .iter()
                .map(|seen| (seen.direction, seen.packet.len))
                .collect();
            assert_eq!(seen, [(Direction::Out, 5), (Direction::In, 8)]);
        },
    );
}

#[test]
fn packets_in_both_directions_and_errors_are_seen_on_a_link() {
    in_namespace(
        "packets_in_both_directions_and_errors_are_seen_on_a_link",
        &["--map-root-user"],
        || {
            let mut bob = Wire::up();
            let alice = socket(ALICE);
            let local = alice.local_addr().unwrap();
            let remote: SocketAddr = (BOB.parse::<std::net::IpAddr>().unwrap(), 40001).into();

            let (capture, seen) = Capture::open(Ports::of([local.port()]), Instant::now()).unwrap();
            alice.set_ttl(2).unwrap();
            alice.send_to(b"opener", remote).unwrap();
            let opener = next(&seen);
            assert_eq!(
                (opener.direction, opener.interface.as_deref()),
                (Direction::Out, Some("ours"))
            );
            assert_eq!((opener.local(), opener.remote()), (local, remote));
            assert_eq!((opener.packet.ttl, opener.packet.len), (Some(2), 6));
            assert_eq!(opener.packet.what, What::Data);

            bob.send(|ip| udp(ip, remote.port(), local.port(), b"answer"));
            let answer = next(&seen);
            assert_eq!((answer.direction, answer.packet.len), (Direction::In, 6));
            assert_eq!((answer.local(), answer.remote()), (local, remote));

            let mut ours = Vec::new();
            PacketBuilder::ipv4(octets(ALICE), octets(BOB), 1)
                .udp(local.port(), remote.port())
                .write(&mut ours, b"opener")
                .unwrap();
            bob.send(|ip| time_exceeded(ip, &ours));
            let What::IcmpError(error) = next(&seen).packet.what else {
                panic!("not an error")
            };
            assert_eq!(
                (error.reason, error.quoted_dst),
                (stun::IcmpReason::TimeExceeded, remote)
            );

            // Neither for another port nor, after this, for the first.
            bob.send(|ip| udp(ip, remote.port(), local.port() ^ 1, b"another port"));
            drop(capture);
            assert_eq!(seen.iter().count(), 0);
        },
    );
}

#[test]
fn ports_can_be_added_and_removed_during_a_capture() {
    in_namespace(
        "ports_can_be_added_and_removed_during_a_capture",
        &["--map-root-user"],
        || {
            run("ip link set lo up");
            let sockets = [socket("127.0.0.1"), socket("127.0.0.1")];
            let ports = Ports::of([port(&sockets[0])]);
            let (_capture, seen) =
                Capture::open_on(&["lo"], ports.clone(), Instant::now()).unwrap();
            for (leave, join) in [(1, 0), (0, 1)] {
                ports.forget(Transport::Udp, port(&sockets[leave]));
                ports.watch(Transport::Udp, port(&sockets[join]));
                // What is watched comes last, so that all before it has been looked at by then.
                for socket in [leave, join] {
                    sockets[socket]
                        .send_to(b"a_packet_on_loopback_is_seen_once", "127.0.0.1:9")
                        .unwrap();
                }
                let expected = [(Direction::Out, false), (Direction::In, true)];
                for (direction, error) in expected {
                    let packet = next(&seen);
                    assert_eq!(packet.direction, direction);
                    assert_eq!(matches!(packet.packet.what, What::IcmpError(_)), error);
                    assert_eq!(seen_port(&packet), port(&sockets[join]));
                }
            }
        },
    );
}

#[test]
fn no_packet_of_a_burst_is_missed() {
    in_namespace(
        "no_packet_of_a_burst_is_missed",
        &["--map-root-user"],
        || {
            let _bob = Wire::up();
            let alice = socket(ALICE);
            let (capture, seen) = Capture::open(Ports::of([port(&alice)]), Instant::now()).unwrap();
            // As many as a spray opens sockets.
            for _ in 0..300 {
                alice.send_to(&[0; 100], (BOB, 40001)).unwrap();
            }
            drop(capture);
            assert_eq!(seen.iter().count(), 300);
        },
    );
}

#[test]
fn a_capture_starts_and_ends_quickly() {
    in_namespace(
        "a_capture_starts_and_ends_quickly",
        &["--map-root-user"],
        || {
            let _bob = Wire::up();
            let start = Instant::now();
            let (capture, _seen) = Capture::open(Ports::all(), start).unwrap();
            let opened = start.elapsed();
            drop(capture);
            println!("open {opened:?}, stop {:?}", start.elapsed() - opened);
            assert!(
                start.elapsed() < Duration::from_secs(1),
                "a stop that waits for a packet"
            );
        },
    );
}

#[test]
fn without_cap_net_raw_the_error_names_it() {
    in_namespace("without_cap_net_raw_the_error_names_it", &[], || {
        run("ip link show lo");
        let error = Capture::open_on(&["lo"], Ports::all(), Instant::now()).unwrap_err();
        assert!(matches!(error, CaptureError::NotPermitted), "{error:?}");
    });
}

#[test]
fn a_missing_interface_is_named() {
    in_namespace("a_missing_interface_is_named", &["--map-root-user"], || {
        let error = Capture::open_on(&["eth7"], Ports::all(), Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "there is no network interface eth7");
        let error = Capture::open(Ports::all(), Instant::now()).unwrap_err();
        assert!(matches!(error, CaptureError::NoInterfaces), "{error:?}");
    });
}

/// Runs `body` as the only test of a copy of this program in a namespace of its own.
fn in_namespace(test: &str, options: &[&str], body: fn()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let output = Command::new("unshare")
        .args(["--user", "--net"])
        .args(options)
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare (util-linux) is needed");
    let stdout = String::from_utf8_lossy(&output.stdout);
    print!("{stdout}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    // A name that no test has would pass as well.
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "failed in its namespace (or there can be none): see above"
    );
}

fn run(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap())
        .args(words)
        .status()
        .unwrap();
    assert!(status.success(), "{command}");
}

fn socket(address: &str) -> UdpSocket {
    UdpSocket::bind((address, 0)).unwrap()
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

fn next(seen: &Receiver<Seen>) -> Seen {
    seen.recv_timeout(DEADLINE).expect("no packet was captured")
}

/// Our port of a packet from us, or of the packet that an error is about.
fn seen_port(seen: &Seen) -> u16 {
    match &seen.packet.what {
        What::IcmpError(error) => error.quoted_src.port(),
        _ => seen.local().port(),
    }
}

fn octets(address: &str) -> [u8; 4] {
    address.parse::<std::net::Ipv4Addr>().unwrap().octets()
}

/// A veth pair: Alice's end `ours` has an address, Bob is whoever writes frames into the end `far`.
struct Wire {
    bob: Box<dyn DataLinkSender>,
    alice_mac: [u8; 6],
}

impl Wire {
    fn up() -> Self {
        run("ip link add ours type veth peer name far");
        run("ip link set far address 02:00:00:00:00:0b");
        run("ip link set ours up");
        run("ip link set far up");
        run("ip address add 10.9.0.1/24 dev ours");
        run("ip neighbour add 10.9.0.2 lladdr 02:00:00:00:00:0b dev ours");
        let interfaces = datalink::interfaces();
        let find = |name| {
            interfaces
                .iter()
                .find(|interface| interface.name == name)
                .unwrap()
        };
        let Channel::Ethernet(bob, _) =
            datalink::channel(find("far"), datalink::Config::default()).unwrap()
        else {
            panic!("not a channel")
        };
        Wire {
            bob,
            alice_mac: find("ours").mac.unwrap().octets(),
        }
    }

    fn send(&mut self, frame: impl FnOnce(Ip) -> Vec<u8>) {
        let ethernet = PacketBuilder::ethernet2(BOB_MAC, self.alice_mac);
        let frame = frame(ethernet.ipv4(octets(BOB), octets(ALICE), 61));
        self.bob.send_to(&frame, None).unwrap().unwrap();
    }
}

type Ip = PacketBuilderStep<IpHeaders>;

fn udp(ip: Ip, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ip.udp(from, to).write(&mut frame, payload).unwrap();
    frame
}

fn time_exceeded(ip: Ip, quote: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    ip.icmpv4_raw(11, 0, [0; 4])
        .write(&mut frame, quote)
        .unwrap();
    frame
}

//! Capturing on the host's interfaces.

use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::os::fd::IntoRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use pnet::datalink::{self, Channel, DataLinkReceiver, NetworkInterface};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{Direction, Link, Ports, Seen, decode, filter};

/// How long a thread waits for a packet before it checks whether to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(5);
/// The most time that is spent after the stop on packets that the kernel had queued before.
const DRAIN_TIME: Duration = Duration::from_millis(10);
/// The largest frame of segmentation offload fits.
const READ_BUFFER: usize = 64 * 1024;
/// Requested from the kernel for each interface (it may grant less): the packets of a spray.
const SOCKET_BUFFER: usize = 1 << 20;

/// A running capture. Dropping it ends it within about 10 ms: packets that the kernel has seen until
/// then are delivered, and then the channel ends.
#[derive(Debug)]
pub struct Capture {
    stopped_at: Arc<OnceLock<Instant>>,
    /// Carries no value: it ends when the last thread has delivered its last packet.
    end: Receiver<Infallible>,
}

/// Why a capture cannot start.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The process lacks CAP_NET_RAW. What the sockets report is left.
    #[error("capturing packets needs CAP_NET_RAW")]
    NotPermitted,
    /// No interface is up and has an address.
    #[error("no network interface is up and has an address")]
    NoInterfaces,
    /// An interface that was asked for does not exist here.
    #[error("there is no network interface {0}")]
    NoSuchInterface(String),
    /// The kernel refused for another reason.
    #[error("cannot capture on {interface}: {why}")]
    Open {
        /// The interface's name.
        interface: String,
        /// The kernel's error. It is not a `source`, because it would then be printed twice.
        why: io::Error,
    },
}

impl Capture {
    /// Captures on every interface that is up and has an address other than an IPv6 link-local one:
    /// not on the members of a bridge or a bond, where each packet would be seen again. Interfaces that
    /// are added later are not captured.
    ///
    /// Every packet that is sent after this returns is captured. Times are counted from `since`.
    pub fn open(ports: Ports, since: Instant) -> Result<(Self, Receiver<Seen>), CaptureError> {
        let interfaces: Vec<_> = datalink::interfaces()
            .into_iter()
            .filter(|interface| interface.is_up() && has_address(interface))
            .collect();
        if interfaces.is_empty() {
            return Err(CaptureError::NoInterfaces);
        }
        Capture::start(interfaces, ports, since)
    }

    /// Captures on the interfaces with these names, whatever their addresses.
    pub fn open_on<S: AsRef<str>>(
        names: &[S],
        ports: Ports,
        since: Instant,
    ) -> Result<(Self, Receiver<Seen>), CaptureError> {
        let all = datalink::interfaces();
        let find = |name: &S| {
            let found = all.iter().find(|interface| interface.name == name.as_ref());
            found
                .cloned()
                .ok_or_else(|| CaptureError::NoSuchInterface(name.as_ref().to_owned()))
        };
        let interfaces = names.iter().map(find).collect::<Result<_, _>>()?;
        Capture::start(interfaces, ports, since)
    }

    fn start(
        interfaces: Vec<NetworkInterface>,
        ports: Ports,
        since: Instant,
    ) -> Result<(Self, Receiver<Seen>), CaptureError> {
        let channels: Vec<_> = interfaces.iter().map(listen).collect::<Result<_, _>>()?;
        let stopped_at = Arc::<OnceLock<_>>::default();
        let (to, seen) = channel();
        let (at_work, end) = channel();
        for (interface, frames) in interfaces.into_iter().zip(channels) {
            let watch = Watch {
                to: to.clone(),
                _at_work: at_work.clone(),
                frames,
                place: Place::of(&interface),
                ports: ports.clone(),
                since,
                stopped_at: stopped_at.clone(),
            };
            thread::Builder::new()
                .name(format!("capture {}", interface.name))
                .spawn(move || watch.run())
                .map_err(|why| {
                    let _ = stopped_at.set(Instant::now());
                    CaptureError::Open {
                        interface: interface.name,
                        why,
                    }
                })?;
        }
        Ok((Capture { stopped_at, end }, seen))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.stopped_at.set(Instant::now());
        let _ = self.end.recv();
    }
}

fn has_address(interface: &NetworkInterface) -> bool {
    interface.ips.iter().any(|network| match network.ip() {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    })
}

/// A capture channel on the interface. The socket is created here and not by pnet, for two reasons.
/// With protocol 0 it receives nothing until pnet binds it, so no packet of another interface comes in
/// and the bind need not wait for the kernel's readers. And the filter is attached from the start.
fn listen(interface: &NetworkInterface) -> Result<Box<dyn DataLinkReceiver>, CaptureError> {
    let open = |why| CaptureError::Open {
        interface: interface.name.clone(),
        why,
    };
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0))).map_err(|e| {
        match e.kind() {
            io::ErrorKind::PermissionDenied => CaptureError::NotPermitted,
            _ => open(e),
        }
    })?;
    socket
        .attach_filter(&filter::program(interface.is_loopback()))
        .map_err(open)?;
    socket.set_recv_buffer_size(SOCKET_BUFFER).map_err(open)?;
    let config = datalink::Config {
        read_buffer_size: READ_BUFFER,
        write_buffer_size: 0,
        read_timeout: Some(READ_TIMEOUT),
        promiscuous: false,
        socket_fd: Some(socket.into_raw_fd()),
        ..datalink::Config::default()
    };
    match datalink::channel(interface, config).map_err(open)? {
        Channel::Ethernet(_, frames) => Ok(frames),
        _ => Err(open(io::ErrorKind::Unsupported.into())),
    }
}

/// What it takes to read the frames of an interface.
struct Place {
    name: String,
    link: Link,
    whose: Whose,
}

/// How to tell packets of this host from packets to it.
enum Whose {
    /// The host's packets have this source MAC address.
    Mac([u8; 6]),
    /// The host's packets have one of these source addresses.
    Addresses(Vec<IpAddr>),
    /// All packets on loopback are the host's: the ports decide.
    Loopback,
}

impl Place {
    fn of(interface: &NetworkInterface) -> Self {
        let link = if interface.is_point_to_point() {
            Link::Ip
        } else {
            Link::Ethernet
        };
        let whose = match interface.mac {
            _ if interface.is_loopback() => Whose::Loopback,
            Some(mac) if link == Link::Ethernet => Whose::Mac(mac.octets()),
            _ => Whose::Addresses(interface.ips.iter().map(|network| network.ip()).collect()),
        };
        Place {
            name: interface.name.clone(),
            link,
            whose,
        }
    }
}

/// The work of one thread: one interface.
///
/// The fields are dropped in this order, so that the channels end before the packet socket is closed:
/// that takes the kernel 10 ms and more, because it waits for all its readers.
struct Watch {
    to: Sender<Seen>,
    _at_work: Sender<Infallible>,
    frames: Box<dyn DataLinkReceiver>,
    place: Place,
    ports: Ports,
    since: Instant,
    stopped_at: Arc<OnceLock<Instant>>,
}

impl Watch {
    fn run(mut self) {
        loop {
            let stopped = self.stopped_at.get().copied();
            match self.frames.next() {
                Ok(frame) => {
                    let seen = look(&self.place, &self.ports, self.since, frame);
                    let unread = seen.is_some_and(|seen| self.to.send(seen).is_err());
                    if unread || stopped.is_some_and(|at| at.elapsed() > DRAIN_TIME) {
                        return;
                    }
                }
                // No packet, or the interface is down or gone, which pnet reports at once.
                Err(error) if stopped.is_none() => {
                    if error.kind() != io::ErrorKind::TimedOut {
                        thread::sleep(READ_TIMEOUT);
                    }
                }
                Err(_) => return,
            }
        }
    }
}

fn look(place: &Place, ports: &Ports, since: Instant, frame: &[u8]) -> Option<Seen> {
    let at = since.elapsed();
    let packet = decode(place.link, frame)?;
    let ours = match &place.whose {
        Whose::Mac(mac) => frame.get(6..12)? == mac,
        Whose::Addresses(addresses) => addresses.contains(&packet.src.ip()),
        Whose::Loopback => ports.concern(Direction::Out, &packet),
    };
    let direction = if ours { Direction::Out } else { Direction::In };
    ports.concern(direction, &packet).then(|| Seen {
        at,
        direction,
        interface: Some(place.name.clone()),
        packet,
    })
}

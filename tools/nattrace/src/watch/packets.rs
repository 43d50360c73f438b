//! The frames of all interfaces of a network namespace, with the kernel's time stamps.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use journey::watched::Frame;
use journey::{Direction, Interface};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, GetSockOpt, LinkAddr, MsgFlags, SetSockOpt, SockFlag,
    SockProtocol, SockType, recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use pnet::datalink;

sockopt_impl!(
    /// The header of virtio before each frame: it says how a super-frame will be cut.
    VirtioHeader,
    Both,
    libc::SOL_PACKET,
    libc::PACKET_VNET_HDR,
    i32
);

sockopt_impl!(
    /// How many frames came, and how many of them found no room, since it was last asked.
    Statistics,
    GetOnly,
    libc::SOL_PACKET,
    libc::PACKET_STATISTICS,
    libc::tpacket_stats
);

/// `struct virtio_net_hdr`: flags, gso_type, then hdr_len, gso_size, csum_start and csum_offset of 16 bits.
const VIRTIO: usize = 10;
const GSO_UDP: u8 = 5; // VIRTIO_NET_HDR_GSO_UDP_L4
const ETHERNET: usize = 14;
const OUTGOING: u8 = 4; // PACKET_OUTGOING
const LOOPBACK: u16 = 772; // ARPHRD_LOOPBACK

/// How often the interfaces are looked at, where one that is unknown or has no address gets a packet.
const LOOK_AFTER: Duration = Duration::from_millis(20);
/// A frame of a veth has up to 64 KiB.
const LARGEST: usize = VIRTIO + 18 + (1 << 16);
/// Bytes of frames that may wait in the socket: a fast transfer of super-frames is ahead of the reader for a while. The
/// nodes share the memory of a frame that passes them all.
const WAITING: usize = 256 << 20;
/// Of each packet, as many bytes are kept; of one that will be cut into datagrams, all.
const KEPT: usize = 1600;
/// After as many bytes in all, only the headers of each packet are kept.
const WHOLE: usize = 128 << 20;
/// How many bytes those are.
const HEADERS: usize = 192;
/// After as many frames, none is kept: 512 MiB of them at most.
const FRAMES: usize = 2 << 20;

/// A socket that gets every frame.
pub(super) struct Packets {
    socket: OwnedFd,
    buffer: Vec<u8>,
    interfaces: Vec<Interface>,
    indices: HashMap<u32, usize>,
    looked: Instant,
    kept: usize,
    /// Frames that were kept.
    pub(super) frames: Vec<Frame>,
    /// The addresses for which ARP asked.
    pub(super) sought: BTreeSet<IpAddr>,
    /// All frames that came, also those that are no packets of IP.
    pub(super) came: u64,
    /// Frames that came when enough were kept.
    pub(super) beyond: u64,
    /// When the first of them came, on the clock of the packets.
    pub(super) beyond_since_ns: Option<u64>,
}

impl Packets {
    /// Opens the socket in the network namespace of this thread.
    pub(super) fn open() -> io::Result<Self> {
        let protocol = SockProtocol::EthAll;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, protocol)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        VirtioHeader.set(&socket, &1)?;
        // an older kernel allows the first to root alone
        setsockopt(&socket, sockopt::RcvBufForce, &WAITING)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &WAITING))?;
        let mut packets = Packets {
            socket,
            buffer: vec![0; LARGEST],
            interfaces: Vec::new(),
            indices: HashMap::new(),
            looked: Instant::now(),
            kept: 0,
            frames: Vec::new(),
            sought: BTreeSet::new(),
            came: 0,
            beyond: 0,
            beyond_since_ns: None,
        };
        packets.look();
        Ok(packets)
    }

    /// The interfaces as they are now: one that is new is added, and each gets the addresses that it has had before
    /// and has now.
    pub(super) fn look(&mut self) {
        self.looked = Instant::now();
        for found in datalink::interfaces() {
            if found.is_loopback() {
                continue;
            }
            let index = *self.indices.entry(found.index).or_insert_with(|| {
                self.interfaces.push(Interface {
                    name: found.name.clone(),
                    addresses: Vec::new(),
                });
                self.interfaces.len() - 1
            });
            let addresses = &mut self.interfaces[index].addresses;
            for address in found.ips.iter().map(|network| network.ip()) {
                let local = matches!(address, IpAddr::V6(it) if it.is_unicast_link_local());
                if !local && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }

    /// The index of an interface with an address. A member of a bridge has none: the bridge shows the same packets.
    fn interface(&mut self, number: u32) -> Option<usize> {
        let known = |packets: &Self| {
            let index = *packets.indices.get(&number)?;
            let addressed = !packets.interfaces[index].addresses.is_empty();
            addressed.then_some(index)
        };
        known(self).or_else(|| {
            if self.looked.elapsed() < LOOK_AFTER {
                return None;
            }
            self.look();
            known(self)
        })
    }

    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Reads what waits in the socket. Returns how many frames the kernel has dropped since the last call.
    pub(super) fn read(&mut self) -> io::Result<u32> {
        loop {
            match self.one() {
                Ok(()) => {}
                Err(Errno::EAGAIN) => return Ok(Statistics.get(&self.socket)?.tp_drops),
                Err(Errno::ENETDOWN | Errno::EINTR | Errno::EINVAL) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn one(&mut self) -> nix::Result<()> {
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut parts = [IoSliceMut::new(&mut self.buffer)];
        let fd = std::os::fd::AsRawFd::as_raw_fd(&self.socket);
        let got = recvmsg::<LinkAddr>(fd, &mut parts, Some(&mut control), MsgFlags::empty())?;
        let at_ns = got.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(time) => {
                Some(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
            }
            _ => None,
        });
        let (at_ns, bytes, from) = (at_ns.unwrap_or(0), got.bytes, got.address);
        let Some(from) = from.filter(|from| from.hatype() != LOOPBACK) else {
            return Ok(());
        };
        self.came += 1;
        self.take(at_ns, bytes, &from);
        Ok(())
    }

    fn take(&mut self, at_ns: u64, bytes: usize, from: &LinkAddr) {
        let frame = &self.buffer[..bytes];
        let Some((virtio, frame)) = frame.split_at_checked(VIRTIO) else {
            return;
        };
        let Some((ethernet, packet)) = frame.split_at_checked(ETHERNET) else {
            return;
        };
        let out = from.pkttype() == OUTGOING;
        // an ARP request names the address that it seeks
        if ethernet[12..14] == [0x08, 0x06] && out && packet.get(6..8) == Some(&[0, 1]) {
            let sought: Option<[u8; 4]> = packet.get(24..).and_then(|it| it.first_chunk()).copied();
            self.sought.extend(sought.map(IpAddr::from));
            return;
        }
        // IPv4 and IPv6; the lab has no VLANs
        if !matches!(ethernet[12..14], [0x08, 0x00] | [0x86, 0xdd]) {
            return;
        }
        if self.frames.len() >= FRAMES {
            self.beyond += 1;
            self.beyond_since_ns.get_or_insert(at_ns);
            return;
        }
        let mac = [0, 6].map(|at| *ethernet[at..].first_chunk().expect("14 bytes"));
        let size = u16::from_ne_bytes([virtio[4], virtio[5]]);
        let segment = (virtio[1] & 0x7f == GSO_UDP).then_some(usize::from(size));
        let most = match segment {
            Some(_) => packet.len(),
            None if self.kept < WHOLE => KEPT,
            None => HEADERS,
        };
        let direction = if out { Direction::Out } else { Direction::In };
        let number = from.ifindex() as u32;
        let Some(interface) = self.interface(number) else {
            return;
        };
        let packet = &self.buffer[VIRTIO + ETHERNET..bytes];
        let len = packet.len();
        let packet = packet[..len.min(most)].to_vec();
        self.kept += packet.len();
        self.frames.push(Frame {
            at_ns,
            interface,
            direction,
            mac,
            len,
            segment,
            packet,
        });
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How many frames the interfaces of this thread's network namespace have counted, both ways, all but loopback's.
pub(super) fn counted() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev")?;
    let frames = |line: &str| -> Option<u64> {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .map_while(|it| it.parse().ok())
            .collect();
        // packets received are the 2nd, packets sent the 10th
        (name.trim() != "lo").then_some(numbers.get(1)? + numbers.get(9)?)
    };
    Ok(text.lines().filter_map(frames).sum())
}

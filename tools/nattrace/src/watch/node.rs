//! One node: what its interfaces, its rules and its NAT tell, until it is asked to end.

use std::fs::File;
use std::io::{self, PipeReader};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use journey::watched::{ARRIVED, DEPARTED, DROPPED, Logged};
use journey::{Gap, Tables, Vantage};
use netfilter::Reports;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};

use super::packets::{self, Packets};
use crate::kernel;
use crate::table::Holder;

/// A node to watch: its name, and what it is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) description: String,
}

/// What was seen in a node.
pub(super) struct Watched {
    pub(super) vantage: Vantage,
    /// Frames that the interfaces counted meanwhile, and those that came here.
    pub(super) counted: u64,
    pub(super) came: u64,
}

/// Where `ip netns` keeps its namespaces.
const NAMESPACES: &str = "/run/netns";
/// The tables are read at most so often, and reading them takes at most a part of the time.
const TABLES_AFTER: Duration = Duration::from_millis(10);
const TABLES_SHARE: u32 = 10;

/// The sockets in one node.
pub(super) struct Watch {
    vantage: Vantage,
    packets: Packets,
    /// `None`: the kernel has no NFLOG, or another program has its groups.
    reports: Option<Reports>,
    /// `None`: it has no NAT.
    holder: Option<Holder>,
    /// What the interfaces had counted before.
    counted: u64,
    /// When the tables may be read next.
    tables_at: Instant,
    /// Whether packets have come since the tables were read.
    changed: bool,
    /// Whether the tables could not be read once.
    unread: bool,
}

impl Watch {
    /// Enters the network namespace of a node, with this thread, unless it is that of the process; opens all sockets.
    pub(super) fn enter(place: &Place, here: bool) -> Result<Self> {
        if !here {
            let path = format!("{NAMESPACES}/{}", place.name);
            let namespace = File::open(&path)
                .with_context(|| format!("there is no node {}: cannot open {path}", place.name))?;
            setns(&namespace, CloneFlags::CLONE_NEWNET)
                .with_context(|| format!("cannot enter the network namespace of {}", place.name))?;
        }
        let counted = packets::counted().context("cannot read the counters of the interfaces")?;
        let packets =
            Packets::open().with_context(|| format!("cannot capture packets in {}", place.name))?;
        let mut vantage = Vantage {
            name: place.name.clone(),
            description: place.description.clone(),
            ..Vantage::default()
        };
        let reports = match Reports::open(&[DROPPED, ARRIVED, DEPARTED]) {
            Ok(reports) => Some(reports),
            Err(error) => {
                cli::stderr::line(format_args!(
                    "nattrace: {}: what rules drop is not known, since NFLOG does not open: {error}",
                    place.name
                ));
                vantage.gaps.push(gap(&place.name, "nflog", None));
                None
            }
        };
        vantage.tells_arrivals = reports.is_some() && tells_arrivals()?;
        let holder =
            Holder::find().with_context(|| format!("cannot read the NAT of {}", place.name))?;
        Ok(Watch {
            vantage,
            packets,
            reports,
            holder,
            counted,
            tables_at: Instant::now(),
            changed: true,
            unread: false,
        })
    }

    /// Watches until the other end of the pipe is closed.
    pub(super) fn run(mut self, end: &PipeReader) -> Result<Watched> {
        let mut ended: Option<Instant> = None;
        loop {
            self.tables();
            let wait = match (ended, self.changed && self.holder.is_some()) {
                (Some(at), _) => at.saturating_duration_since(Instant::now()),
                (None, true) => self.tables_at.saturating_duration_since(Instant::now()),
                (None, false) => Duration::MAX,
            };
            let ready = self.wait(end, ended.is_some(), wait)?;
            if ready.packets {
                self.read_packets()?;
                self.changed = true;
            }
            if ready.reports {
                self.read_reports();
            }
            if ready.end && ended.is_none() {
                // what the kernel collects still comes
                ended = Some(Instant::now() + netfilter::DELAY);
                if let Some(reports) = &mut self.reports {
                    let _ = reports.end();
                }
            }
            if ended.is_some_and(|at| at <= Instant::now()) {
                break;
            }
        }
        self.read_packets()?;
        self.tables_at = Instant::now();
        self.tables();
        self.packets.look();
        if self.packets.beyond > 0 {
            let mut gap = gap(&self.vantage.name, "kept", Some(self.packets.beyond));
            if let Some(since) = self.packets.beyond_since_ns {
                gap.t_ms = since as f64 / 1e6;
            }
            self.vantage.gaps.push(gap);
        }
        self.vantage.interfaces = self.packets.interfaces().to_vec();
        self.vantage.sought = std::mem::take(&mut self.packets.sought);
        self.vantage.frames = std::mem::take(&mut self.packets.frames);
        let counted = packets::counted().context("cannot read the counters of the interfaces")?;
        Ok(Watched {
            counted: counted.saturating_sub(self.counted), // an interface may have gone
            came: self.packets.came,
            vantage: self.vantage,
        })
    }

    fn wait(&self, end: &PipeReader, ended: bool, wait: Duration) -> io::Result<Ready> {
        let reports = self.reports.as_ref().map(|reports| reports.as_fd());
        let mut fds = vec![PollFd::new(self.packets.as_fd(), PollFlags::POLLIN)];
        fds.extend(reports.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        if !ended {
            fds.push(PollFd::new(end.as_fd(), PollFlags::POLLIN));
        }
        // rounded up, so that it does not return too early
        let timeout = match wait {
            Duration::MAX => PollTimeout::NONE,
            wait => {
                PollTimeout::try_from(wait + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is = |fd: &PollFd| fd.any().unwrap_or(false);
        let second = usize::from(self.reports.is_some());
        Ok(Ready {
            packets: is(&fds[0]),
            reports: second == 1 && is(&fds[1]),
            end: fds.get(1 + second).is_some_and(is),
        })
    }

    fn read_packets(&mut self) -> Result<()> {
        let dropped = self
            .packets
            .read()
            .with_context(|| format!("cannot read packets in {}", self.vantage.name))?;
        if dropped > 0 {
            self.gap("packets", Some(dropped.into()));
        }
        Ok(())
    }

    fn read_reports(&mut self) {
        let Some(reports) = &mut self.reports else {
            return;
        };
        let mut came = Vec::new();
        let read = reports.read(&mut came);
        let now = now_ns();
        let logged = came.into_iter().map(|report| Logged {
            // a program's packet is reported at once, and has no time
            at_ns: match report.group {
                DEPARTED => Some(now),
                _ => report.at_ns,
            },
            group: report.group,
            prefix: report.prefix,
            packet: report.packet,
        });
        self.vantage.logged.extend(logged);
        if read.is_err() {
            self.gap("nflog", None);
        }
    }

    /// Reads what the NAT holds, if that may have changed.
    fn tables(&mut self) {
        let Some(holder) = &mut self.holder else {
            return;
        };
        let started = Instant::now();
        if !self.changed || started < self.tables_at {
            return;
        }
        self.changed = false;
        let t_ms = now_ns() as f64 / 1e6;
        let outside = outside(self.packets.interfaces());
        let last = self.vantage.tables.last();
        match holder.read(outside) {
            Ok(mappings) if last.is_none_or(|last| last.mappings != mappings) => {
                self.vantage.tables.push(Tables {
                    t_ms,
                    node: self.vantage.name.clone(),
                    mappings,
                });
            }
            Ok(_) => {}
            // one gap, however often it fails
            Err(_) if self.unread => {}
            Err(_) => {
                self.unread = true;
                self.gap("tables", None);
            }
        }
        self.tables_at = Instant::now() + (started.elapsed() * TABLES_SHARE).max(TABLES_AFTER);
    }

    fn gap(&mut self, source: &str, lost: Option<u64>) {
        let gap = gap(&self.vantage.name, source, lost);
        self.vantage.gaps.push(gap);
    }
}

struct Ready {
    packets: bool,
    reports: bool,
    end: bool,
}

fn gap(node: &str, source: &str, lost: Option<u64>) -> Gap {
    Gap {
        t_ms: now_ns() as f64 / 1e6,
        node: node.to_owned(),
        source: source.to_owned(),
        lost,
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// The address of a router that a mapping has if the table names only its port: the first one of the interface
/// that leads outside, which is the last.
fn outside(interfaces: &[journey::Interface]) -> Option<std::net::IpAddr> {
    let named = interfaces.iter().find(|interface| interface.name == "wan");
    let outer = named.or(interfaces.last())?;
    outer
        .addresses
        .iter()
        .copied()
        .find(|address| address.is_ipv4())
}

/// Whether the rules of this node report what arrives.
fn tells_arrivals() -> Result<bool> {
    let mut kernel = kernel::Netfilter::open().context("cannot open a netfilter socket")?;
    let names = kernel::table_names(&mut kernel, 1).context("cannot list the nft tables")?;
    Ok(names.iter().any(|name| name == super::RULES))
}

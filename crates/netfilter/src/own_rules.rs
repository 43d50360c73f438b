//! Which packets the host's own rules drop, while this goes on.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::passed::{Direction, Dropped, Passed};
use crate::table::{Chain, Hook, Table};
use crate::{DELAY, Reports};

/// The first and the last chain of each way. Their priorities are the lowest and the highest that there are, so no
/// chain of another table sees a packet earlier or later.
const CHAINS: [Chain; 5] = [
    Chain {
        name: "in-first",
        hook: Hook::Prerouting,
        priority: i32::MIN + 1,
    },
    Chain {
        name: "in-last",
        hook: Hook::Input,
        priority: i32::MAX,
    },
    // a packet for another host does not come to the last chain of those for this one
    Chain {
        name: "in-passes",
        hook: Hook::Forward,
        priority: i32::MIN + 1,
    },
    Chain {
        name: "out-first",
        hook: Hook::Output,
        priority: i32::MIN + 1,
    },
    Chain {
        name: "out-last",
        hook: Hook::Postrouting,
        priority: i32::MAX,
    },
];

/// The NFLOG groups that are tried: other programs have the first ones.
const GROUPS: std::ops::Range<u16> = 0x7069..0x7079;

/// How long the thread waits before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// A watch on the host's own rules.
#[derive(Debug)]
pub struct OwnRules {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Dropped>, bool)>,
    _table: Table,
}

impl OwnRules {
    /// Begins. Times are counted from `since`.
    ///
    /// # Errors
    /// `EPERM`: CAP_NET_ADMIN is missing. Others: the kernel is older than 5.12, or has no nf_tables or
    /// no NFLOG.
    pub fn watch(since: Instant) -> io::Result<OwnRules> {
        let (group, reports) = open()?;
        let name = format!("pinhole-{}", std::process::id());
        let table = Table::load(&name, &CHAINS, group)?;
        let stop = Arc::new(AtomicBool::new(false));
        let watch = Watch {
            reports,
            passed: Passed::default(),
            since,
            overrun: false,
        };
        let asked = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("own rules".into())
            .spawn(move || watch.run(&asked))?;
        Ok(OwnRules {
            stop,
            thread,
            _table: table,
        })
    }

    /// Ends it: the packets that were dropped, and whether reports were lost. Then more may have been
    /// dropped, and some of these not.
    pub fn end(self) -> (Vec<Dropped>, bool) {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

fn open() -> io::Result<(u16, Reports)> {
    let mut error = io::Error::from(io::ErrorKind::ResourceBusy);
    for group in GROUPS {
        match Reports::open(&[group]) {
            Ok(reports) => return Ok((group, reports)),
            Err(busy) if busy.kind() == io::ErrorKind::ResourceBusy => error = busy,
            Err(error) => return Err(error),
        }
    }
    Err(error)
}

struct Watch {
    reports: Reports,
    passed: Passed,
    since: Instant,
    overrun: bool,
}

impl Watch {
    fn run(mut self, stop: &AtomicBool) -> (Vec<Dropped>, bool) {
        while !stop.load(Relaxed) {
            self.wait(LOOK);
        }
        // What the kernel has collected comes now.
        let _ = self.reports.end();
        let end = Instant::now() + DELAY;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            self.wait(left.max(Duration::from_millis(1)));
        }
        (self.passed.dropped(), self.overrun)
    }

    /// Waits for reports, and reads them.
    fn wait(&mut self, most: Duration) {
        let mut fds = [PollFd::new(self.reports.as_fd(), PollFlags::POLLIN)];
        let most = PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO);
        // That it is interrupted, or takes too long, changes nothing.
        let _ = poll(&mut fds, most);
        let mut reports = Vec::new();
        self.overrun |= self.reports.read(&mut reports).is_err();
        let at = self.since.elapsed();
        for report in reports {
            self.overrun |= !note(&mut self.passed, at, &report.prefix, &report.packet);
        }
    }
}

/// Notes what a chain has reported. `false`: an earlier packet had to be forgotten for it.
fn note(passed: &mut Passed, at: Duration, chain: &str, packet: &[u8]) -> bool {
    match chain {
        "in-first" => return passed.first(at, Direction::In, packet),
        "in-last" | "in-passes" => passed.last(Direction::In, packet),
        "out-first" => return passed.first(at, Direction::Out, packet),
        "out-last" => passed.last(Direction::Out, packet),
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passed::tests::packet;

    #[test]
    fn what_passes_this_host_is_not_dropped_by_it() {
        let mut passed = Passed::default();
        let mut told = |chain, payload: &[u8]| {
            assert!(note(&mut passed, Duration::ZERO, chain, &packet(payload)));
        };
        for chain in ["in-first", "in-passes", "out-last"] {
            told(chain, b"for another host");
        }
        for chain in ["in-first", "in-last"] {
            told(chain, b"for this host");
        }
        told("in-first", b"dropped");
        let dropped = passed.dropped();
        assert_eq!(dropped.len(), 1, "{dropped:?}");
        assert_eq!(dropped[0].payload, b"dropped");
    }
}

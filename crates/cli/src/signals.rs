//! Signals that ask a tool to end. One that is a peer ends in an orderly way: if
//! it were only killed, its name would stay registered until that expires, and
//! callers would wait for it.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGINT, SIGTERM and SIGHUP, which no longer end the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where the process was started with SIGHUP ignored, as by `nohup`.
    hang_up: Option<Signal>,
}

impl Signals {
    /// Begins to wait: from now on no signal is missed. To be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// What `sigaction(2)` says.
    pub fn watch() -> io::Result<Signals> {
        let hang_up = match ignores_hang_up() {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up,
        })
    }

    /// Returns when one of them comes, or has come since the last call.
    pub async fn ended(&mut self) {
        let hung_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hung_up => {}
        }
    }
}

/// Whether SIGHUP is ignored, as Linux tells it; elsewhere it is not known.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignored_in(&status))
}

/// SIGHUP is signal 1, hence the lowest bit of the mask.
fn ignored_in(status: &str) -> bool {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hang_up_is_found_in_the_status_of_the_process() {
        assert!(ignored_in("Name:\tpunch\nSigIgn:\t0000000000001001\n"));
        assert!(!ignored_in("Name:\tpunch\nSigIgn:\t0000000000001000\n"));
        assert!(!ignored_in("Name:\tpunch\n"));
    }
}

//! The system's wish that we end: who only dies leaves its name registered,
//! and callers wait for it until that expires.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for SIGINT, SIGTERM and SIGHUP, which no longer end the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `nohup` has it ignored, and means it.
    hang_up: Option<Signal>,
}

impl Signals {
    /// From now on none is missed. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the system does not let us.
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

/// As Linux tells it; elsewhere it is not known.
fn ignores_hang_up() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignored_in(&status))
}

/// SIGHUP is 1, and the first bit of the mask.
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
    fn what_nohup_has_ignored_stays_so() {
        assert!(ignored_in("Name:\tpunch\nSigIgn:\t0000000000001001\n"));
        assert!(!ignored_in("Name:\tpunch\nSigIgn:\t0000000000001000\n"));
        assert!(!ignored_in("Name:\tpunch\n"));
    }
}

//! Writing to a pipe whose reader may have stalled.

use std::io;
use std::sync::mpsc;
use std::time::Duration;

/// Runs `write` in a thread of its own, and waits for it no longer than this. `None`: it has
/// not come back, and goes on waiting until the process ends.
pub fn within(
    time: Duration,
    write: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Option<io::Result<()>> {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || done.send(write()));
    wait.recv_timeout(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_back_is_left_behind() {
        let (_end, wait) = mpsc::channel::<()>();
        let stalled = move || wait.recv().map_err(io::Error::other);
        assert!(within(Duration::from_millis(10), stalled).is_none());
        let minute = Duration::from_secs(60);
        assert!(matches!(within(minute, || Ok(())), Some(Ok(()))));
        let fails = || Err(io::ErrorKind::BrokenPipe.into());
        assert!(matches!(within(minute, fails), Some(Err(_))));
    }
}

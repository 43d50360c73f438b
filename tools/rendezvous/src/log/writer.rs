//! The thread that writes the log. Whoever adds a line never waits for the log's reader.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sansio::Prefix;

use super::lines::{Lines, Owner, Summary};

/// Makes lines of what is not written one by one.
pub trait Format: Send + 'static {
    fn summary(&self, summary: &Summary) -> String;
    fn dropped(&self, lines: u64) -> String;
}

/// Where lines are added. Its clones share the queue and the thread.
#[derive(Clone)]
pub struct Writer(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Lines,
    ending: bool,
    /// Everything has been written.
    ended: bool,
}

impl Writer {
    /// Starts the thread.
    pub fn start(out: impl Write + Send + 'static, format: impl Format) -> Self {
        let queue = Arc::new(Queue::default());
        let shared = Arc::clone(&queue);
        std::thread::spawn(move || write_all(&shared, out, &format));
        Writer(queue)
    }

    /// A line about an event that a client of this prefix has caused.
    pub fn event(&self, prefix: Prefix, kind: &'static str, line: impl FnOnce() -> String) {
        let now = Instant::now();
        self.0.lock().lines.event(now, prefix, kind, line);
        self.0.changed.notify_all();
    }

    pub fn line(&self, owner: Owner, line: String) {
        self.0.lock().lines.push(owner, line);
        self.0.changed.notify_all();
    }

    /// Writes what waits, within this time. Nothing is written after that.
    pub fn end(&self, within: Duration) {
        let mut state = self.0.lock();
        state.ending = true;
        self.0.changed.notify_all();
        let wait = self
            .0
            .changed
            .wait_timeout_while(state, within, |state| !state.ended);
        drop(wait);
    }
}

/// What `tracing` writes: each event at once.
impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.line(Owner::Trace, text.trim_end_matches('\n').to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next lines, once there are some; `None` at the end.
    fn next(&self, format: &impl Format) -> Option<String> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            state.lines.handle_timeout(now);
            if state.ending {
                state.lines.end_all();
            }
            while let Some(summary) = state.lines.summary() {
                let line = format.summary(&summary);
                state.lines.push(Owner::Prefix(summary.prefix), line);
            }
            let dropped = state.lines.dropped();
            if dropped > 0 {
                return Some(format.dropped(dropped) + "\n");
            }
            if !state.lines.is_empty() {
                return Some(state.lines.take());
            }
            if state.ending {
                state.ended = true;
                self.changed.notify_all();
                return None;
            }
            let wait = state.lines.poll_timeout();
            let wait = wait.map_or(Duration::MAX, |at| at.saturating_duration_since(now));
            let woken = self.changed.wait_timeout(state, wait);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A line that cannot be written is lost: nobody reads it, or the disk is full.
fn write_all(queue: &Queue, mut out: impl Write, format: &impl Format) {
    while let Some(lines) = queue.next(format) {
        let _ = out.write_all(lines.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Plain;

    impl Format for Plain {
        fn summary(&self, summary: &Summary) -> String {
            format!("{}: {:?}", summary.prefix, summary.counts)
        }
        fn dropped(&self, lines: u64) -> String {
            format!("{lines} dropped")
        }
    }

    #[test]
    fn a_reader_that_has_stalled_holds_up_nobody_and_is_told_what_was_dropped() {
        let (out, mut reader) = UnixStream::pair().unwrap();
        let writer = Writer::start(out, Plain);
        // More than the socket and the queue hold.
        let line = "x".repeat(1000);
        for _ in 0..10_000 {
            writer.line(Owner::Trace, line.clone());
        }
        let started = Instant::now();
        writer.end(Duration::from_millis(100));
        assert!(
            started.elapsed() >= Duration::from_millis(100),
            "it gave up"
        );
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        let (mut written, mut dropped) = (0, 0);
        for read in text.lines() {
            match read.strip_suffix(" dropped") {
                Some(count) => dropped += count.parse::<usize>().unwrap(),
                None => written += usize::from(read == line),
            }
        }
        assert!(dropped > 0);
        assert_eq!(written + dropped, 10_000);
    }

    #[test]
    fn at_the_end_everything_is_written_with_the_summaries() {
        let (out, mut reader) = UnixStream::pair().unwrap();
        let mut writer = Writer::start(out, Plain);
        let prefix = Prefix::of([198, 51, 100, 7].into());
        for n in 0..102 {
            writer.event(prefix, "registered", || format!("{n}"));
        }
        writer.write_all(b"a trace\n").unwrap();
        writer.end(Duration::from_secs(60));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 102);
        let summary = "198.51.100.0/24: {\"registered\": 2}";
        assert_eq!(lines[99..], ["99", "a trace", summary]);
    }
}

//! The tools' log of `tracing` events, for those who look for a fault: off,
//! unless `RUST_LOG` asks for it.
//!
//! `RUST_LOG` is what tracing-subscriber's `EnvFilter` reads: `debug` for
//! changes of state and decisions, `trace` for packets, too, and
//! `peer_proto=debug,net=trace` to choose by crate.

use std::io::Write;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::stderr::{self, Lines};
use crate::stdout::coloured;

/// Writes events to stderr from now on, if `RUST_LOG` is set. To be called
/// once, at the start of `main`. Without `RUST_LOG` it does nothing, and an
/// event costs one comparison.
///
/// A value that cannot be understood is reported on stderr and ignored: a log
/// is no reason for a tool not to run.
pub fn init() {
    init_to(|| Lines);
}

/// The same, for a tool whose lines go another way: each event is written at once to
/// a writer of its own.
pub fn init_to<W: Write>(writer: impl Fn() -> W + Send + Sync + 'static) {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    if wanted.is_empty() {
        return;
    }
    let color = coloured(&std::io::stderr());
    let set = match EnvFilter::builder().parse(&wanted) {
        Ok(filter) => tracing::subscriber::set_global_default(events(filter, color, writer))
            .map_err(|error| error.to_string()),
        Err(error) => Err(format!("{error}; try RUST_LOG=debug")),
    };
    if let Err(error) = set {
        stderr::line(format_args!("no log by RUST_LOG={wanted}: {error}"));
    }
}

/// The time of day in UTC, as events have it: RFC 3339, with microseconds.
pub fn time() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// Each event that the filter lets through becomes one write to the writer.
fn events<W>(filter: EnvFilter, color: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(color)
        // It would report by eprintln! that nobody reads stderr.
        .log_internal_errors(false)
        .with_writer(writer)
        .finish()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written, call by call.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<String>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.lock().unwrap().push(text);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of two events with that filter.
    fn logged(filter: &str, color: bool) -> Vec<String> {
        let sink = Sink::default();
        let writer = sink.clone();
        let filter = EnvFilter::builder().parse(filter).unwrap();
        let subscriber = events(filter, color, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "peer_proto", peer = "bob", "attempt begins");
            tracing::trace!(target: "net", length = 20, "datagram sent");
        });
        let lines = sink.0.lock().unwrap();
        lines.clone()
    }

    #[test]
    fn an_event_is_written_as_one_whole_line() {
        let lines = logged("trace", false);
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, end) in lines.iter().zip([
            "DEBUG peer_proto: attempt begins peer=\"bob\"\n",
            "TRACE net: datagram sent length=20\n",
        ]) {
            assert!(line.ends_with(end), "{line:?}");
        }
    }

    #[test]
    fn the_time_is_that_of_rfc_3339_in_utc() {
        let shape = time().replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(shape, "0000-00-00T00:00:00.000000Z");
    }

    #[test]
    fn the_filter_chooses_by_level_and_crate() {
        assert_eq!(logged("debug", false).len(), 1);
        assert_eq!(logged("net=trace", false).len(), 1);
        assert_eq!(logged("off", false), [""; 0]);
    }

    #[test]
    fn colors_are_written_only_where_they_are_wanted() {
        let escapes = |color| logged("trace", color).concat().contains('\x1b');
        assert!(escapes(true));
        assert!(!escapes(false));
    }
}

//! Every packet of the attempt, as this host sees it: captured where that is
//! permitted, else as the socket sends and receives it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use capture::{Capture, CaptureError, Ports, Seen, describe};
use net::drive::Traffic;
use sansio::{Datagram, IcmpError, Input};

/// A trace under way.
pub struct Trace {
    local: SocketAddr,
    since: Instant,
    kept: Arc<Mutex<Vec<Seen>>>,
    print: bool,
    capture: Option<(Capture, JoinHandle<()>)>,
}

impl Trace {
    /// Begins. Where packets are captured, they are those of these ports, else those of the
    /// sockets that punch. With `print` each is printed when it passes, else they are kept.
    ///
    /// # Errors
    /// When capturing is permitted, and fails.
    pub fn start(
        local: SocketAddr,
        ports: &Ports,
        since: Instant,
        print: bool,
    ) -> Result<Trace, CaptureError> {
        let mut trace = Trace {
            local,
            since,
            kept: Arc::default(),
            print,
            capture: None,
        };
        match Capture::open(ports.clone(), since) {
            Ok((capture, packets)) => {
                let kept = Arc::clone(&trace.kept);
                let reader = std::thread::spawn(move || {
                    packets
                        .into_iter()
                        .for_each(|seen| show(&kept, print, seen));
                });
                trace.capture = Some((capture, reader));
            }
            Err(CaptureError::NotPermitted) => cli::stderr::line(format_args!(
                "punch: cannot capture packets, which needs root or CAP_NET_RAW: \
                 the trace shows what the socket sends and receives"
            )),
            Err(error) => return Err(error),
        }
        Ok(trace)
    }

    /// A packet at the socket; ignored where packets are captured.
    pub fn witness(&self, traffic: Traffic<'_>) {
        if self.capture.is_some() {
            return;
        }
        let at = self.since.elapsed();
        let local = |port| SocketAddr::new(self.local.ip(), port);
        let seen = match traffic {
            Traffic::Sent {
                port,
                to,
                ttl,
                payload,
            } => Seen::sent(at, local(port), to, ttl, payload),
            Traffic::Received { port, input } => match input {
                Input::Datagram(datagram) => {
                    let Datagram {
                        from, ttl, payload, ..
                    } = datagram;
                    Seen::received(at, local(port), from, ttl, payload)
                }
                Input::Icmp(error) => {
                    let IcmpError {
                        to, offender, icmp, ..
                    } = error;
                    Seen::icmp(at, local(port), to, offender, icmp, error.quoted)
                }
            },
        };
        show(&self.kept, self.print, seen);
    }

    /// Ends the trace when every captured packet is printed or kept; returns those
    /// that were kept.
    pub fn end(self) -> Vec<Seen> {
        if let Some((capture, reader)) = self.capture {
            drop(capture);
            let _ = reader.join();
        }
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn show(kept: &Mutex<Vec<Seen>>, print: bool, seen: Seen) {
    if print {
        // That nobody reads any more is no reason to stop punching.
        let _ = writeln!(std::io::stdout(), "{}", describe(&seen));
    } else {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(seen);
    }
}

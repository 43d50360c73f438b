//! The end: what is on its way arrives, or the user is told that it did not.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::{Hub, Outcome};
use crate::notice::Notice;
use crate::socket;

/// How long deliveries may take after a person has typed /quit.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long links may take to write what is left.
const FLUSH: Duration = Duration::from_secs(1);

/// Whether the user wants to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// No.
    No,
    /// Yes, once everything is delivered.
    WhenDone,
    /// Yes, once everything is delivered, and at this time at the latest.
    By(Instant),
}

impl Leaving {
    /// Whether the user wants to.
    pub fn has_begun(self) -> bool {
        self != Leaving::No
    }

    /// Soon, however little is heard of the peers.
    pub fn soon(now: Instant) -> Leaving {
        Leaving::By(now + FAREWELL)
    }

    /// When it is time, whatever is on its way.
    pub fn poll_timeout(self) -> Option<Instant> {
        match self {
            Leaving::By(by) => Some(by),
            Leaving::No | Leaving::WhenDone => None,
        }
    }
}

impl Hub {
    pub(super) fn begin_to_leave(&mut self, now: Instant) {
        self.transfers.stop_asking();
        if !self.leaving.has_begun() {
            self.leaving = match self.user.is_interactive() {
                true => Leaving::By(now + FAREWELL),
                false => Leaving::WhenDone,
            };
        }
    }

    pub(super) fn may_leave(&self, now: Instant) -> bool {
        let done = !self.user.holds_line()
            && !self.keyring.awaits_acceptance()
            && self.peers.iter().all(|(_, peer)| peer.is_done());
        let late = self.leaving.poll_timeout().is_some_and(|by| by <= now);
        self.leaving.has_begun() && (done || late)
    }

    /// Leaves the peers, and then the rendezvous.
    pub(super) async fn leave(
        mut self,
        events: &mut Receiver<socket::Event>,
    ) -> anyhow::Result<Outcome> {
        self.end_handover("interrupted");
        self.leaving = Leaving::soon(Instant::now());
        if let Some(text) = self.user.take_line() {
            let to = self.user.target().unwrap_or_else(|| "anybody".into());
            self.user.tell(Notice::Undelivered { to, text });
        }
        let mut farewells = Vec::new();
        for (_, peer) in self.peers.iter_mut() {
            peer.parted = true;
            peer.conversation.hang_up();
            if let Some(line) = peer.line.take() {
                farewells.push(tokio::spawn(line.link.finish(FLUSH)));
            }
        }
        // Prints what was not delivered. If stdout is closed, nobody reads it.
        let _ = self.settle();
        let _ = self.network.flush();
        let quic = self.network.quic.clone();
        let mut farewells = std::pin::pin!(async {
            for farewell in farewells {
                let _ = farewell.await;
            }
            let _ = tokio::time::timeout(FLUSH, quic.wait_idle()).await;
        });
        // Some may go through the relay, and the endpoint has to wrap them.
        loop {
            tokio::select! {
                () = &mut farewells => break,
                Some(event) = events.recv() => {
                    let _ = self.network.handle_socket(Instant::now(), event);
                    let _ = self.network.flush();
                }
            }
        }
        self.close_kept();
        let _ = self.user.flush(&self.transfers.progress);
        self.network.leave(events).await;
        Ok(self.user.outcome())
    }
}

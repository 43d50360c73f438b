//! The end, in peace: what is on its way arrives, or is told of.

use std::time::{Duration, Instant};

use super::Hub;
use super::peer::Peer;
use crate::notice::Notice;

/// Somebody who types /quit waits no longer than this for deliveries.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long links may take to write what is left.
const FLUSH: Duration = Duration::from_secs(1);

impl Hub {
    pub(super) fn begin_to_leave(&mut self) {
        let interactive = self.screen.is_interactive();
        let by = interactive.then(|| Instant::now() + FAREWELL);
        self.leaving.get_or_insert(by);
    }

    pub(super) fn may_leave(&self, now: Instant) -> bool {
        let Some(by) = self.leaving else { return false };
        let done = self.held.is_none()
            && !self.transfers.is_busy()
            && self.peers.values().all(Peer::is_done);
        done || by.is_some_and(|by| by <= now)
    }

    pub(super) async fn leave(mut self) -> anyhow::Result<bool> {
        let now = Instant::now();
        if let Some(text) = self.held.take() {
            let to = self.chosen.clone().unwrap_or_else(|| "anybody".into());
            self.failed = true;
            self.tell(Notice::Undelivered { to, text });
        }
        let mut farewells = Vec::new();
        for peer in self.peers.values_mut() {
            peer.parted = true;
            peer.conversation.hang_up();
            if let Some(link) = peer.link.take() {
                farewells.push(tokio::spawn(link.finish(FLUSH)));
            }
        }
        self.brain.leave(now);
        // Prints what was not delivered. A closed pipe cannot be told of.
        let _ = self.settle();
        for farewell in farewells {
            let _ = farewell.await;
        }
        let _ = tokio::time::timeout(FLUSH, self.quic.wait_idle()).await;
        Ok(!self.failed)
    }
}

//! The end, in peace: what is on its way arrives, or is told of.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use sansio::Protocol;

use super::Hub;
use super::peer::Peer;
use super::run::sleep_until;
use crate::notice::Notice;
use crate::socket::Aside;

/// Somebody who types /quit waits no longer than this for deliveries.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long links may take to write what is left.
const FLUSH: Duration = Duration::from_secs(1);

/// How long the relay has to say that it has forgotten us.
const GIVE_BACK: Duration = Duration::from_millis(500);

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

    pub(super) async fn leave(mut self, asides: &mut Receiver<Aside>) -> anyhow::Result<bool> {
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
        // Prints what was not delivered. A closed pipe cannot be told of.
        let _ = self.settle();
        let quic = self.quic.clone();
        let mut farewells = std::pin::pin!(async {
            for farewell in farewells {
                let _ = farewell.await;
            }
            let _ = tokio::time::timeout(FLUSH, quic.wait_idle()).await;
        });
        // They may go through the relay, which takes us to wrap them.
        loop {
            tokio::select! {
                () = &mut farewells => break,
                Some(aside) = asides.recv() => self.last_aside(aside),
            }
        }
        self.brain.leave(Instant::now());
        let _ = self.flush();
        let _ = tokio::time::timeout(GIVE_BACK, self.give_back(asides)).await;
        Ok(!self.failed)
    }

    /// Until the relay knows that we need it no more: it counts what we have.
    async fn give_back(&mut self, asides: &mut Receiver<Aside>) {
        while self.brain.is_relaying() {
            let timeout = self.brain.poll_timeout();
            tokio::select! {
                Some(aside) = asides.recv() => self.last_aside(aside),
                () = sleep_until(timeout) => self.brain.handle_timeout(Instant::now()),
            }
            let _ = self.flush();
        }
    }

    fn last_aside(&mut self, aside: Aside) {
        let _ = self.aside(aside);
        let _ = self.flush();
    }
}

//! The loop: whatever comes first is dealt with.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use cli::signals::Signals;
use tokio::sync::mpsc;

use super::{Hub, Parts};
use crate::input::{Input, Prompt};
use crate::link::Links;
use crate::socket::Aside;

/// What the hub waits for.
pub struct Inbox {
    /// STUN and ICMP.
    pub aside: mpsc::Receiver<Aside>,
    /// Lines of the user.
    pub lines: mpsc::Receiver<Input>,
    /// The prompt, if there is one, to be shown after each line.
    pub prompt: Option<Prompt>,
}

/// Runs a chat until the user leaves; true if everything was delivered.
///
/// # Errors
/// When it cannot go on: no server, the name is taken, the socket fails.
pub async fn run(parts: Parts, mut inbox: Inbox) -> anyhow::Result<bool> {
    let (events, mut link_events) = mpsc::channel(64);
    let (jobs, mut finished_jobs) = mpsc::channel(64);
    let links = Links {
        events,
        room: Arc::default(),
    };
    let (quic, room) = (parts.quic.clone(), Arc::clone(&links.room));
    let mut hub = Hub::new(parts, links, jobs);
    // Control-C as a filter, or the system's wish.
    let mut signals = Signals::watch().context("cannot wait for signals")?;
    inbox.show_prompt(&hub);
    loop {
        hub.settle()?;
        if hub.may_leave(Instant::now()) {
            break;
        }
        let timeout = hub.poll_timeout();
        let wants_input = hub.wants_input();
        tokio::select! {
            Some(aside) = inbox.aside.recv() => hub.aside(aside)?,
            Some(event) = link_events.recv() => hub.link_event(event),
            Some(incoming) = quic.accept() => hub.knock(incoming),
            Some(job) = finished_jobs.recv() => hub.job_done(job),
            input = inbox.lines.recv(), if wants_input => {
                hub.input(input.unwrap_or(Input::End));
                hub.settle()?;
                inbox.show_prompt(&hub);
            }
            () = room.notified() => {}
            () = sleep_until(timeout) => hub.timeouts(Instant::now())?,
            () = signals.ended() => break,
        }
    }
    hub.leave(&mut inbox.aside).await
}

impl Inbox {
    /// Edits the next line.
    fn show_prompt(&self, hub: &Hub) {
        if let Some(prompt) = self.prompt.as_ref().filter(|_| hub.leaving.is_none()) {
            let text = match &hub.chosen {
                Some(peer) => format!("{peer}> "),
                None => "> ".into(),
            };
            let _ = prompt.show.send(text);
        }
    }
}

pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

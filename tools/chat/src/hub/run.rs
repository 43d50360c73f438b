//! The loop: whatever comes first is dealt with.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use cli::signals::Signals;
use tokio::sync::mpsc;

use super::{Hub, Outcome};
use crate::files::transfers::Job;
use crate::input::Input;
use crate::{link, socket};

/// What the hub waits for.
pub struct Inbox {
    /// What the socket has beside QUIC.
    pub socket: mpsc::Receiver<socket::Event>,
    /// What happens to links.
    pub links: link::Inbox,
    /// Jobs of the transfers that have ended.
    pub jobs: mpsc::Receiver<Job>,
    /// Lines of the user.
    pub lines: mpsc::Receiver<Input>,
}

/// Runs a chat until the user leaves. `peer` is whom to open a conversation
/// with at once.
///
/// # Errors
/// When it cannot go on: no server, the name is taken, the socket fails.
pub async fn run(mut hub: Hub, mut inbox: Inbox, peer: Option<&str>) -> anyhow::Result<Outcome> {
    // Control-C where no prompt takes it, or a request of the system.
    let mut signals = Signals::watch().context("cannot wait for signals")?;
    let (quic, room) = (hub.network.quic.clone(), Arc::clone(&inbox.links.room));
    if let Some(peer) = peer {
        hub.open(Instant::now(), peer);
    }
    hub.network.surroundings.measure(hub.network.server);
    loop {
        hub.settle()?;
        hub.connect_by_tcp().await;
        hub.network.flush()?;
        if hub.may_leave(Instant::now()) {
            break;
        }
        let timeout = hub.poll_timeout();
        let wants_line = hub.wants_line();
        tokio::select! {
            Some(event) = inbox.socket.recv() => match event {
                socket::Event::StreamEnded(stream) => hub.stream_ended(Instant::now(), stream),
                event => hub.network.handle_socket(Instant::now(), event)?,
            },
            Some(event) = inbox.links.events.recv() => hub.handle_link(Instant::now(), event),
            Some(incoming) = quic.accept() => hub.handle_incoming(incoming),
            Some(job) = inbox.jobs.recv() => hub.handle_job(job),
            input = inbox.lines.recv(), if wants_line => {
                hub.handle_input(Instant::now(), input.unwrap_or(Input::End));
            }
            server = hub.network.lookup.next() => hub.network.server_moved(Instant::now(), server),
            event = hub.network.surroundings.next() => {
                hub.handle_surroundings(Instant::now(), event);
            }
            event = hub.network.tcp.next() => hub.handle_tcp(event)?,
            () = room.notified() => {}
            () = sleep_until(timeout) => hub.handle_timeout(Instant::now())?,
            () = signals.ended() => break,
        }
    }
    hub.leave(&mut inbox.socket).await
}

pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

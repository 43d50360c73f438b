//! What `--metrics` serves, by HTTP: `/metrics` (the text format of Prometheus), `/healthz` and `/readyz`.

mod histogram;
mod http;
mod text;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::serve::Shared;
use crate::snapshot::{Relay, Snapshot};
use http::{Answer, Status};

pub use histogram::Histogram;

/// Connections at once. Further ones wait to be accepted.
const MOST_CONNECTIONS: usize = 16;

/// How long one connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait when there is no file for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens.
///
/// # Errors
/// When the address cannot be bound.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("cannot listen on --metrics {address}"))
}

/// Answers until the runtime ends.
pub async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let _place = place;
            let _ = timeout(TIMEOUT, connection(&shared, stream)).await;
        });
    }
}

async fn connection(shared: &Shared, mut stream: TcpStream) {
    let answer = match http::path(&mut stream).await {
        Ok(path) => match &*path {
            "/metrics" => Answer::metrics(metrics(shared)),
            "/healthz" => Answer::plain(Status::Ok, "ok"),
            "/readyz" if shared.lock().is_ready() => Answer::plain(Status::Ok, "ready"),
            "/readyz" => Answer::plain(
                Status::Unavailable,
                "--state is too far behind to take names",
            ),
            _ => Answer::plain(
                Status::NotFound,
                "not found. Try /metrics, /healthz or /readyz",
            ),
        },
        Err(answer) => answer,
    };
    answer.send(&mut stream).await;
}

fn metrics(shared: &Shared) -> String {
    let Snapshot {
        names,
        stats,
        relay,
        ..
    } = Snapshot::of(shared);
    let mut text = text::Text::default();
    text.gauge("names", "Names that are registered now.", names as u64);
    text.counter(
        "bindings_total",
        "Binding requests answered.",
        stats.bindings,
    );
    text.counter(
        "registrations_total",
        "Registrations and refreshes accepted.",
        stats.registrations,
    );
    text.counter("connects_total", "Introductions begun.", stats.connects);
    text.counter(
        "introduced_total",
        "Introductions that the callee has acknowledged.",
        stats.introduced,
    );
    text.counter(
        "refused_total",
        "Requests refused with an error answer.",
        stats.refused,
    );
    text.counters(
        "dropped_total",
        "Datagrams dropped, by reason.",
        "reason",
        &[
            ("garbage", stats.garbage),
            ("ignored", stats.ignored),
            ("over_rate", stats.limited),
            ("answer_too_long", stats.too_short),
        ],
    );
    text.counter(
        "made_room_total",
        "Introductions and TCP connections ended to make room.",
        stats.made_room,
    );
    if let Some(Relay {
        in_use,
        stats: relay,
    }) = relay
    {
        text.gauge(
            "relay_allocations",
            "Relayed addresses in use.",
            in_use as u64,
        );
        text.counter(
            "relay_allocations_total",
            "Relayed addresses given.",
            relay.allocations,
        );
        text.counter(
            "relay_packets_total",
            "Payloads relayed, both ways.",
            relay.packets,
        );
        text.counter("relay_bytes_total", "Bytes of these payloads.", relay.bytes);
        text.counter(
            "relay_refused_total",
            "Requests to the relay refused.",
            relay.refused,
        );
        text.counters(
            "relay_dropped_total",
            "Payloads dropped, by reason.",
            "reason",
            &[
                ("over_rate", relay.over_rate),
                ("unpermitted", relay.unpermitted),
            ],
        );
    }
    text.histogram(
        "datagram_seconds",
        "Time from the arrival of a datagram until it is handled, without the wait for --state.",
        &shared.latency,
    );
    text.finish()
}

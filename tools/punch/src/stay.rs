//! Staying connected: keepalives, and another attempt when they are not answered.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use cli::cause::Explained;
use cli::head::timed;
use nat::plan::Role;
use net::drive::Traffic;
use peer_proto::endpoint::Event;
use peer_proto::improvement::Improvement;
use peer_proto::punch::Path;
use serde_json::{Value, json};

use crate::attempt::{Attempt, Ended};
use crate::report::Outcome;

/// Keeps the path until a signal ends it, such as Ctrl-C; returns how it stood
/// then.
///
/// # Errors
/// When the socket fails.
pub async fn stay<W: FnMut(Traffic<'_>)>(
    attempt: &mut Attempt<'_, W>,
    mut last: Ended,
) -> anyhow::Result<Ended> {
    let (Outcome::Connected(path), Some(introduction)) = (&last.outcome, &attempt.introduction)
    else {
        return Ok(last);
    };
    let (mut path, peer) = (Some(*path), introduction.peer.clone());
    let mut role = introduction.role;
    let calls = role == Role::Caller;
    let lifetime = attempt.stored.and_then(|report| report.lifetime);
    let keepalive = attempt.args.keepalive;
    let interval = lifetime.map_or(keepalive, |lifetime| keepalive.min(lifetime / 2));
    let events = Events {
        start: attempt.start,
        json: attempt.args.json,
    };
    if let Some(path) = path {
        events.print(
            json!({"event": "connected", "path": path, "relayed": path.relayed}),
            format_args!("connected to {peer} at {}", path.remote),
        );
    }
    let mut keepalives = Keepalives::new(Instant::now(), interval);
    // The path that an introduction has put in doubt, and when a relayed one is improved on.
    let (mut before, mut improvement) = (None, Improvement::default());
    let improves = !attempt.args.paths.relay_only;
    if let Some(path) = path.filter(|_| improves) {
        improvement.connected(Instant::now(), !path.relayed, role);
    }
    loop {
        let improve_at = improvement.poll_timeout().filter(|_| path.is_some());
        let improve = async {
            match improve_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            event = attempt.driver.next() => event.context("the socket failed")?,
            () = tokio::time::sleep_until(keepalives.next.into()) => {
                let now = Instant::now();
                let endpoint = attempt.driver.endpoint_mut();
                let lost = keepalives.is_lost(now, endpoint.heard(&peer));
                if lost && path.take().is_some() {
                    events.print(
                        json!({"event": "lost"}),
                        format_args!("the path to {peer} is lost; punching again"),
                    );
                    // Our own address may have changed.
                    endpoint.refresh(now);
                    if calls {
                        endpoint.call(now, &peer);
                    }
                } else if path.is_some() {
                    endpoint.beat(now, &peer);
                }
                continue;
            }
            () = improve => {
                let now = Instant::now();
                if improvement.is_due(now) {
                    let server = attempt.driver.server();
                    // --nat takes a stored report in place of a measurement.
                    if attempt.stored.is_none() {
                        attempt.surroundings.measure_if_old(now, server);
                    }
                    attempt.driver.endpoint_mut().call(now, &peer);
                }
                continue;
            }
            event = attempt.surroundings.next() => {
                if let Some(from) = attempt.surroundings_changed(event)? {
                    events.print(
                        json!({"event": "roamed", "from": from}),
                        format_args!("another network, where our address is {from}; punching again"),
                    );
                    (path, before) = (None, None);
                    // The peer does not know yet that the path is broken.
                    attempt.driver.endpoint_mut().call(Instant::now(), &peer);
                }
                continue;
            }
            server = attempt.lookup.next() => {
                attempt.server_moved(server);
                continue;
            }
            () = attempt.signals.ended() => {
                if let Some(path) = path {
                    last.outcome = Outcome::Connected(path);
                }
                return Ok(last);
            }
        };
        match event {
            Event::Registered(mapped) => {
                events.print(
                    json!({"event": "registered", "mapped": mapped}),
                    format_args!("registered again, seen at {mapped}"),
                );
                let (server, port) = (attempt.driver.server(), attempt.driver.port(0));
                attempt.surroundings.registered(server, port, mapped);
                // The path leads to our old address.
                attempt.driver.endpoint_mut().call(Instant::now(), &peer);
            }
            Event::KeyRotated { peer, before, now } => {
                let followed = attempt.followed(&peer, &before, &now)?;
                events.print(json!({"event": "key_rotated", "peer": peer}), followed);
            }
            Event::Introduced { role: ours, .. } => {
                role = ours;
                before = path.take();
            }
            Event::Connected { path: new, .. } => {
                path = Some(new);
                let now = Instant::now();
                keepalives = Keepalives::new(now, interval);
                if improves {
                    improvement.connected(now, !new.relayed, role);
                }
                if before
                    .take()
                    .is_some_and(|before| is_same_relayed(&before, &new))
                {
                    // A direct path was looked for.
                    continue;
                }
                let how = if new.relayed { "relayed" } else { "directly" };
                events.print(
                    json!({"event": "connected", "path": new, "relayed": new.relayed}),
                    format_args!("connected to {peer} at {}, {how}", new.remote),
                );
            }
            Event::Failed { cause, .. } => {
                let text = Explained(&cause);
                events.print(json!({"event": "failed", "cause": text}), text);
                last = Ended::now(Outcome::Failed(cause));
                if calls {
                    attempt.driver.endpoint_mut().call(Instant::now(), &peer);
                }
            }
            event @ (Event::OtherServerKey(_)
            | Event::ServerSilent
            | Event::ServerAnswers
            | Event::NoRelay { .. }) => {
                attempt.note(event)?;
            }
            _ => {}
        }
    }
}

/// Whether both are the same path through a relay.
fn is_same_relayed(one: &Path, other: &Path) -> bool {
    one.relayed && other.relayed && (one.via, one.remote) == (other.via, other.remote)
}

/// When the next keepalive is due, and whether the peer answers them.
struct Keepalives {
    interval: Duration,
    next: Instant,
    unanswered: u32,
}

impl Keepalives {
    /// A keepalive that was not answered is repeated after this time.
    const REPEAT: Duration = Duration::from_millis(300);

    /// This many repetitions in a row without an answer are a lost path: a path is
    /// lost about a second after the first keepalive that gets no answer.
    const REPETITIONS: u32 = 3;

    fn new(now: Instant, interval: Duration) -> Self {
        Keepalives {
            interval,
            next: now + interval,
            unanswered: 0,
        }
    }

    /// Whether the path is lost, at the time that a keepalive is due; `heard` is
    /// when the peer last answered.
    fn is_lost(&mut self, now: Instant, heard: Option<Instant>) -> bool {
        let answered = heard.is_some_and(|heard| heard + self.interval > now - Self::REPEAT);
        (self.unanswered, self.next) = match answered {
            true => (0, now + self.interval),
            false => (self.unanswered + 1, now + Self::REPEAT),
        };
        self.unanswered > Self::REPETITIONS
    }
}

/// Prints what happens, one line for each event.
struct Events {
    start: Instant,
    json: bool,
}

impl Events {
    fn print(&self, mut event: Value, text: impl std::fmt::Display) {
        let at = self.start.elapsed().as_secs_f64();
        event["at_s"] = json!((at * 1000.0).round() / 1000.0);
        let line = match self.json {
            true => timed(event).to_string(),
            false => format!("{at:8.1} s  {text}"),
        };
        // That nobody reads any more is no reason to leave the peer.
        let _ = writeln!(std::io::stdout(), "{line}");
        let _ = std::io::stdout().flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    #[test]
    fn a_peer_that_answers_gets_a_keepalive_each_interval() {
        let mut now = Instant::now();
        let mut keepalives = Keepalives::new(now, INTERVAL);
        for _ in 0..10 {
            assert_eq!(keepalives.next, now + INTERVAL);
            now = keepalives.next;
            let answer = now - INTERVAL + Duration::from_millis(50);
            assert!(!keepalives.is_lost(now, Some(answer)));
        }
    }

    #[test]
    fn a_path_is_lost_when_a_keepalive_and_three_repetitions_are_not_answered() {
        let start = Instant::now();
        let mut keepalives = Keepalives::new(start, INTERVAL);
        // The peer answered just before it lost its network, and not since.
        let heard = start + Duration::from_millis(50);
        let mut checks = 0;
        let lost_at = loop {
            let now = keepalives.next;
            checks += 1;
            if keepalives.is_lost(now, Some(heard)) {
                break now - start;
            }
            assert!(checks < 10, "the path is never lost");
        };
        // One interval was answered; the next keepalive was not.
        assert_eq!(checks, 5);
        assert_eq!(lost_at, INTERVAL * 2 + Keepalives::REPEAT * 3);
    }

    #[test]
    fn one_answer_keeps_the_path() {
        let start = Instant::now();
        let mut keepalives = Keepalives::new(start, INTERVAL);
        for _ in 0..3 {
            assert!(!keepalives.is_lost(keepalives.next, None));
        }
        let now = keepalives.next;
        assert!(!keepalives.is_lost(now, Some(now)));
        assert_eq!(keepalives.next, now + INTERVAL);
        assert!(!keepalives.is_lost(keepalives.next, None));
    }
}

//! Staying connected: signs of life, and the path punched anew when they stop.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context;
use cli::cause::Explained;
use nat::plan::Role;
use net::drive::Traffic;
use peer_proto::endpoint::Event;
use serde_json::{Value, json};

use crate::attempt::{Attempt, granted};
use crate::report::Outcome;

/// A sign of life that was not answered is asked for again after this, and so
/// many unanswered ones are a lost path: it takes a second to tell.
const AGAIN: Duration = Duration::from_millis(300);
const UNANSWERED: u32 = 3;

impl<W: FnMut(Traffic<'_>)> Attempt<'_, W> {
    /// Until a signal ends it, such as Ctrl-C; how it stood then.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn stay(
        &mut self,
        outcome: Outcome,
        at: Instant,
    ) -> anyhow::Result<(Outcome, Instant)> {
        let (Outcome::Connected(path), Some(peer)) = (&outcome, self.peer.clone()) else {
            return Ok((outcome, at));
        };
        let calls = self.plan.is_some_and(|(role, _)| role == Role::Caller);
        let lifetime = self.known.as_ref().and_then(|report| report.lifetime);
        let pause = lifetime.map_or(self.args.keepalive, |l| self.args.keepalive.min(l / 2));
        let mut current = Some(*path);
        self.say(
            json!({"event": "connected", "path": path, "relayed": path.relayed}),
            || format!("connected to {peer} at {}", path.remote),
        );
        let mut beats = 0;
        let mut next = Instant::now() + pause;
        let mut last = (outcome.clone(), at);
        loop {
            let event = tokio::select! {
                event = self.session.next() => event.context("the socket failed")?,
                () = tokio::time::sleep_until(next.into()) => {
                    let now = Instant::now();
                    let endpoint = self.session.endpoint_mut();
                    let heard = endpoint.heard(&peer);
                    let alive = heard.is_some_and(|heard| heard + pause > now - AGAIN);
                    beats = if alive { 0 } else { beats + 1 };
                    if current.is_some() && beats > UNANSWERED {
                        current = None;
                        self.say(json!({"event": "lost"}), || {
                            format!("the path to {peer} is lost; punching anew")
                        });
                        let endpoint = self.session.endpoint_mut();
                        // It may be our own address that has changed.
                        endpoint.refresh(now);
                        if calls {
                            endpoint.call(now, &peer);
                        }
                    } else if current.is_some() {
                        endpoint.beat(now, &peer);
                    }
                    next = now + if beats > 0 { AGAIN } else { pause };
                    continue;
                }
                event = granted(&mut self.lease) => {
                    self.opened(event);
                    continue;
                }
                () = self.signals.ended() => {
                    return Ok(match current {
                        Some(path) => (Outcome::Connected(path), last.1),
                        None => last,
                    });
                }
            };
            match event {
                Event::Registered(mapped) => self
                    .say(json!({"event": "registered", "mapped": mapped}), || {
                        format!("seen at {mapped} now")
                    }),
                Event::Introduced { .. } => current = None,
                Event::Connected { path, .. } => {
                    current = Some(path);
                    beats = 0;
                    next = Instant::now() + pause;
                    let how = if path.relayed { "relayed" } else { "directly" };
                    self.say(
                        json!({"event": "connected", "path": path, "relayed": path.relayed}),
                        || format!("connected to {peer} at {}, {how}", path.remote),
                    );
                }
                Event::Failed { cause, .. } => {
                    self.say(
                        json!({"event": "failed", "cause": Explained(&cause)}),
                        || Explained(&cause).to_string(),
                    );
                    last = (Outcome::Failed(cause), Instant::now());
                    if calls {
                        self.session.endpoint_mut().call(Instant::now(), &peer);
                    }
                }
                _ => {}
            }
        }
    }

    /// One line, for people or for programs.
    fn say(&self, mut event: Value, text: impl Fn() -> String) {
        let at = self.start.elapsed().as_secs_f64();
        event["at_s"] = json!((at * 1000.0).round() / 1000.0);
        let line = match self.args.json {
            true => event.to_string(),
            false => format!("{at:8.1} s  {}", text()),
        };
        // Whoever reads may have read enough.
        let _ = writeln!(std::io::stdout(), "{line}");
        let _ = std::io::stdout().flush();
    }
}

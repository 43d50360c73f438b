//! Load for the lab's test of a rendezvous among strangers: an honest client that counts
//! what it notices, and attackers.
//!
//!     strangers client SERVER ADDRESS SECONDS [relay]
//!     strangers attack KIND SERVER ADDRESS PREFIXES RATE SECONDS
//!
//! The client, at ADDRESS, prints a line for each thing that it asks for: how often it asked, how
//! often it got it, the median time in milliseconds, and the error codes that came back.
//!
//! The attackers send RATE messages a second from each of PREFIXES prefixes, of which ADDRESS is in
//! the first, for SECONDS or until their stdin ends. KIND is one of `names`, `introductions`,
//! `hellos`, `bindings`, `garbage`, `streams` and `relay`. They print `begun`, and at the end what
//! they sent, and the error codes that came back.

mod attack;
mod client;
mod registrant;

use std::error::Error;
use std::time::Duration;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let time = |seconds: &str| seconds.parse().map(Duration::from_secs_f64);
    match words[..] {
        ["client", server, address, seconds] => {
            client::run(server.parse()?, address.parse()?, time(seconds)?, false)
        }
        ["client", server, address, seconds, "relay"] => {
            client::run(server.parse()?, address.parse()?, time(seconds)?, true)
        }
        ["attack", kind, server, first, prefixes, rate, seconds] => attack::run(
            kind,
            attack::Plan {
                server: server.parse()?,
                first: first.parse()?,
                prefixes: prefixes.parse()?,
                rate: rate.parse()?,
                time: time(seconds)?,
            },
        ),
        _ => Err("see the head of this file for its arguments".into()),
    }
}

//! The bodies of the fuzz targets: each takes any bytes and panics if something is wrong.
//!
//! `fuzz/` calls them under libFuzzer with AddressSanitizer, and `tests/corpus.rs` calls them with each
//! file of `fuzz/corpus`, so that what a fuzzer has found is tested with everything else.
//!
//! A parser's target reads the bytes as the parser's input, and writes again what was read. A state
//! machine's target reads them as a sequence of steps (datagrams, valid requests, time that passes) and
//! checks after each step what docs/security.md and docs/reference/limits.md promise.

mod chat;
mod differential;
mod discover;
mod input;
mod journeys;
mod kernel;
mod lease;
mod parsers;
mod peer;
mod server;
mod tcp;
mod texts;

/// A target takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by name: `fuzz/fuzz_targets` and `fuzz/corpus` have the same names.
pub const TARGETS: [(&str, Target); 27] = [
    ("account", parsers::account),
    ("candidates", parsers::candidates),
    ("capture_frame", parsers::capture_frame),
    ("chat_conversation", chat::conversation),
    ("chat_frame", chat::frame),
    ("discover", discover::discover),
    ("gateway_answers", parsers::gateway_answers),
    ("gateway_lease", lease::lease),
    ("home_files", texts::home_files),
    ("icmp", parsers::icmp),
    ("journeys", journeys::journeys),
    ("labreport", texts::labreport),
    ("nattrace_connection", kernel::connection),
    ("nattrace_elements", kernel::elements),
    ("nattrace_message", kernel::message),
    ("nattrace_report", kernel::report),
    ("peer_endpoint", peer::endpoint),
    ("peer_tcp", tcp::agent),
    ("relay", server::relay),
    ("rendezvous", server::rendezvous),
    ("sealed", parsers::sealed),
    ("share", parsers::share),
    ("stun_classic", parsers::stun_classic),
    ("stun_differential", differential::both_readers),
    ("stun_message", parsers::stun_message),
    ("stun_stream", parsers::stun_stream),
    ("turn", parsers::turn),
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.map(|(_, target)| *target)
}

pub use differential::{Difference, SECRET, compare, reflexive};

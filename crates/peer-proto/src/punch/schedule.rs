//! When to send what.

use std::time::Duration;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Probes to one candidate, after the moment that it may be probed: nine in
/// four seconds. Early ones close together, since both sides start together.
pub const PROBES: [Duration; 9] = [
    ms(0),
    ms(33),
    ms(66),
    ms(133),
    ms(266),
    ms(533),
    ms(1000),
    ms(2000),
    ms(4000),
];

/// How long after the last probe an answer is waited for.
pub const LAST_WAIT: Duration = ms(1000);

/// Nominations, until one is answered. The path is proved, so they may be
/// closer together than probes into the dark.
pub const NOMINATIONS: [Duration; 12] = [
    ms(0),
    ms(33),
    ms(66),
    ms(133),
    ms(266),
    ms(400),
    ms(600),
    ms(800),
    ms(1000),
    ms(1250),
    ms(1500),
    ms(1750),
];

/// How long a proved path has, at least, until its nomination is answered:
/// with every third packet lost each way, one in 3,000 needs more.
pub const NOMINATION_END: Duration = ms(2000);

/// What the caller repeats once it is connected, so that the target need not
/// wait for a nomination that may be sent again.
pub const CONFIRMATIONS: [Duration; 3] = [ms(0), ms(15), ms(40)];

/// How long the target stays to answer nominations, after the last that it
/// heard, if no confirmation comes.
pub const LINGER: Duration = ms(1000);

/// How long a LAN path is waited for, when the two seem to be on one LAN.
pub const LAN_HEAD_START: Duration = ms(50);

/// How long a relayed path waits for a direct one that should come.
pub const DIRECT_HEAD_START: Duration = ms(300);

/// The target holds its full-TTL probes for this and two round trips: by then
/// the caller's opener has left, and nothing of ours reaches a NAT that has
/// not seen an outgoing packet (a bare Linux masquerade would remap).
pub const HOLD: Duration = ms(50);

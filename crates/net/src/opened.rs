//! The sockets that this process opens, told as they are opened.
//!
//! Who captures packets has to know which of them are its own: those of a measurement, of a
//! request to the gateway, of an attempt by TCP. They are opened in many places, some for
//! less than a millisecond, so that looking for them later would be too late.

use std::sync::OnceLock;

/// A socket that has just been opened, by its local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// For UDP.
    Udp(u16),
    /// For TCP.
    Tcp(u16),
}

type Witness = Box<dyn Fn(Opened) + Send + Sync>;

static WITNESS: OnceLock<Witness> = OnceLock::new();

/// From now on, `witness` is told of each socket before its first packet, on the thread that
/// opens it. There is one witness in a process: a later one is not heard.
///
/// Sockets that libraries open are not told: those of the system, for names, and those of
/// the UPnP client.
pub fn witness(witness: impl Fn(Opened) + Send + Sync + 'static) {
    let _ = WITNESS.set(Box::new(witness));
}

pub(crate) fn tell(opened: Opened) {
    if let Some(witness) = WITNESS.get() {
        witness(opened);
    }
}

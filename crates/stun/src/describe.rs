//! A phrase for people that describes a datagram.

use std::fmt::Write;

use crate::{Class, Icmp, Message, Method, code};

/// Describes a datagram in a few words; `None` if it is not a message that [`Message::parse`] takes.
///
/// ```
/// let request = stun::binding_request([7; 12], None);
/// assert_eq!(stun::describe(&request).unwrap(), "binding request");
/// assert_eq!(stun::describe(b"hello"), None);
/// ```
pub fn describe(datagram: &[u8]) -> Option<String> {
    let message = Message::parse(datagram).ok()?;
    let mut text = String::from(message.method().name());
    text.push_str(match message.class() {
        Class::Request => " request",
        Class::Indication => " indication",
        Class::Success => " answer",
        Class::Error => " error",
    });
    if message.method() == Method::Probe {
        // Enough to find the same packet at its two ends.
        let id = hex::encode(&message.transaction()[..3]);
        let _ = write!(text, " {id}");
        if message.measure().is_some() {
            text.push_str(", measures");
        }
        if message.use_candidate() {
            text.push_str(match message.class() {
                Class::Indication => ", confirms",
                _ => ", nominates",
            });
        }
    }
    if let Some(change) = message.change_request() {
        text.push_str(match (change.ip, change.port) {
            (true, true) => ", answer from the other address and port",
            (true, false) => ", answer from the other address",
            (false, true) => ", answer from the other port",
            (false, false) => "",
        });
    }
    if message.is(Class::Request, Method::Binding) && message.bounced().is_some() {
        text.push_str(", asks for ICMP errors");
    }
    if let Some(Icmp { kind, code }) = message.icmp() {
        let _ = write!(text, ", reports ICMP {kind}/{code}");
    }
    if let Some(name) = message.name() {
        let _ = write!(text, " of {}", printable(name));
    }
    if message.is(Class::Request, Method::Register) && message.lifetime() == Some(0) {
        text.push_str(", leaves");
    }
    if let Some(name) = message.peer_name() {
        let _ = write!(text, " for {}", printable(name));
    }
    if let Some(error) = message.error() {
        let _ = write!(text, " {error} {}", code::reason(error));
    }
    if let Some(mapped) = message.mapped() {
        let _ = write!(text, ", reflexive address {mapped}");
    }
    if let Some(peer) = message.peer_address() {
        let _ = write!(text, ", peer at {peer}");
    }
    Some(text)
}

/// At most 32 characters of a name, without control characters: it goes to a terminal.
fn printable(name: &str) -> String {
    name.chars()
        .take(32)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

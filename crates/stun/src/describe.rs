//! One phrase for people: what is this packet?

use std::fmt::Write;

use crate::{Class, Icmp, Message, Method, code};

/// What a datagram is, in a few words, or `None` if it is not one of ours.
///
/// ```
/// let request = stun::binding_request([7; 12], None);
/// assert_eq!(stun::describe(&request).unwrap(), "binding request");
/// assert_eq!(stun::describe(b"hello"), None);
/// ```
pub fn describe(datagram: &[u8]) -> Option<String> {
    let message = Message::parse(datagram).ok()?;
    let mut text = String::from(message.method().word());
    text.push_str(match message.class() {
        Class::Request => " request",
        Class::Indication => " indication",
        Class::Success => " answer",
        Class::Error => " error",
    });
    if message.method() == Method::Probe {
        // Long enough to join two ends of a packet by eye.
        let [a, b, c, ..] = message.transaction();
        let _ = write!(text, " {a:02x}{b:02x}{c:02x}");
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
            (true, true) => ", answer from your other address and port",
            (true, false) => ", answer from your other address",
            (false, true) => ", answer from your other port",
            (false, false) => "",
        });
    }
    if message.is(Class::Request, Method::Binding) && message.bounced().is_some() {
        text.push_str(", what came back?");
    }
    if let Some(Icmp { kind, code }) = message.icmp() {
        let _ = write!(text, ", ICMP {kind}/{code} came back");
    }
    if let Some(name) = message.name() {
        let _ = write!(text, " of {}", printable(name));
    }
    if message.is(Class::Request, Method::Register) && message.lifetime() == Some(0) {
        text.push_str(", who leaves");
    }
    if let Some(name) = message.peer_name() {
        let _ = write!(text, " for {}", printable(name));
    }
    if let Some(error) = message.error() {
        let _ = write!(text, " {error} {}", code::reason(error));
    }
    if let Some(mapped) = message.mapped() {
        let _ = write!(text, ", you are {mapped}");
    }
    if let Some(peer) = message.peer_address() {
        let _ = write!(text, ", peer at {peer}");
    }
    Some(text)
}

/// Names come from the network and go to a terminal.
fn printable(name: &str) -> String {
    name.chars()
        .take(32)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

//! What the crate `fuzzing` calls: bytes as the kernel sends them.

use crate::kernel::{self, Element, Set};
use crate::table;

/// Shows a set or map of these types with these elements: key and value.
pub fn elements(key_type: u32, data_type: u32, name: &str, elements: &[(&[u8], &[u8])]) {
    let set = Set {
        name: name.to_owned(),
        key_type,
        data_type,
        ..Set::default()
    };
    let element = |(key, data): &(&[u8], &[u8])| Element {
        key: key.to_vec(),
        data: data.to_vec(),
        ..Element::default()
    };
    let elements: Vec<_> = elements.iter().map(element).collect();
    table::page_of(&set, &elements, &[]);
}

/// Reads the attributes of a tracked connection, and shows the connection.
pub fn connection(attributes: &[u8]) {
    if let Some(flow) = kernel::udp_flow(attributes) {
        table::page_of(&Set::default(), &[], &[flow]);
    }
}

/// Reads a netlink message by libnftnl, as each kind of message that is asked for, and shows it as
/// elements of a set of these types. The length in its header is made right, as the kernel's is.
pub fn message(key_type: u32, data_type: u32, message: &[u8]) {
    #[repr(align(8))]
    struct Aligned([u8; 4096]);
    let mut aligned = Aligned([0; 4096]);
    let length = message.len().clamp(20, 4096);
    let given = message.len().min(length);
    aligned.0[..given].copy_from_slice(&message[..given]);
    aligned.0[..4].copy_from_slice(&(length as u32).to_ne_bytes());
    let elements = kernel::parse(&aligned.0[..length]);
    let set = Set {
        key_type,
        data_type,
        ..Set::default()
    };
    table::page_of(&set, &elements, &[]);
}

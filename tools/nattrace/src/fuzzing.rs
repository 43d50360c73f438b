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

/// Reads these attributes by libnftnl, as those of a message of this kind (a table, a set, elements, an
/// object, a rule), and shows the elements in it as those of a set of these types. The attributes are
/// well formed: libnftnl ends the process for others, because the kernel sends none.
pub fn message(kind: u8, key_type: u32, data_type: u32, attributes: &[u8]) {
    const HEADERS: usize = 20;
    #[repr(align(8))]
    struct Aligned([u8; 8192]);
    let mut aligned = Aligned([0; 8192]);
    let length = HEADERS + attributes.len();
    let Some(place) = aligned.0.get_mut(HEADERS..length) else {
        return;
    };
    place.copy_from_slice(attributes);
    aligned.0[..4].copy_from_slice(&(length as u32).to_ne_bytes());
    let elements = kernel::parse(kind, &aligned.0[..length]).unwrap_or_default();
    let set = Set {
        key_type,
        data_type,
        ..Set::default()
    };
    table::page_of(&set, &elements, &[]);
}

/// Reads a message of NFLOG.
pub fn report(message: &[u8]) {
    netfilter::parse_report(message);
}

//! The attributes of netlink messages (`linux/netlink.h`).

/// `struct nlmsghdr` and `struct nfgenmsg`.
pub const HEADERS: usize = 20;

/// The flag of an attribute whose value is attributes.
const NESTED: u16 = 1 << 15;

/// The value of the first attribute of this kind. An attribute is its length with the header of 4
/// (u16), its kind (u16, the two highest bits are flags), its value, and padding to 4.
pub fn value(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [l0, l1, k0, k1, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let content = attributes.get(4..length)?;
        if u16::from_ne_bytes([k0, k1]) & 0x3fff == wanted {
            return Some(content);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// An attribute with this value.
pub fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + content.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute whose value is these attributes.
pub fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &attributes.concat())
}

/// An attribute whose value is a text, with a NUL at its end.
pub fn text(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

/// A netfilter message: header, `struct nfgenmsg`, attributes. `resource` is its resource id.
pub fn message(
    kind: u16,
    flags: i32,
    family: u8,
    resource: u16,
    attributes: &[Vec<u8>],
) -> Vec<u8> {
    let mut message = vec![0; 16];
    message.extend([family, 0]);
    message.extend(resource.to_be_bytes());
    message.extend(attributes.concat());
    let length = message.len() as u32;
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
    message
}

/// The messages that were received together: each begins with its length (u32).
pub fn messages(mut received: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*received.first_chunk()?) as usize;
        let message = received.get(..length).filter(|_| length >= 16)?;
        received = received
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
        Some(message)
    })
}

/// Of an acknowledgement or an error: its number, 0 for success.
pub fn errno(message: &[u8]) -> Option<i32> {
    let kind = message.get(4..6)?;
    if kind != (nix::libc::NLMSG_ERROR as u16).to_ne_bytes() {
        return None;
    }
    Some(-i32::from_ne_bytes(*message.get(16..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found_again() {
        let attributes = [text(1, "punch"), nested(4, &[attribute(2, &[7])])].concat();
        assert_eq!(value(&attributes, 1), Some(&b"punch\0"[..]));
        assert_eq!(value(value(&attributes, 4).unwrap(), 2), Some(&[7][..]));
        assert_eq!(value(&attributes, 9), None);
        assert_eq!(value(&[3, 0, 1, 0], 1), None, "shorter than its header");
    }
}

//! The blocks of a pcapng file, in little endian.

use std::io::{self, Write};
use std::net::IpAddr;

pub(super) const COMMENT: u16 = 1;
pub(super) const IF_NAME: u16 = 2;
pub(super) const EPB_FLAGS: u16 = 2;
pub(super) const IF_DESCRIPTION: u16 = 3;
pub(super) const IF_TSRESOL: u16 = 9;
const SHB_USERAPPL: u16 = 4;

/// A block without its length, which is at both ends of it.
#[derive(Debug)]
pub(super) struct Block {
    kind: u32,
    body: Vec<u8>,
}

/// The options at the end of a block.
#[derive(Debug, Default)]
pub(super) struct Options(Vec<u8>);

impl Options {
    /// Adds a text; one that is longer than an option can be is cut.
    pub(super) fn text(&mut self, code: u16, text: &str) {
        let mut end = text.len().min(usize::from(u16::MAX));
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes(code, &text.as_bytes()[..end]);
    }

    /// Adds bytes, at most 65,535.
    pub(super) fn bytes(&mut self, code: u16, value: &[u8]) {
        self.0.extend(code.to_le_bytes());
        self.0.extend((value.len() as u16).to_le_bytes());
        self.0.extend(value);
        pad(&mut self.0);
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes(0, &[]);
        self.0
    }
}

impl Block {
    /// A section header.
    pub(super) fn section() -> Self {
        let mut options = Options::default();
        options.text(SHB_USERAPPL, "Pinhole nattrace");
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]); // version 1.0
        body.extend((-1_i64).to_le_bytes()); // the length of the section is not given
        body.extend(options.end());
        Self {
            kind: 0x0a0d_0d0a,
            body,
        }
    }

    /// An interface, with packets of any length.
    pub(super) fn interface(link: u16, options: Options) -> Self {
        let mut body = link.to_le_bytes().to_vec();
        body.extend([0; 6]);
        body.extend(options.end());
        Self { kind: 1, body }
    }

    /// Addresses and their names.
    pub(super) fn names(names: &[(IpAddr, &str)]) -> Self {
        let mut records = Options::default();
        for (address, name) in names {
            let (kind, mut value) = match address {
                IpAddr::V4(v4) => (1, v4.octets().to_vec()),
                IpAddr::V6(v6) => (2, v6.octets().to_vec()),
            };
            value.extend(name.bytes().filter(|byte| *byte != 0));
            value.push(0);
            records.bytes(kind, &value);
        }
        Self {
            kind: 4,
            body: records.end(),
        }
    }

    /// A packet of `len` bytes, of which `bytes` are there.
    pub(super) fn packet(
        interface: u32,
        time: u64,
        bytes: &[u8],
        len: usize,
        options: Options,
    ) -> Self {
        let mut body = interface.to_le_bytes().to_vec();
        body.extend(((time >> 32) as u32).to_le_bytes());
        body.extend((time as u32).to_le_bytes());
        body.extend((bytes.len() as u32).to_le_bytes());
        body.extend((len as u32).to_le_bytes());
        body.extend(bytes);
        pad(&mut body);
        body.extend(options.end());
        Self { kind: 6, body }
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let len = (self.body.len() as u32 + 12).to_le_bytes();
        out.write_all(&self.kind.to_le_bytes())?;
        out.write_all(&len)?;
        out.write_all(&self.body)?;
        out.write_all(&len)
    }
}

/// Fills up to a multiple of four bytes.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

//! A table of rules that exists as long as we have its socket (nf_tables: NFT_TABLE_F_OWNER).

use std::io;

use nix::libc;

use crate::attributes::{attribute, message, nested, text};
use crate::socket::Socket;

/// Our table. The kernel removes it when this is dropped, and when the process ends in any way.
#[derive(Debug)]
pub struct Table {
    /// The kernel gives the table to whoever has this socket.
    _owner: Socket,
}

/// Where a chain sees packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// What comes in, before anything is decided.
    Prerouting = 0,
    /// What is for this host.
    Input = 1,
    /// What is for another host, and passes this one.
    Forward = 2,
    /// What this host sends.
    Output = 3,
    /// What leaves.
    Postrouting = 4,
}

/// A chain that reports each UDP packet to an NFLOG group, and decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its name, which is also the prefix of the reports.
    pub name: &'static str,
    /// Where.
    pub hook: Hook,
    /// The chains of a hook see a packet in the order of their priorities.
    pub priority: i32,
}

// linux/netfilter/nfnetlink.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
// linux/netfilter/nf_tables.h
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;
const OWNER: u32 = 2;
const ACCEPT: u32 = 1;
const REGISTER_1: u32 = 1;
const L4PROTO: u32 = 16;
const EQUAL: u32 = 0;
const INET: u8 = 1;

/// Bytes of each packet that are reported: all headers, and every message of a punch.
const REPORTED: u32 = 1024;

impl Table {
    /// Makes a table of these chains.
    ///
    /// # Errors
    /// `EPERM`: CAP_NET_ADMIN is missing. `EEXIST`: there is a table of that name. `EOPNOTSUPP`,
    /// `EINVAL`: the kernel is older than 5.12, or has no nf_tables.
    pub fn load(name: &str, chains: &[Chain], group: u16) -> io::Result<Table> {
        let mut owner = Socket::open()?;
        owner.request(&batch(name, chains, group))?;
        Ok(Table { _owner: owner })
    }
}

/// All messages that make the table: the kernel carries out all of them, or none.
fn batch(name: &str, chains: &[Chain], group: u16) -> Vec<u8> {
    let request = libc::NLM_F_REQUEST;
    let new = request | libc::NLM_F_CREATE;
    let mut batch = message(BATCH_BEGIN, request, 0, NFTABLES, &[]);
    let table = [text(1, name), attribute(2, &OWNER.to_be_bytes())];
    let alone = new | libc::NLM_F_EXCL;
    batch.extend(message(NEW_TABLE, alone, INET, 0, &table));
    for chain in chains {
        batch.extend(message(NEW_CHAIN, alone, INET, 0, &new_chain(name, chain)));
        let rule = [
            text(1, name),
            text(2, chain.name),
            nested(4, &report(chain, group)),
        ];
        batch.extend(message(NEW_RULE, new | libc::NLM_F_APPEND, INET, 0, &rule));
    }
    batch.extend(message(BATCH_END, request, 0, NFTABLES, &[]));
    batch
}

fn new_chain(table: &str, chain: &Chain) -> [Vec<u8>; 5] {
    let hook = [
        attribute(1, &(chain.hook as u32).to_be_bytes()),
        attribute(2, &chain.priority.to_be_bytes()),
    ];
    [
        text(1, table),
        text(3, chain.name),
        nested(4, &hook),
        attribute(5, &ACCEPT.to_be_bytes()),
        text(7, "filter"),
    ]
}

/// `meta l4proto udp log group … prefix …`.
fn report(chain: &Chain, group: u16) -> [Vec<u8>; 3] {
    let expression = |name: &str, data: &[Vec<u8>]| nested(1, &[text(1, name), nested(2, data)]);
    let number = |kind: u16, value: u32| attribute(kind, &value.to_be_bytes());
    let udp = attribute(1, &[libc::IPPROTO_UDP as u8]);
    [
        expression("meta", &[number(1, REGISTER_1), number(2, L4PROTO)]),
        expression(
            "cmp",
            &[number(1, REGISTER_1), number(2, EQUAL), nested(3, &[udp])],
        ),
        expression(
            "log",
            &[
                attribute(1, &group.to_be_bytes()),
                text(2, chain.name),
                number(3, REPORTED),
                attribute(4, &1_u16.to_be_bytes()),
            ],
        ),
    ]
}

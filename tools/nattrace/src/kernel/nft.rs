//! nf_tables: the sets, elements and counters of a table.

use std::io;

use super::Netfilter;
use super::nftnl_ffi as ffi;

/// A named set or map, without its elements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    /// nft's type number of the key, 6 bits per component.
    pub(crate) key_type: u32,
    /// The same for the values of a map; 0 for a set.
    pub(crate) data_type: u32,
    /// The timeout of an element without one of its own, in milliseconds.
    pub(crate) timeout_ms: Option<u64>,
    /// Created by nft for a single rule.
    pub(crate) anonymous: bool,
}

/// An element of a set or map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) key: Vec<u8>,
    /// The value in a map; empty in a set.
    pub(crate) data: Vec<u8>,
    /// The timeout in milliseconds, if it differs from the set's; 0: no timeout.
    pub(crate) timeout_ms: Option<u64>,
    /// Milliseconds left; `None`: no timeout.
    pub(crate) remaining_ms: Option<u64>,
}

/// A named counter, or that of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counter {
    pub(crate) name: String,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

/// A table: nft's family, by its number in linux/netfilter.h, and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableId {
    pub(crate) family: u8,
    pub(crate) name: String,
}

/// The subsystem's number is the high byte of a message's type (linux/netfilter/nfnetlink.h).
const NF_TABLES: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
const GET_TABLE: u16 = NF_TABLES | libc::NFT_MSG_GETTABLE as u16;
const GET_RULE: u16 = NF_TABLES | libc::NFT_MSG_GETRULE as u16;
const GET_SET: u16 = NF_TABLES | libc::NFT_MSG_GETSET as u16;
const GET_ELEMENTS: u16 = NF_TABLES | libc::NFT_MSG_GETSETELEM as u16;
const GET_OBJECT: u16 = NF_TABLES | libc::NFT_MSG_GETOBJ as u16;
/// The first attribute of every request is the table's name, the second that of what is in it
/// (linux/netfilter/nf_tables.h: NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE, …_SET, and so on).
const TABLE: u16 = 1;
const SET: u16 = 2;

/// The names of all tables of a family, in order.
pub(crate) fn table_names(kernel: &mut Netfilter, family: u8) -> io::Result<Vec<String>> {
    let mut names = kernel.dump(GET_TABLE, family, &[], ffi::table_name)?;
    names.sort();
    Ok(names)
}

/// All sets and maps of a table.
pub(crate) fn sets(kernel: &mut Netfilter, table: &TableId) -> io::Result<Vec<Set>> {
    kernel.dump(GET_SET, table.family, &[(TABLE, &table.name)], ffi::set)
}

/// All elements of a set or map.
pub(crate) fn elements(
    kernel: &mut Netfilter,
    table: &TableId,
    set: &str,
) -> io::Result<Vec<Element>> {
    let strings = [(TABLE, table.name.as_str()), (SET, set)];
    let parts = kernel.dump(GET_ELEMENTS, table.family, &strings, ffi::elements)?;
    Ok(parts.into_iter().flatten().collect())
}

/// All counters of a table: the named ones, then those of rules.
pub(crate) fn counters(kernel: &mut Netfilter, table: &TableId) -> io::Result<Vec<Counter>> {
    let strings = [(TABLE, table.name.as_str())];
    let named = kernel.dump(GET_OBJECT, table.family, &strings, ffi::object_counter)?;
    let rules = kernel.dump(GET_RULE, table.family, &strings, ffi::rule_counter)?;
    Ok(named.into_iter().chain(rules).flatten().collect())
}

/// Reads a message of this kind: a table, a set, elements, an object, a rule. For fuzzers.
pub(crate) fn parse(kind: u8, message: &[u8]) -> io::Result<Vec<Element>> {
    match kind % 5 {
        0 => drop(ffi::table_name(message)?),
        1 => drop(ffi::set(message)?),
        2 => return ffi::elements(message),
        3 => drop(ffi::object_counter(message)?),
        _ => drop(ffi::rule_counter(message)?),
    }
    Ok(Vec::new())
}

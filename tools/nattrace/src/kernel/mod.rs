//! The kernel's tables, read over netlink.

mod conntrack;
mod netlink;
mod nft;
mod nftnl_ffi;

pub(crate) use conntrack::{Flow, Tuple, udp_flow, udp_flows};
pub(crate) use netlink::Netfilter;
pub(crate) use nft::{
    Counter, Element, Set, TableId, counters, elements, parse, sets, table_names,
};

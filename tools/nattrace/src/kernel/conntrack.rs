//! Connection tracking, read over ctnetlink (linux/netfilter/nfnetlink_conntrack.h).

use std::io;
use std::net::{IpAddr, SocketAddr};

use netfilter::attributes::{HEADERS, value};

use super::Netfilter;

/// A tracked UDP flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flow {
    /// As in the first packet.
    pub(crate) original: Tuple,
    /// As expected in an answer. With NAT, it is not the original with its ends exchanged.
    pub(crate) reply: Tuple,
    /// Seconds until the kernel removes it.
    pub(crate) remaining_s: u32,
    /// Packets went both ways.
    pub(crate) seen_reply: bool,
    /// Packets went both ways for a while: the longer timeout applies, and it is not removed early.
    pub(crate) assured: bool,
}

/// One direction of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tuple {
    pub(crate) src: SocketAddr,
    pub(crate) dst: SocketAddr,
}

const GET_CONNTRACK: u16 = (1 << 8) | 1; // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET

const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_TIMEOUT: u16 = 7;

const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;

// linux/netfilter/nf_conntrack_common.h
const IPS_SEEN_REPLY: u32 = 1 << 1;
const IPS_ASSURED: u32 = 1 << 2;

/// All UDP flows of both address families, in order.
pub(crate) fn udp_flows(kernel: &mut Netfilter) -> io::Result<Vec<Flow>> {
    let flows = kernel.dump(GET_CONNTRACK, libc::AF_UNSPEC as u8, &[], |message| {
        Ok(message.get(HEADERS..).and_then(udp_flow))
    })?;
    let mut flows: Vec<_> = flows.into_iter().flatten().collect();
    flows.sort_unstable();
    Ok(flows)
}

/// `None`: another protocol, or an attribute is missing.
pub(crate) fn udp_flow(attributes: &[u8]) -> Option<Flow> {
    let status = u32::from_be_bytes(value(attributes, CTA_STATUS)?.try_into().ok()?);
    Some(Flow {
        original: udp_tuple(value(attributes, CTA_TUPLE_ORIG)?)?,
        reply: udp_tuple(value(attributes, CTA_TUPLE_REPLY)?)?,
        // An entry that is being removed has none.
        remaining_s: value(attributes, CTA_TIMEOUT)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_be_bytes),
        seen_reply: status & IPS_SEEN_REPLY != 0,
        assured: status & IPS_ASSURED != 0,
    })
}

fn udp_tuple(attributes: &[u8]) -> Option<Tuple> {
    let proto = value(attributes, CTA_TUPLE_PROTO)?;
    if value(proto, CTA_PROTO_NUM)? != [libc::IPPROTO_UDP as u8] {
        return None;
    }
    let ip = value(attributes, CTA_TUPLE_IP)?;
    let end = |v4, v6, port| {
        let v4 = value(ip, v4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let v6 = || value(ip, v6).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let address = v4.map(IpAddr::from).or_else(|| v6().map(IpAddr::from))?;
        let port = u16::from_be_bytes(value(proto, port)?.try_into().ok()?);
        Some(SocketAddr::new(address, port))
    };
    Some(Tuple {
        src: end(CTA_IP_V4_SRC, CTA_IP_V6_SRC, CTA_PROTO_SRC_PORT)?,
        dst: end(CTA_IP_V4_DST, CTA_IP_V6_DST, CTA_PROTO_DST_PORT)?,
    })
}

#[cfg(test)]
mod tests {
    use netfilter::attributes::{attribute, nested};
    use proptest::prelude::*;

    use super::*;

    fn tuple(kind: u16, protocol: u8, ends: [([u8; 4], u16); 2]) -> Vec<u8> {
        let [(src, sport), (dst, dport)] = ends;
        let ip = [
            attribute(CTA_IP_V4_SRC, &src),
            attribute(CTA_IP_V4_DST, &dst),
        ];
        let proto = [
            attribute(CTA_PROTO_NUM, &[protocol]),
            attribute(CTA_PROTO_SRC_PORT, &sport.to_be_bytes()),
            attribute(CTA_PROTO_DST_PORT, &dport.to_be_bytes()),
        ];
        let tuple = [nested(CTA_TUPLE_IP, &ip), nested(CTA_TUPLE_PROTO, &proto)];
        nested(kind, &tuple)
    }

    fn flow(protocol: u8) -> Vec<u8> {
        let (inside, outside) = (([192, 168, 1, 2], 40000), ([203, 0, 113, 17], 1043));
        let remote = ([203, 0, 113, 1], 8848);
        [
            tuple(CTA_TUPLE_ORIG, protocol, [inside, remote]),
            tuple(CTA_TUPLE_REPLY, protocol, [remote, outside]),
            attribute(CTA_STATUS, &(IPS_SEEN_REPLY | 8).to_be_bytes()),
            attribute(CTA_TIMEOUT, &29_u32.to_be_bytes()),
        ]
        .concat()
    }

    #[test]
    fn a_translated_flow_is_read() {
        let flow = udp_flow(&flow(17)).unwrap();
        assert_eq!(flow.original.src, "192.168.1.2:40000".parse().unwrap());
        assert_eq!(flow.reply.dst, "203.0.113.17:1043".parse().unwrap());
        assert_eq!(
            (flow.remaining_s, flow.seen_reply, flow.assured),
            (29, true, false)
        );
    }

    #[test]
    fn other_protocols_are_left_out() {
        assert_eq!(udp_flow(&flow(6)), None);
    }

    proptest! {
        #[test]
        fn broken_attributes_do_not_panic(
            random in proptest::collection::vec(any::<u8>(), 0..64),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            udp_flow(&random);
            let mut changed = flow(17);
            let at = at.index(changed.len());
            changed[at] = byte;
            udp_flow(&changed);
            udp_flow(&changed[..at]);
        }
    }
}

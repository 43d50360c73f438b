//! The record of one name: 8 bytes of time (seconds since 1970, until when it is bound), 16 of the address in the
//! network that it is charged to (IPv4-mapped), 32 of its key, and 96 of the rotation that led to the key, if there
//! was one. Numbers are big endian.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use rendezvous_proto::bindings::Binding;
use session::name::valid_name;

use super::Clock;

/// A name is bound for a day. A longer time is that of a clock that was wrong, and counts as a week.
const LONGEST: u64 = 7 * 24 * 3600;

/// Seconds for which a record is kept longer than its name is bound. The wall clock may go ahead by as many before
/// records follow it.
pub(super) const SLACK: u64 = 10;

pub(super) fn write(binding: &Binding, clock: &Clock) -> Vec<u8> {
    let left = binding.until.saturating_duration_since(clock.now);
    // Both are rounded down: this is never less than what was told.
    let until = clock.unix + left.as_secs() + 2 + SLACK;
    let network = match binding.network {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    let mut record = until.to_be_bytes().to_vec();
    record.extend(network.octets());
    record.extend(binding.key);
    record.extend(binding.rotation.iter().flatten());
    record
}

/// A record whose time is so many seconds later. `None`: it is not the record of a name.
pub(super) fn shifted(record: &[u8], seconds: i64) -> Option<Vec<u8>> {
    let (until, rest) = record.split_first_chunk()?;
    let until = u64::from_be_bytes(*until).saturating_add_signed(seconds);
    Some([&until.to_be_bytes(), rest].concat())
}

/// `None`: it is not the record of a name.
pub(super) fn read(name: &str, record: &[u8], clock: &Clock) -> Option<Binding> {
    let (until, rest) = record.split_first_chunk()?;
    let (network, rest) = rest.split_first_chunk::<16>()?;
    let (key, rest) = rest.split_first_chunk()?;
    let rotation = match rest.len() {
        0 => None,
        _ => Some(rest.try_into().ok()?),
    };
    let left = u64::from_be_bytes(*until).saturating_sub(clock.unix);
    valid_name(name).then(|| Binding {
        name: name.to_owned(),
        key: *key,
        rotation,
        network: IpAddr::V6(Ipv6Addr::from(*network)).to_canonical(),
        until: clock.now + Duration::from_secs(left.min(LONGEST)),
    })
}

//! How many files the process may open: each TCP connection is one, and each relayed
//! address.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rendezvous_proto::server::MOST_STREAMS;

/// What the process has open besides: its sockets, the standard streams, the runtime.
const OTHERS: usize = 64;

/// The number of TCP connections that there are files for, beside this many relayed addresses.
/// Raises the process's limit as far as that needs, and as far as the system lets it.
pub fn for_streams(relayed: usize) -> usize {
    let wanted = (OTHERS + relayed + MOST_STREAMS) as u64;
    let Ok((mut soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return MOST_STREAMS;
    };
    let raised = wanted.min(hard);
    if soft < raised && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        soft = raised;
    }
    streams(soft, relayed)
}

/// The number of TCP connections with this many files.
fn streams(files: u64, relayed: usize) -> usize {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    files
        .saturating_sub(OTHERS + relayed)
        .clamp(1, MOST_STREAMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relayed_addresses_have_their_files_before_tcp_connections() {
        for (files, relayed, expected) in [
            (4096, 0, MOST_STREAMS),
            (4096, 512, MOST_STREAMS),
            (1024, 512, 448),
            (1024, 4000, 1),
            (u64::MAX, 512, MOST_STREAMS),
        ] {
            assert_eq!(streams(files, relayed), expected, "{files} {relayed}");
        }
    }
}

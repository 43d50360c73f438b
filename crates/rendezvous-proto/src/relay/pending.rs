//! An Allocate request that waits for its socket.

use std::net::SocketAddr;
use std::time::Duration;

use stun::{Builder, Class, IntegrityKey, Method, Transaction};

use crate::types::FiveTuple;

#[derive(Debug)]
pub(super) struct PendingAllocate {
    pub(super) client: FiveTuple,
    pub(super) username: String,
    pub(super) transaction: Transaction,
    pub(super) lifetime: Duration,
    /// Authenticates the answer.
    pub(super) key: IntegrityKey,
    /// Whether an even port is asked for.
    pub(super) even: bool,
}

impl PendingAllocate {
    /// The success answer.
    pub(super) fn granted(&self, relayed: SocketAddr) -> Vec<u8> {
        let answer = allocated(self.client, relayed, self.transaction, self.lifetime);
        answer.finish_long_term(&self.key)
    }

    /// The error answer.
    pub(super) fn refused(&self, code: u16) -> Vec<u8> {
        Builder::new(Class::Error, Method::Allocate, self.transaction)
            .error_code(code)
            .finish_long_term(&self.key)
    }
}

/// The success answer to an Allocate request, without its integrity.
pub(super) fn allocated(
    client: FiveTuple,
    relayed: SocketAddr,
    transaction: Transaction,
    lifetime: Duration,
) -> Builder {
    Builder::new(Class::Success, Method::Allocate, transaction)
        .relayed(relayed)
        .xor_mapped(client.client)
        .lifetime(lifetime.as_secs() as u32)
}

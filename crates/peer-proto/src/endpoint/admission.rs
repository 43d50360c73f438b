//! How often callers begin something here, whatever a rendezvous tells us of them:
//! each call makes packets of ours go to an address that the rendezvous names.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::bucket::{Buckets, Rate};
use crate::client::{Notification, Relation};
use sansio::{Prefix, TokenBucket};
use session::identity::PublicKey;

/// Calls of one known peer.
const KNOWN: Rate = Rate {
    burst: 8,
    each: Duration::from_secs(1),
};

/// Calls of all strangers together.
const STRANGERS: Rate = Rate {
    burst: 8,
    each: Duration::from_millis(500),
};

/// Calls of strangers with one key.
const KEY: Rate = Rate {
    burst: 2,
    each: Duration::from_secs(10),
};

/// Calls of strangers from one IP address.
const ADDRESS: Rate = Rate {
    burst: 4,
    each: Duration::from_secs(10),
};

/// Calls of strangers from one /24 or /48.
const PREFIX: Rate = Rate {
    burst: 6,
    each: Duration::from_secs(5),
};

/// Reports that the key of one name has changed.
const CHANGES: Rate = Rate {
    burst: 2,
    each: Duration::from_secs(60),
};

#[derive(Debug)]
pub(super) struct Admission {
    known: Buckets<String>,
    strangers: TokenBucket,
    keys: Buckets<PublicKey>,
    addresses: Buckets<IpAddr>,
    prefixes: Buckets<Prefix>,
    changes: Buckets<String>,
}

impl Admission {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            known: Buckets::new(KNOWN),
            strangers: TokenBucket::full(now),
            keys: Buckets::new(KEY),
            addresses: Buckets::new(ADDRESS),
            prefixes: Buckets::new(PREFIX),
            changes: Buckets::new(CHANGES),
        }
    }

    /// Whether one more call of this caller is looked at. A call that is refused
    /// takes nothing from others.
    pub(super) fn admits(&mut self, now: Instant, call: &Notification, relation: Relation) -> bool {
        if relation == Relation::Known {
            return self.known.take(now, call.caller.clone());
        }
        let address = call.address.ip().to_canonical();
        let prefix = Prefix::of(address);
        let admits = STRANGERS.has(now, &self.strangers)
            && self.keys.has(now, &call.key)
            && self.addresses.has(now, &address)
            && self.prefixes.has(now, &prefix);
        if admits {
            STRANGERS.take(now, &mut self.strangers);
            self.keys.take(now, call.key);
            self.addresses.take(now, address);
            self.prefixes.take(now, prefix);
        }
        admits
    }

    /// Whether it is reported that the key of that name has changed.
    pub(super) fn reports_change(&mut self, now: Instant, name: &str) -> bool {
        self.changes.take(now, name.to_owned())
    }
}

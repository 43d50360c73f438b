//! How many allocations each name and each client address has.

use std::collections::HashMap;
use std::net::IpAddr;

use session::credentials::parse_username;

/// Counts of allocations, with those that wait for a socket.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    names: HashMap<String, usize>,
    addresses: HashMap<IpAddr, usize>,
}

impl Quotas {
    pub(super) fn of_name(&self, username: &str) -> usize {
        self.names.get(name_of(username)).copied().unwrap_or(0)
    }

    pub(super) fn of_address(&self, client: IpAddr) -> usize {
        self.addresses.get(&client).copied().unwrap_or(0)
    }

    pub(super) fn take(&mut self, username: &str, client: IpAddr) {
        let name = name_of(username).to_owned();
        *self.names.entry(name).or_default() += 1;
        *self.addresses.entry(client).or_default() += 1;
    }

    pub(super) fn release(&mut self, username: &str, client: IpAddr) {
        let (name, names, addresses) = (name_of(username), &mut self.names, &mut self.addresses);
        if one_less(names.get_mut(name)) {
            names.remove(name);
        }
        if one_less(addresses.get_mut(&client)) {
            addresses.remove(&client);
        }
    }
}

/// Whether none is left.
fn one_less(count: Option<&mut usize>) -> bool {
    count.is_some_and(|count| {
        *count -= 1;
        *count == 0
    })
}

/// The name in a user name of ours.
pub(super) fn name_of(username: &str) -> &str {
    parse_username(username).map_or(username, |(_, name)| name)
}

//! What people hand each other so that the first contact is safe: the address of
//! a rendezvous, or the name of a peer, with its key.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use net::host;
use session::identity::PublicKey;

use crate::keyfile::key_from_hex;

/// Why an address is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// What follows the `#` is not a key.
    #[error("{0:?}: what follows the # has to be a key of 64 hex digits")]
    BadKey(String),
}

/// `HOST[:PORT][#KEY]`, with our name before an `@` where it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Our name there.
    pub name: Option<String>,
    /// The host, with the port where it is given.
    pub host: String,
    /// The server's key.
    pub key: Option<PublicKey>,
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let parts = host::split(text);
        Ok(ServerAddress {
            name: parts.name.map(str::to_owned),
            host: parts.host.to_owned(),
            key: parts.key.map(|key| read_key(text, key)).transpose()?,
        })
    }
}

/// `NAME[#KEY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// The peer's name.
    pub name: String,
    /// Its key.
    pub key: Option<PublicKey>,
}

impl FromStr for PeerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (name, key) = match text.split_once('#') {
            Some((name, key)) => (name, Some(read_key(text, key)?)),
            None => (text, None),
        };
        let name = name.to_owned();
        Ok(PeerAddress { name, key })
    }
}

fn read_key(whole: &str, key: &str) -> Result<PublicKey, AddressError> {
    key_from_hex(key).ok_or_else(|| AddressError::BadKey(whole.to_owned()))
}

/// A host as it is remembered: in one spelling, and with the port.
pub(crate) fn canonical(text: &str) -> String {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = text.parse::<SocketAddr>() {
        address.to_string()
    } else if let Ok(ip) = bare.parse::<IpAddr>() {
        SocketAddr::new(ip, stun::DEFAULT_PORT).to_string()
    } else if text.contains(':') {
        text.to_lowercase()
    } else {
        format!("{}:{}", text.to_lowercase(), stun::DEFAULT_PORT)
    }
}

/// The same for people, who need not type the usual port.
pub(crate) fn short(canonical: &str) -> &str {
    let usual = format!(":{}", stun::DEFAULT_PORT);
    match canonical.strip_suffix(&usual) {
        Some(host) => host,
        None => canonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_given_with_its_key_and_our_name() {
        let key = "ab".repeat(32);
        for (text, name, host, has_key) in [
            ("203.0.113.1", None, "203.0.113.1", false),
            ("alice@example.org:5", Some("alice"), "example.org:5", false),
            ("example.org#KEY", None, "example.org", true),
            (
                "ä.b@[2001:db8::1]:5#KEY",
                Some("ä.b"),
                "[2001:db8::1]:5",
                true,
            ),
        ] {
            let read = text.replace("KEY", &key).parse::<ServerAddress>().unwrap();
            assert_eq!((read.name.as_deref(), &*read.host), (name, host));
            assert_eq!(read.key, has_key.then_some([0xab; 32]), "{text}");
        }
        for bad in ["host#", "host#12", &format!("host#{key}0"), "host#KEY"] {
            let error = bad.parse::<ServerAddress>().unwrap_err().to_string();
            assert!(error.contains("64 hex digits"), "{error}");
            assert!(bad.parse::<PeerAddress>().is_err(), "{bad}");
        }
        let bob = format!("bob#{key}").parse::<PeerAddress>().unwrap();
        assert_eq!((&*bob.name, bob.key), ("bob", Some([0xab; 32])));
        assert_eq!("bob".parse::<PeerAddress>().unwrap().key, None);
    }

    #[test]
    fn a_host_is_remembered_in_one_spelling() {
        for (text, known, told) in [
            ("203.0.113.1", "203.0.113.1:8848", "203.0.113.1"),
            ("203.0.113.1:8848", "203.0.113.1:8848", "203.0.113.1"),
            ("203.0.113.1:5", "203.0.113.1:5", "203.0.113.1:5"),
            ("2001:DB8::1", "[2001:db8::1]:8848", "[2001:db8::1]"),
            ("[2001:db8::1]", "[2001:db8::1]:8848", "[2001:db8::1]"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("Example.org", "example.org:8848", "example.org"),
            ("Example.org:5", "example.org:5", "example.org:5"),
        ] {
            assert_eq!(canonical(text), known);
            assert_eq!(short(known), told);
        }
    }
}

//! The server's key, in a file.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use ::cli::keyfile::{self, FileError};
use anyhow::Context;
use session::identity::{Identity, PublicKey};

use crate::log::Log;

/// What is lost with the key.
const LOSS: &str = "get a new key, which clients that know the old one refuse";

/// The key of the file that is given, else of the one in the usual folder. Where
/// there is no such folder, and none can be made, the key is for this run.
///
/// # Errors
/// When the file cannot be used, or the system has no randomness.
pub fn find(given: Option<&Path>, log: Log) -> anyhow::Result<Identity> {
    if let Some(path) = given {
        return keyfile::read_or_make(path, LOSS).context("cannot use the file of --key");
    }
    let why = match keyfile::folder() {
        None => "PINHOLE_HOME and HOME are not set".to_owned(),
        Some(folder) => match keyfile::read_or_make(&folder.join("rendezvous-key"), LOSS) {
            Ok(identity) => return Ok(identity),
            Err(error @ FileError::Malformed { .. }) => return Err(error.into()),
            Err(error) => error.to_string(),
        },
    };
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("cannot read the system's randomness")?;
    log.trouble(&format!(
        "the key of this server is for this run only, since there is no place for it ({why}): \
         clients will refuse the next one. Give it a place with --key FILE"
    ));
    Ok(Identity::from_secret(&secret))
}

/// What clients are given as --server: the address that we listen on, with the port
/// unless it is the usual one. Where we listen on all addresses, HOST stands for the
/// one that clients reach.
pub fn address_for_clients(ip: IpAddr, port: u16, key: &PublicKey) -> String {
    let usual = port == stun::DEFAULT_PORT;
    let host = match (ip.is_unspecified(), usual) {
        (true, true) => "HOST".to_owned(),
        (true, false) => format!("HOST:{port}"),
        (false, true) if ip.is_ipv4() => ip.to_string(),
        (false, true) => format!("[{ip}]"),
        (false, false) => SocketAddr::new(ip, port).to_string(),
    };
    format!("{host}#{}", hex::encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_given_what_they_can_type() {
        let key = "07".repeat(32);
        for (ip, port, host) in [
            ("203.0.113.1", 8848, "203.0.113.1"),
            ("203.0.113.1", 5, "203.0.113.1:5"),
            ("2001:db8::1", 8848, "[2001:db8::1]"),
            ("2001:db8::1", 5, "[2001:db8::1]:5"),
            ("0.0.0.0", 8848, "HOST"),
            ("::", 5, "HOST:5"),
        ] {
            let given = address_for_clients(ip.parse().unwrap(), port, &[7; 32]);
            assert_eq!(given, format!("{host}#{key}"));
        }
    }
}

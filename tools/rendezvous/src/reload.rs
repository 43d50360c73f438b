//! What SIGHUP brings: the options and the files that they name, read again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Instant;

use rendezvous_proto::server::Server;
use session::credentials::Secret;
use session::identity::PublicKey;

use crate::config::{Given, Problem, gather};
use crate::files;
use crate::options::Options;
use crate::reserve;

/// The options that may change while the server runs.
const CHANGEABLE: [&str; 9] = [
    "max-names",
    "rate",
    "relay-allow",
    "relay-lifetime",
    "relay-per-address",
    "relay-per-name",
    "relay-rate",
    "relay-total",
    "reserve",
];

/// What the options name.
pub struct Files {
    reserved: BTreeMap<String, PublicKey>,
    relay_secret: Option<Secret>,
}

/// Reads what the options name, and may be read again.
///
/// # Errors
/// When a file cannot be read, or is wrong.
pub fn read(options: &Options) -> anyhow::Result<Files> {
    let reserved = options.reserve.as_deref().map(reserve::read);
    Ok(Files {
        reserved: reserved.transpose()?.unwrap_or_default(),
        relay_secret: options.relay.given_secret()?,
    })
}

/// What was read last.
pub struct Reload {
    typed: Vec<OsString>,
    given: Given,
}

/// What has come of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Options that have other values now.
    pub changed: Vec<String>,
    /// Options whose other values need a restart.
    pub at_restart: Vec<String>,
}

impl Reload {
    /// `given` is what the server runs with.
    pub fn new(typed: Vec<OsString>, given: Given) -> Self {
        Reload { typed, given }
    }

    /// Reads everything again, and takes over what may change: all of it, or nothing.
    ///
    /// # Errors
    /// When something cannot be read, or is wrong.
    pub fn again(&mut self, now: Instant, server: &mut Server) -> anyhow::Result<Reloaded> {
        let mut given = gather(&self.typed).map_err(|problem| match problem {
            Problem::Typed(error) => anyhow::anyhow!("{}", error.to_string().trim_end()),
            Problem::File(error) => error,
        })?;
        let files = read(&given.options)?;
        let differing = self.given.differing(&given);
        // A relay comes and goes with the next start, and its limits with it.
        let relay_stays = self.given.values.get("relay") == given.values.get("relay");
        let (changed, at_restart): (Vec<_>, Vec<_>) =
            differing.into_iter().partition(|name| match &**name {
                name if name.starts_with("relay-") && !relay_stays => false,
                // Without a file, the secret of before stays in use.
                "relay-secret" => files.relay_secret.is_some(),
                name => CHANGEABLE.contains(&name),
            });
        take_over(now, server, &given.options, files);
        // What runs has still the old ones.
        for name in &at_restart {
            match self.given.values.remove(name) {
                Some(before) => given.values.insert(name.clone(), before),
                None => given.values.remove(name),
            };
        }
        self.given = given;
        Ok(Reloaded {
            changed,
            at_restart,
        })
    }
}

fn take_over(now: Instant, server: &mut Server, options: &Options, files: Files) {
    server.set_limits(options.rate, options.max_names as usize);
    server.set_reserved(now, files.reserved);
    if let Some(relay) = server.relaying().filter(|_| options.relay.most() > 0) {
        relay.set_limits(options.relay.limits());
        relay.set_allowed(options.relay.allowed());
        if let Some(secret) = files.relay_secret {
            relay.set_secret(now, secret);
        }
        server.set_most_streams(files::for_streams(options.relay.most()));
    }
}

#[cfg(test)]
mod tests {
    use rendezvous_proto::server::{Config, RATE};

    use super::*;

    #[test]
    fn what_may_change_is_taken_over_and_the_rest_is_named_until_a_restart() {
        let name = format!("pinhole-reload-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        let write = |text: &str| std::fs::write(&file, text).unwrap();
        write("rate = 5\n");
        let typed = [
            "rendezvous",
            "--config",
            file.to_str().unwrap(),
            "--max-names",
            "7",
        ];
        let typed: Vec<OsString> = typed.iter().map(OsString::from).collect();
        let now = Instant::now();
        let mut server = Server::new(
            Config {
                addresses: vec!["203.0.113.1:8848".parse().unwrap()],
                secret: [7; 32],
                rate: RATE,
                most_names: 10,
            },
            now,
        );
        let given = gather(&typed).unwrap_or_else(|_| panic!("it is right"));
        let mut reload = Reload::new(typed, given);
        let mut again = |text: &str| {
            write(text);
            reload
                .again(now, &mut server)
                .map_err(|error| format!("{error:#}"))
        };
        let named = |changed: &[&str], at_restart: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            Ok(Reloaded {
                changed: names(changed),
                at_restart: names(at_restart),
            })
        };
        assert_eq!(again("rate = 5\n"), named(&[], &[]));
        assert_eq!(
            again("rate = 6\nport = 9\nmax-names = 1\n"),
            named(&["rate"], &["port"])
        );
        assert_eq!(again("rate = 6\nport = 9\n"), named(&[], &["port"]));
        assert!(again("rte = 6\n").unwrap_err().contains("line 1"));
        assert_eq!(again("rate = 7\n"), named(&["rate"], &[]));
        let relay = again("rate = 7\nip = \"203.0.113.1\"\nrelay = true\n").unwrap();
        assert_eq!(relay.changed, Vec::<String>::new());
        assert!(relay.at_restart.contains(&"relay".to_owned()));
        std::fs::remove_file(&file).unwrap();
    }
}

//! Options that the tools which are peers have in common.

use std::time::Duration;

use peer_proto::endpoint::Wish;
use serde::Deserialize;

/// What one place says of whom we are: the command line with the environment,
/// or `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The rendezvous, `[NAME@]HOST[:PORT][#KEY]`.
    pub server: Option<String>,
    /// Our name there.
    pub name: Option<String>,
    /// The key that the rendezvous has now is trusted, if it has changed.
    #[serde(skip)]
    pub trust_server: bool,
}

/// A name is given twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server is given as {server}, which says that our name is {there}, and the name as \
     {name}: leave one of them out"
)]
pub struct TwoNames {
    server: String,
    there: String,
    name: String,
}

impl Options {
    /// Reads the text of `config.toml`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Options, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    /// Takes our name out of `NAME@HOST`, where it is given so.
    ///
    /// # Errors
    /// When another name is given, too.
    pub fn split(mut self) -> Result<Options, TwoNames> {
        let Some(server) = self.server.take() else {
            return Ok(self);
        };
        let parts = net::host::split(&server);
        let name = self.name.take().filter(|name| !name.is_empty());
        if let (Some(there), Some(name)) = (parts.name, &name)
            && there != name
        {
            return Err(TwoNames {
                there: there.to_owned(),
                name: name.clone(),
                server,
            });
        }
        self.name = name.or(parts.name.map(str::to_owned));
        self.server = Some(server.rsplit('@').next().unwrap_or_default().to_owned());
        Ok(self)
    }

    /// These options, and those of `other` where one is not given here. An
    /// empty one counts as not given: `PINHOLE_NAME=` in the environment.
    #[must_use]
    pub fn or(self, other: Options) -> Options {
        let first = |ours: Option<String>, theirs: Option<String>| {
            let mut both = [ours, theirs].into_iter().flatten();
            both.find(|value| !value.is_empty())
        };
        Options {
            server: first(self.server, other.server),
            name: first(self.name, other.name),
            trust_server: self.trust_server || other.trust_server,
        }
    }
}

/// Which paths to a peer are tried.
#[derive(Clone, Debug, clap::Args)]
pub struct PathOptions {
    /// TTL of the packets that open our own NAT and must not reach the peer's;
    /// 0 sends none
    #[arg(long, global = true, value_name = "TTL", default_value_t = 2)]
    pub opener_ttl: u8,
    /// Do not tell peers our own addresses, and do not try theirs: no path
    /// within a LAN, more privacy
    #[arg(long, global = true)]
    pub no_host_candidates: bool,
    /// Use no relay: a peer that cannot be reached directly is not reached
    #[arg(long, global = true, conflicts_with = "relay_only")]
    pub direct_only: bool,
    /// Use nothing but a relay: no packet of ours goes to a peer's address. The
    /// rendezvous still tells each peer the address of the other
    #[arg(long, global = true)]
    pub relay_only: bool,
}

impl PathOptions {
    /// Whether a relay may be used, or must be.
    pub fn relay(&self) -> Wish {
        match (self.direct_only, self.relay_only) {
            (true, _) => Wish::Never,
            (_, true) => Wish::Only,
            _ => Wish::Allowed,
        }
    }
}

/// Reads a number of seconds from 0.1 to `most`, for clap.
///
/// # Errors
/// When the text is not such a number.
pub fn seconds(text: &str, most: f64) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds")?;
    if !(0.1..=most).contains(&seconds) {
        return Err(format!("not between 0.1 and {most} seconds"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(server: &str, name: &str) -> Options {
        Options {
            server: Some(server.to_owned()),
            name: Some(name.to_owned()),
            trust_server: false,
        }
    }

    #[test]
    fn our_name_may_be_given_with_the_server() {
        let split = |server: &str, name: &str| options(server, name).split();
        let alice = options("203.0.113.1:5#KEY", "alice");
        assert_eq!(split("alice@203.0.113.1:5#KEY", ""), Ok(alice.clone()));
        assert_eq!(split("alice@203.0.113.1:5#KEY", "alice"), Ok(alice.clone()));
        assert_eq!(split("203.0.113.1:5#KEY", "alice"), Ok(alice.clone()));
        let error = split("alice@203.0.113.1", "bob").unwrap_err().to_string();
        assert!(error.contains("alice") && error.contains("bob"), "{error}");
        // What is typed wins over the file, also within one string.
        let file = split("carol@203.0.113.2", "").unwrap();
        assert_eq!(alice.clone().or(file.clone()), alice);
        assert_eq!(Options::default().or(file.clone()), file);
    }

    #[test]
    fn what_is_typed_comes_before_the_file() {
        let typed = Options {
            name: None,
            ..options("203.0.113.1", "")
        };
        let file = options("203.0.113.2", "alice");
        assert_eq!(typed.or(file), options("203.0.113.1", "alice"));
    }

    #[test]
    fn an_empty_value_counts_as_not_given() {
        let file = options("203.0.113.2", "alice");
        assert_eq!(options("", "").or(file.clone()), file);
        assert_eq!(options("", "").or(options("", "")), Options::default());
    }

    #[test]
    fn seconds_are_read_within_their_bounds() {
        assert_eq!(seconds("0.5", 60.0), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "61", "NaN", "soon", ""] {
            assert!(seconds(bad, 60.0).is_err(), "{bad}");
        }
    }
}

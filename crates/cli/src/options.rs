//! Options that the tools which are peers have in common.

use std::time::Duration;

use peer_proto::endpoint::Wish;
use serde::Deserialize;

/// What one place says of whom we are: the command line with the environment,
/// or `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The rendezvous, `HOST[:PORT]`.
    pub server: Option<String>,
    /// Our name there.
    pub name: Option<String>,
}

impl Options {
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
        }
    }
}

/// Which paths to a peer are tried.
#[derive(Clone, Debug, clap::Args)]
pub struct PathOptions {
    /// TTL of the packets that open our own NAT and must not reach the peer's;
    /// 0 sends none
    #[arg(long, value_name = "TTL", default_value_t = 2)]
    pub opener_ttl: u8,
    /// Do not tell peers our own addresses, and do not try theirs: no path
    /// within a LAN, more privacy
    #[arg(long)]
    pub no_host_candidates: bool,
    /// Use no relay: a peer that cannot be reached directly is not reached
    #[arg(long, conflicts_with = "relay_only")]
    pub direct_only: bool,
    /// Use nothing but a relay: no packet of ours goes to a peer's address. The
    /// rendezvous still tells each peer the address of the other
    #[arg(long)]
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
        }
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

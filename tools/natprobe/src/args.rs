//! What may be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

/// Which NAT am I behind?
///
/// Measures, in a third of a second at most where the server is near, how the
/// NAT on the way maps and filters (RFC 4787), by asking a STUN server with two
/// addresses (RFC 5780). Pinhole's `rendezvous` is one; coturn and stuntman are
/// others, mostly on port 3478.
#[derive(Debug, Parser)]
#[command(name = "natprobe", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The server's first address [port: 8848] [env: PINHOLE_S1, PINHOLE_SERVER]
    #[arg(long, value_name = "HOST[:PORT]")]
    s1: Option<String>,

    /// Its other address [default: what the server tells] [env: PINHOLE_S2]
    #[arg(long, value_name = "HOST[:PORT]")]
    s2: Option<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Also: does the NAT's own outer address lead back in?
    #[arg(long)]
    hairpin: bool,

    /// Also: how long does a mapping live, and what refreshes it? Tries silences
    /// of up to so many seconds, all in one pass, until two in a row end it
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "130",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    lifetime: Option<u64>,

    /// Also: which routers are on the way, and on which is the NAT? (Linux)
    #[arg(long)]
    path: bool,

    /// Also: does the gateway speak UPnP-IGD, NAT-PMP or PCP, and which outer
    /// address does it claim? It is asked, nothing is mapped (the gateway for the
    /// latter two is found on Linux)
    #[arg(long)]
    port_mapping: bool,

    /// Then go through the UDP requirements of RFC 4787; implies --hairpin, and
    /// --lifetime adds two of them
    #[arg(long)]
    rfc4787: bool,

    /// Measure so many times, and tell what was not the same every time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,

    /// Go on measuring, every so many seconds, and report again when something
    /// has changed
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,

    /// Then say what a punch between here and the host of that report comes to
    #[arg(long, value_name = "REPORT.json")]
    against: Option<PathBuf>,

    /// Wait for so long after the last packet [default: three round trips, at least 150]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout: Option<u64>,

    /// Packets per test, at first; more follow until silence cannot be loss
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=50))]
    tries: u32,
}

const EXAMPLES: &str = "\
Examples:
  natprobe --s1 203.0.113.1 --s2 203.0.113.2
  natprobe --s1 stun.example.org:3478 --json >here.json
  natprobe --s1 stun.example.org:3478 --against there.json
  PINHOLE_SERVER=rendezvous.example.org natprobe

Exit status:
  0  measured
  1  UDP is blocked
  2  could not tell, or a usage error";

/// What to do, all defaults filled in.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) s1: String,
    pub(crate) s2: Option<String>,
    pub(crate) json: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) tries: u32,
    pub(crate) hairpin: bool,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) path: bool,
    pub(crate) port_mapping: bool,
    pub(crate) rfc4787: bool,
    pub(crate) runs: u32,
    pub(crate) watch: Option<Duration>,
    pub(crate) against: Option<PathBuf>,
}

impl Args {
    /// Fills in the environment's part. `env` is asked for variables by name.
    pub(crate) fn into_job(self, env: impl Fn(&str) -> Option<String>) -> Result<Job, clap::Error> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        // PINHOLE_S2 belongs to PINHOLE_S1: not to a server typed by hand.
        let (s1, s2) = match (self.s1, env("PINHOLE_S1")) {
            (Some(s1), _) => (Some(s1), self.s2),
            (None, Some(s1)) => (Some(s1), self.s2.or_else(|| env("PINHOLE_S2"))),
            (None, None) => (env("PINHOLE_SERVER"), self.s2),
        };
        let s1 = s1.ok_or_else(|| {
            use clap::CommandFactory;
            Args::command().error(
                ErrorKind::MissingRequiredArgument,
                "no server: give --s1, or set PINHOLE_S1 or PINHOLE_SERVER",
            )
        })?;
        Ok(Job {
            s1,
            s2,
            json: self.json,
            timeout: self.timeout.map(Duration::from_millis),
            tries: self.tries,
            hairpin: self.hairpin || self.rfc4787,
            rfc4787: self.rfc4787,
            runs: self.runs,
            watch: self.watch.map(Duration::from_secs),
            lifetime: self.lifetime.map(Duration::from_secs),
            path: self.path,
            port_mapping: self.port_mapping,
            against: self.against,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(typed: &[&str], env: &[(&str, &str)]) -> Result<Job, clap::Error> {
        let find = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Args::try_parse_from([&["natprobe"], typed].concat())?.into_job(find)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn the_environment_fills_in_and_never_mixes() {
        let lab = [("PINHOLE_S1", "a"), ("PINHOLE_S2", "b")];
        let both = job(&[], &lab).unwrap();
        assert_eq!((both.s1.as_str(), both.s2.as_deref()), ("a", Some("b")));
        let typed = job(&["--s1", "c"], &lab).unwrap();
        assert_eq!((typed.s1.as_str(), typed.s2), ("c", None));
        let server = job(&[], &[("PINHOLE_SERVER", "d")]).unwrap();
        assert_eq!(server.s1, "d");
        let missing = job(&[], &[]).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
    }

    #[test]
    fn one_try_is_refused() {
        assert_eq!(job(&["--tries", "1"], &[]).unwrap_err().exit_code(), 2);
    }
}

//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::error::ErrorKind;

/// Measure which NAT is between this host and the internet
///
/// Asks a STUN server with two addresses (RFC 5780) how the NAT maps and filters (RFC 4787). With a
/// server nearby it takes a third of a second. Pinhole's `rendezvous` is such a server, on port
/// 8848; coturn and stuntman are others, mostly on port 3478. A note says where there are signs of a
/// carrier-grade NAT; --path and --port-mapping show more of them.
#[derive(Debug, Parser)]
#[command(name = "natprobe", version, after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The server's first address [port: 8848] [env: PINHOLE_S1, PINHOLE_SERVER]. An IPv6 address
    /// with a port has brackets: [2001:db8::1]:3478
    #[arg(long = "server", visible_alias = "s1", value_name = "HOST[:PORT]")]
    s1: Option<String>,

    /// The server's other address or port, or a second server [default: what the server reports]
    /// [env: PINHOLE_S2]
    #[arg(long, value_name = "HOST[:PORT]")]
    s2: Option<String>,

    /// Ask these STUN servers, each of which may have one address only, and compare the mappings.
    /// Filtering is measured with the first one that has another address (RFC 5780) [port: 3478]
    #[arg(long, value_name = "HOST[:PORT]", num_args = 1.., conflicts_with_all = ["s1", "s2"])]
    stun: Vec<String>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Also test hairpinning: whether hosts inside reach each other through the outside endpoint
    #[arg(long)]
    hairpin: bool,

    /// Also measure the lifetime of an idle mapping, and what refreshes it. Tests idle times of up
    /// to SECONDS at once, and ends when two in a row have ended a mapping
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "130",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    lifetime: Option<u64>,

    /// Also find the routers on the way, which of them translate and filter, the round trip and the
    /// loss by hop, and the path MTU (Linux)
    #[arg(long)]
    path: bool,

    /// Also ask the gateway for UPnP-IGD, NAT-PMP and PCP, and for its public address. No port is
    /// mapped. (NAT-PMP and PCP: Linux)
    #[arg(long)]
    port_mapping: bool,

    /// Also compare the NAT with the requirements of RFC 4787. Implies --hairpin; two requirements
    /// need --lifetime
    #[arg(long)]
    rfc4787: bool,

    /// Measure N times, and report which results differ
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,

    /// Measure again every SECONDS, and report again when a result changes
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "10",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    watch: Option<u64>,

    /// Also report whether a punch between this host and the host of that report is expected to
    /// connect
    #[arg(long, value_name = "REPORT.json")]
    against: Option<PathBuf>,

    /// Wait MS milliseconds after the last packet [default: three round trips, at least 150]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    timeout: Option<u64>,

    /// Packets per test at first. Up to five times as many are sent where packets are lost
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=50))]
    tries: u32,
}

const EXAMPLES: &str = "\
Examples:
  natprobe --server 203.0.113.1 --s2 203.0.113.2             a server's two addresses
  natprobe --server stun.example.org:3478 --json >here.json  a report for other programs
  natprobe --server stun.example.org:3478 --against there.json
  natprobe --server rendezvous.example.org --lifetime --rfc4787
  natprobe --server rendezvous.example.org --path --port-mapping
                                                             is there a carrier-grade NAT?
  natprobe --stun stun1.example.org stun2.example.org        without a server of one's own
  PINHOLE_SERVER=rendezvous.example.org natprobe

Exit status:
  0  measured
  1  UDP is blocked
  2  no result, or a usage error";

/// The options, with defaults and environment filled in.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) s1: String,
    pub(crate) s2: Option<String>,
    /// The servers of --stun; the first one is `s1` as well.
    pub(crate) stun: Vec<String>,
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

impl Options {
    /// Takes what is not given on the command line from the environment, by `env`.
    pub(crate) fn into_settings(
        self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, clap::Error> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        // PINHOLE_S2 belongs to PINHOLE_S1, not to a server on the command line.
        let typed = self.s1.or_else(|| self.stun.first().cloned());
        let (s1, s2) = match (typed, env("PINHOLE_S1")) {
            (Some(s1), _) => (Some(s1), self.s2),
            (None, Some(s1)) => (Some(s1), self.s2.or_else(|| env("PINHOLE_S2"))),
            (None, None) => (env("PINHOLE_SERVER"), self.s2),
        };
        let s1 = s1.ok_or_else(|| {
            use clap::CommandFactory;
            Options::command().error(
                ErrorKind::MissingRequiredArgument,
                "no server: give --server or --stun, or set PINHOLE_S1 or PINHOLE_SERVER",
            )
        })?;
        Ok(Settings {
            s1,
            s2,
            stun: self.stun,
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

    fn settings(typed: &[&str], env: &[(&str, &str)]) -> Result<Settings, clap::Error> {
        let find = |name: &str| {
            let found = env.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Options::try_parse_from([&["natprobe"], typed].concat())?.into_settings(find)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn pages_are_as_in_packaging() {
        use clap::CommandFactory;
        pages::check(&Options::command());
    }

    #[test]
    fn a_server_on_the_command_line_is_not_mixed_with_one_of_the_environment() {
        let lab = [("PINHOLE_S1", "a"), ("PINHOLE_S2", "b")];
        let both = settings(&[], &lab).unwrap();
        assert_eq!((both.s1.as_str(), both.s2.as_deref()), ("a", Some("b")));
        let typed = settings(&["--s1", "c"], &lab).unwrap();
        assert_eq!((typed.s1.as_str(), typed.s2), ("c", None));
        let server = settings(&[], &[("PINHOLE_SERVER", "d")]).unwrap();
        assert_eq!(server.s1, "d");
        let missing = settings(&[], &[]).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
        let as_other_tools = settings(&["--server", "c"], &lab).unwrap();
        assert_eq!((as_other_tools.s1.as_str(), as_other_tools.s2), ("c", None));
        assert!(settings(&["--server", "c", "--s1", "d"], &[]).is_err());
    }

    #[test]
    fn the_servers_of_stun_stand_for_a_server_and_go_with_no_other() {
        let lab = [("PINHOLE_S1", "a"), ("PINHOLE_S2", "b")];
        let stun = settings(&["--stun", "c", "d", "--json"], &lab).unwrap();
        assert_eq!((stun.s1.as_str(), stun.s2), ("c", None));
        assert_eq!(stun.stun, ["c", "d"]);
        assert!(settings(&["--stun", "c", "--server", "d"], &[]).is_err());
    }

    #[test]
    fn less_than_two_tries_are_refused() {
        assert_eq!(settings(&["--tries", "1"], &[]).unwrap_err().exit_code(), 2);
    }
}

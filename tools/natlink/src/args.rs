//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use link::Link;

/// Where a natlink that runs takes orders, unless --control names another place.
pub const CONTROL: &str = "/run/natlink.sock";

/// Carry frames between network namespaces, late, in part, or not at all
///
/// A link is two TAP devices, each in a network namespace. It needs no module of the kernel but tun.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  sudo natlink run wan=alice:tap0,bob:tap1 wan=4g
  natlink set wan=delay:50ms,jitter:10ms,loss:1%
  natlink show
  natlink presets

Settings are words with commas between them; a later one overrides an earlier one. A word is a
preset or KEY:VALUE, and up- or down- before KEY is for one direction alone:
  delay:50ms  jitter:10ms  order:kept|free  reorder:2%/10ms  loss:1%  burst:5
  gilbert-elliott:1/20/100/0  duplicate:1%  rate:20mbit  queue:100ms  mtu:1400

Exit status:
  0  done
  2  could not, or a usage error"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make links, and carry their frames until a signal ends it
    Run(RunArgs),
    /// Change links while they run
    Set(SetArgs),
    /// Show what links do, and what became of their frames
    Show(ShowArgs),
    /// Print what settings come to, with what they have from a preset
    #[command(after_help = "\
Examples:
  natlink explain 4g,up-rate:5mbit")]
    Explain {
        /// The settings, as --link of the lab takes them
        #[arg(value_name = "SETTINGS")]
        words: String,
    },
    /// List the kinds of links that have a name
    Presets {
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Make links, and carry their frames until a signal ends it
///
/// It prints "ready" when the devices are there; they have no address and are not up yet. They
/// vanish when it ends, unless --keep is given. Devices in other namespaces need root, or the user namespace that owns them.
#[derive(Args)]
#[command(after_help = "\
Examples:
  sudo natlink run wan=alice:tap0,bob:tap1 wan=delay:50ms,loss:1%
  natlink run wan=tap0,tap1 wan=dsl --drops drops.json --seed 7")]
pub struct RunArgs {
    /// A link, NAME=NODE:DEVICE,NODE:DEVICE, or what it does, NAME=SETTINGS. Frames from the first
    /// device to the second one travel down. A NODE is a namespace in /run/netns; without
    /// "NODE:" the device is in this one
    #[arg(required = true, value_name = "NAME=…")]
    pub links: Vec<LinkArg>,
    /// Write a JSON line to FILE for each frame that is dropped
    #[arg(long, value_name = "FILE")]
    pub drops: Option<PathBuf>,
    /// Leave the devices when it ends: without a carrier, until their namespaces end. To remove a
    /// device takes the kernel 20 ms
    #[arg(long)]
    pub keep: bool,
    /// The same seed drops the same frames [default: another each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub control: ControlArg,
}

/// Change links while they run
///
/// The settings replace those before; "none" is a perfect link. Frames under way arrive as before.
#[derive(Args)]
#[command(after_help = "\
Examples:
  natlink set wan=satellite-geo
  natlink set alice=delay:50ms bob=none")]
pub struct SetArgs {
    /// What a link does from now on, NAME=SETTINGS
    #[arg(required = true, value_name = "NAME=SETTINGS")]
    pub links: Vec<SettingsArg>,
    #[command(flatten)]
    pub control: ControlArg,
}

/// Show what links do, and what became of their frames
#[derive(Args)]
#[command(after_help = "\
Examples:
  natlink show
  natlink show --json | jq '.links[] | select(.direction == \"up\").loss'")]
pub struct ShowArgs {
    /// Print a JSON object; docs/reference/json.md explains it
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub control: ControlArg,
}

#[derive(Args)]
pub struct ControlArg {
    /// The socket by which a natlink that runs is asked
    #[arg(long = "control", value_name = "SOCKET", default_value = CONTROL)]
    pub socket: PathBuf,
}

/// What `run` is told about a link.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkArg {
    Ends(String, [End; 2]),
    Settings(SettingsArg),
}

/// What a link shall do.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingsArg {
    pub name: String,
    pub link: Link,
}

/// A device, and the namespace that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub node: Option<String>,
    pub device: String,
}

/// NAME and what comes after the first "=".
fn named(text: &str) -> Result<(&str, &str), String> {
    let (name, rest) = text.split_once('=').ok_or("there is no NAME= before it")?;
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    match (1..=64).contains(&name.len()) && name.chars().all(good) {
        true => Ok((name, rest)),
        false => Err(format!(
            "a name is up to 64 letters, digits, _ . and -, not \"{name}\""
        )),
    }
}

impl FromStr for SettingsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, words) = named(text)?;
        Ok(SettingsArg {
            name: name.into(),
            link: words.parse().map_err(|error| format!("{error}"))?,
        })
    }
}

impl FromStr for LinkArg {
    type Err = String;

    /// Settings begin with a preset or a key; whatever else has one comma is two ends.
    fn from_str(text: &str) -> Result<Self, String> {
        let settings = text.parse().map(LinkArg::Settings);
        let (name, rest) = named(text)?;
        match (&settings, rest.split_once(',')) {
            (Err(_), Some((first, second))) => match (end(first), end(second)) {
                (Some(first), Some(second)) => Ok(LinkArg::Ends(name.into(), [first, second])),
                _ => settings,
            },
            _ => settings,
        }
    }
}

/// `NODE:DEVICE` or `DEVICE`, if the two can be names.
fn end(text: &str) -> Option<End> {
    let (node, device) = match text.split_once(':') {
        Some((node, device)) => (Some(node), device),
        None => (None, text),
    };
    let good = |name: &str, most| {
        (1..=most).contains(&name.len())
            && !name.starts_with('.')
            && name
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b'/' && b != b':' && b != b',')
    };
    (node.is_none_or(|node| good(node, 255)) && good(device, 15)).then(|| End {
        node: node.map(Into::into),
        device: device.into(),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn pages_are_as_in_packaging() {
        pages::check(&Cli::command());
    }

    #[test]
    fn ends_and_settings_are_told_apart() {
        let end = |node: Option<&str>, device: &str| End {
            node: node.map(Into::into),
            device: device.into(),
        };
        for (text, ends) in [
            (
                "wan=core:alice,nat-alice:wan",
                [end(Some("core"), "alice"), end(Some("nat-alice"), "wan")],
            ),
            ("wan=tap0,tap1", [end(None, "tap0"), end(None, "tap1")]),
        ] {
            assert_eq!(
                text.parse(),
                Ok(LinkArg::Ends("wan".into(), ends)),
                "{text}"
            );
        }
        for text in ["wan=4g", "wan=", "wan=delay:5ms,loss:1%", "wan=4g,mtu:1400"] {
            assert!(matches!(text.parse(), Ok(LinkArg::Settings(_))), "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_the_reason() {
        for (text, part) in [
            ("wan", "no NAME="),
            ("a b=4g", "a name is"),
            ("wan=6g", "not a kind of link"),
            ("wan=core:a-device-too-long,b", "no setting \"core\""),
            ("wan=delay:5", "delay is a time"),
            ("wan=../x:a,b", "no setting"),
        ] {
            let error = text.parse::<LinkArg>().unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

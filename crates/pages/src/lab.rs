//! The command line of `lab/netns.sh`, as the package installs it: `pinhole-lab`. The script parses its
//! arguments itself; a test compares its `--help` with this description.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};

use crate::man;

/// The name under which the package installs `lab/netns.sh`.
pub const NAME: &str = "pinhole-lab";

/// The nodes of a lab.
const NODES: [&str; 9] = [
    "alice",
    "alice2",
    "bob",
    "nat-alice",
    "nat-bob",
    "core",
    "server",
    "isp-alice",
    "isp-bob",
];

/// The NAT types of the lab, in the order of its `list`.
pub const TYPES: [&str; 13] = [
    "open",
    "firewall",
    "basic",
    "full-cone",
    "restricted",
    "port-restricted",
    "symmetric",
    "symmetric-sequential",
    "symmetric-block",
    "address-dependent",
    "masquerade",
    "cgnat",
    "udp-blocked",
];

/// The pages of `pinhole-lab`: completions from [`command`], and a man page that is the text of
/// its `--help`.
pub fn pages(help: &str) -> BTreeMap<PathBuf, String> {
    let mut command = command();
    command.build();
    let mut pages = crate::completions(&command);
    pages.insert(man::file(NAME), page(help));
    pages
}

/// What `pinhole-lab` takes. The first two words are two NAT types, or a verb with its arguments.
pub fn command() -> Command {
    let nodes = || Arg::new("node").value_parser(PossibleValuesParser::new(NODES));
    let types = || PossibleValuesParser::new(TYPES);
    Command::new(NAME)
        .disable_help_subcommand(true)
        .args_conflicts_with_subcommands(true)
        .args(lab_options())
        .args(command_options())
        .args(formats())
        .arg(flag("verbose").short('v'))
        .arg(Arg::new("a").value_parser(types()))
        .arg(Arg::new("b").value_parser(types()))
        .subcommand(
            Command::new("run")
                .args(lab_options())
                .args([name(), option("until"), option("timeout")])
                .arg(Arg::new("type").num_args(0..).value_parser(types())),
        )
        .subcommand(
            Command::new("up")
                .args(lab_options())
                .arg(name())
                .arg(Arg::new("a").value_parser(types()))
                .arg(Arg::new("b").value_parser(types())),
        )
        .subcommand(Command::new("exec").arg(name()).arg(nodes()))
        .subcommand(Command::new("shell").arg(name()).arg(nodes()))
        .subcommand(
            Command::new("nat")
                .args([name(), flag("json"), flag("watch"), flag("all")])
                .arg(nodes()),
        )
        .subcommand(Command::new("reboot").arg(name()).arg(nodes()))
        .subcommand(Command::new("renumber").arg(name()).arg(sides("side")))
        .subcommand(
            Command::new("roam")
                .args([name(), Arg::new("host")])
                .arg(sides("side")),
        )
        .subcommand(Command::new("link").arg(name()).arg(sides("side")))
        .subcommand(Command::new("flood").arg(name()).arg(sides("side")))
        .subcommand(
            Command::new("expect")
                .arg(flag("json"))
                .arg(Arg::new("a").value_parser(types()))
                .arg(Arg::new("b").value_parser(types())),
        )
        .subcommand(Command::new("status").arg(flag("json")))
        .subcommand(Command::new("down").args([name(), flag("all")]))
        .subcommand(
            Command::new("matrix")
                .args(lab_options().map(|arg| match arg.get_id() == "json" {
                    true => file("json"),
                    false => arg,
                }))
                .args(command_options())
                .args(formats())
                .arg(Arg::new("type").num_args(0..).value_parser(types())),
        )
        .subcommand(Command::new("list").arg(flag("json")))
        .subcommand(Command::new("doctor").arg(flag("json")))
}

/// The sides of a lab with two.
fn sides(name: &'static str) -> Arg {
    Arg::new(name).value_parser(PossibleValuesParser::new(["alice", "bob"]))
}

/// What a command of the user's takes, in a lab or in a matrix.
fn command_options() -> [Arg; 8] {
    [
        flag("both"),
        flag("each"),
        flag("strict"),
        option("until"),
        option("timeout"),
        option("runs"),
        option("jobs"),
        folder("output"),
    ]
}

/// The files that a matrix is written to, beside JSON.
fn formats() -> [Arg; 3] {
    ["markdown", "junit", "html"].map(file)
}

/// What every lab takes.
fn lab_options() -> [Arg; 11] {
    [
        flag("json"),
        flag("install"),
        flag("same-lan"),
        flag("no-verify"),
        option("loss"),
        option("delay"),
        option("link"),
        option("prefix"),
        file("profile"),
        folder("pcap"),
        file("trace"),
    ]
}

fn name() -> Arg {
    option("name")
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn option(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_hint(ValueHint::Other)
}

fn file(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_hint(ValueHint::FilePath)
}

fn folder(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_hint(ValueHint::DirPath)
}

/// The man page: the help text as it is, its first line as the summary.
fn page(help: &str) -> String {
    let (first, rest) = help.split_once('\n').unwrap_or((help, ""));
    let mut page = man::head(NAME, first.trim_end_matches('.'));
    page += ".SH DESCRIPTION\n.nf\n";
    for line in rest.trim_start_matches('\n').lines() {
        page += &man::escaped(line);
        page.push('\n');
    }
    page += ".fi\n.SH SEE ALSO\n";
    let others = [
        "natprobe",
        "punch",
        "chat",
        "rendezvous",
        "nattrace",
        "natlink",
        "labreport",
    ];
    page += &others.map(|tool| format!(".BR {tool} (1)")).join(",\n");
    page.push('\n');
    page
}

//! The file of `--config`: TOML, in which each key is the long name of an option. It becomes arguments that stand
//! before those that were typed, so both have one meaning; an option that was typed is left out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};
use toml::de::{DeTable, DeValue};

use crate::options::Options;

/// What only makes sense when it is typed.
const TYPED_ONLY: [&str; 4] = ["config", "check-config", "help", "version"];

/// What was typed, filled up from the file.
pub struct Given {
    pub options: Options,
    /// The value of each option that has one, by its long name.
    pub values: BTreeMap<String, Vec<String>>,
}

/// Why it cannot be run.
pub enum Problem {
    /// What was typed is wrong, or asks for help.
    Typed(clap::Error),
    /// The file is.
    File(anyhow::Error),
}

/// Reads the arguments (the first is the program's name), and the file that they name.
///
/// # Errors
/// When either is wrong.
pub fn gather(typed: &[OsString]) -> Result<Given, Problem> {
    let command = Options::command();
    let (program, typed) = typed.split_at(typed.len().min(1));
    let mut words = program.to_vec();
    if let Some(file) = config_of(typed) {
        words.extend(arguments(&command, &file, typed).map_err(Problem::File)?);
    }
    words.extend_from_slice(typed);
    let matches = command.clone().try_get_matches_from(words);
    let matches = matches.map_err(Problem::Typed)?;
    let options = Options::from_arg_matches(&matches).map_err(Problem::Typed)?;
    let values = values(&command, &matches);
    Ok(Given { options, values })
}

impl Given {
    /// The options as a file for `--config`.
    pub fn to_toml(&self) -> String {
        let command = Options::command();
        let mut text = String::new();
        for (name, values) in &self.values {
            let many = named(&command, name).is_some_and(is_list);
            let written: Vec<String> = values.iter().map(|value| written(value)).collect();
            let value = match many {
                true => format!("[{}]", written.join(", ")),
                false => written.concat(),
            };
            text += &format!("{name} = {value}\n");
        }
        text
    }

    /// The names of the options whose values differ.
    pub fn differing(&self, other: &Given) -> Vec<String> {
        let both: BTreeMap<_, ()> = [self, other]
            .into_iter()
            .flat_map(|given| given.values.keys().map(|name| (name, ())))
            .collect();
        let differs = |name: &&String| self.values.get(*name) != other.values.get(*name);
        both.into_keys().filter(differs).cloned().collect()
    }
}

/// A value as TOML has it.
fn written(value: &str) -> String {
    let plain = value.parse::<i64>().is_ok() || ["true", "false"].contains(&value);
    match plain {
        true => value.to_owned(),
        false => toml::Value::from(value).to_string(),
    }
}

/// The file that `--config` names.
fn config_of(typed: &[OsString]) -> Option<PathBuf> {
    let mut words = typed.iter();
    while let Some(word) = words.next() {
        match word.to_str() {
            Some("--config") => return words.next().map(PathBuf::from),
            Some(word) => {
                if let Some(file) = word.strip_prefix("--config=") {
                    return Some(file.into());
                }
            }
            None => {}
        }
    }
    None
}

fn is_typed(typed: &[OsString], name: &str) -> bool {
    let is = |word: &str| {
        let word = word
            .strip_prefix("--")
            .and_then(|word| word.strip_prefix(name));
        word.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    typed.iter().filter_map(|word| word.to_str()).any(is)
}

/// The arguments that the file stands for, without those that are typed.
fn arguments(command: &Command, file: &Path, typed: &[OsString]) -> anyhow::Result<Vec<OsString>> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("--config {}", file.display()))?;
    let mut words = Vec::new();
    let at = |position: usize| {
        let line = 1 + text[..position].matches('\n').count();
        format!("--config {}: line {line}", file.display())
    };
    let table = DeTable::parse(&text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        anyhow::anyhow!("{place}: {}", error.message())
    })?;
    for (key, value) in table.get_ref() {
        let name = key.get_ref();
        let place = || at(key.span().start);
        let option = named(command, name).filter(|_| !TYPED_ONLY.contains(&&**name));
        let option = option
            .ok_or_else(|| unknown(command, name))
            .with_context(place)?;
        let arguments = of_value(option, name, value.get_ref()).with_context(place)?;
        check(command, name, &arguments).with_context(place)?;
        if !is_typed(typed, name) {
            words.extend(arguments);
        }
    }
    Ok(words)
}

fn named<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|option| option.get_long() == Some(name))
}

fn is_list(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Append)
}

/// Says which option has a name like that.
fn unknown(command: &Command, name: &str) -> anyhow::Error {
    let tried = command
        .clone()
        .try_get_matches_from(["rendezvous", &format!("--{name}")]);
    let near = tried
        .err()
        .and_then(|error| match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(near)) => Some(near.trim_start_matches('-').to_owned()),
            _ => None,
        });
    let near = near.filter(|near| !TYPED_ONLY.contains(&&**near));
    match near {
        Some(near) => anyhow::anyhow!("there is no option {name}. Did you mean {near}?"),
        None => anyhow::anyhow!("there is no option {name}: see rendezvous --help"),
    }
}

/// What would be typed for this key and value.
fn of_value(option: &Arg, name: &str, value: &DeValue<'_>) -> anyhow::Result<Vec<OsString>> {
    let is_switch = matches!(option.get_action(), ArgAction::SetTrue);
    let word = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(format!("--{name}={text}").into()),
        DeValue::Integer(number) => Ok(format!("--{name}={number}").into()),
        _ => anyhow::bail!(
            "the value of {name} is {}, not a text or a number",
            kind(value)
        ),
    };
    match value {
        DeValue::Boolean(true) if is_switch => Ok(vec![format!("--{name}").into()]),
        DeValue::Boolean(false) if is_switch => Ok(Vec::new()),
        _ if is_switch => anyhow::bail!("{name} is true or false"),
        DeValue::Array(values) if is_list(option) => {
            values.iter().map(|value| word(value.get_ref())).collect()
        }
        value => Ok(vec![word(value)?]),
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Boolean(_) => "true or false",
        DeValue::Float(_) => "a number with a point",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
        DeValue::String(_) | DeValue::Integer(_) => "a value",
    }
}

/// Whether the option takes this value, whatever else is given.
fn check(command: &Command, name: &str, arguments: &[OsString]) -> anyhow::Result<()> {
    let relay = (name != "relay").then(|| OsString::from("--relay"));
    let words = std::iter::once("rendezvous".into()).chain(relay);
    let tried = command
        .clone()
        .try_get_matches_from(words.chain(arguments.iter().cloned()));
    tried.map(drop).map_err(|error| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        anyhow::anyhow!("{}", first.trim_start_matches("error: "))
    })
}

/// The value of each option, defaults included.
fn values(command: &Command, matches: &ArgMatches) -> BTreeMap<String, Vec<String>> {
    let text = |value: &OsStr| value.to_string_lossy().into_owned();
    let options = command.get_arguments().filter_map(|option| {
        let name = option
            .get_long()
            .filter(|name| !TYPED_ONLY.contains(name))?;
        let values = matches.get_raw(option.get_id().as_str())?;
        Some((name.to_owned(), values.map(text).collect()))
    });
    let mut values: BTreeMap<_, Vec<_>> = options.collect();
    if !matches.get_flag("relay") {
        // They have defaults, and cannot be given.
        values.retain(|name, _| !name.starts_with("relay-"));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a file with this text, and of what is typed beside it.
    fn given(test: &str, text: &str, typed: &[&str]) -> Result<Given, String> {
        let name = format!("pinhole-config-{test}-{}", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, text).unwrap();
        let words = ["rendezvous", "--config", file.to_str().unwrap()];
        let words: Vec<OsString> = words.iter().chain(typed).map(OsString::from).collect();
        let given = gather(&words);
        std::fs::remove_file(&file).unwrap();
        given.map_err(|problem| match problem {
            Problem::File(error) => {
                let said = format!("{error:#}");
                said.replace(file.to_str().unwrap(), "FILE")
            }
            Problem::Typed(error) => error.to_string(),
        })
    }

    #[test]
    fn a_key_means_what_the_option_means() {
        let text = "# ours\nip = \"203.0.113.1\"\nrate = 100\nrelay = true\njson = false\n\
                    relay-allow = [\"10.0.0.0/8\", \"fd00::1\"]\nstate = \"a b\"\nmetrics = 9110\n";
        let file = given("means", text, &[]).unwrap();
        let words = "--ip 203.0.113.1 --rate 100 --relay --relay-allow 10.0.0.0/8 --relay-allow fd00::1 --metrics 9110";
        let mut words: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        words.extend(["--state".into(), "a b".into()]);
        words.insert(0, "rendezvous".into());
        let Ok(typed) = gather(&words) else {
            panic!("it is right");
        };
        assert_eq!(file.values, typed.values);
        assert_eq!(file.differing(&typed), [""; 0]);
        assert_eq!(file.options.rate, 100);
        assert!(file.values.contains_key("relay-total"), "{:?}", file.values);
        // What is printed is the same file again.
        let again = given("again", &file.to_toml(), &[]).unwrap();
        assert_eq!(again.values, file.values);
    }

    #[test]
    fn what_is_typed_wins() {
        let text = "rate = 100\nrelay = true\nrelay-allow = [\"10.0.0.0/8\"]\nport = 5\n";
        let typed = ["--rate=7", "--relay-allow", "fd00::/8", "--port", "6"];
        let given = given("wins", text, &typed).unwrap();
        for (name, value) in [
            ("rate", "7"),
            ("relay-allow", "fd00::/8"),
            ("port", "6"),
            ("relay", "true"),
        ] {
            assert_eq!(given.values[name], [value], "{name}");
        }
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_line() {
        for (text, said) in [
            (
                "\nrte = 5\n",
                "line 2: there is no option rte. Did you mean rate?",
            ),
            (
                "relay_total = 5",
                "line 1: there is no option relay_total. Did you mean relay-total?",
            ),
            (
                "xyzzy = 5",
                "line 1: there is no option xyzzy: see rendezvous --help",
            ),
            (
                "config = \"x\"",
                "line 1: there is no option config: see rendezvous --help",
            ),
            ("[relay]\ntotal = 5", "line 1: relay is true or false"),
            ("relay = 5", "line 1: relay is true or false"),
            (
                "rate = true",
                "line 1: the value of rate is true or false, not a text or a number",
            ),
            (
                "rate = [5]",
                "line 1: the value of rate is a list, not a text or a number",
            ),
            (
                "rate = \"many\"",
                "line 1: invalid value 'many' for '--rate <RATE>'",
            ),
            (
                "relay-rate = 5",
                "line 1: invalid value '5' for '--relay-rate <BYTES>'",
            ),
            ("rate = 5\nrate = 6", "line 2: "),
            ("rate = \n", "line 1: "),
        ] {
            let Err(error) = given("wrong", text, &[]) else {
                panic!("{text} is taken");
            };
            let wanted = format!("--config FILE: {said}");
            assert!(error.starts_with(&wanted), "{text}: {error}");
        }
        let missing = ["rendezvous", "--config", "/nonexistent/x"].map(OsString::from);
        let Err(Problem::File(error)) = gather(&missing) else {
            panic!("there is no such file");
        };
        assert!(error.to_string().contains("/nonexistent/x"), "{error}");
    }

    #[test]
    fn what_differs_is_named() {
        let one = given("one", "rate = 5\nrelay = true\n", &[]).unwrap();
        let other = given("other", "rate = 6\nkey = \"k\"\nrelay = true\n", &[]).unwrap();
        assert_eq!(one.differing(&other), ["key", "rate"]);
    }
}

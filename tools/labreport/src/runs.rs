//! The runs of a command between one pair of types, and what they come to together.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use crate::cell::{NO_LAB, Outcome};
use crate::input::Raw;

/// One run of the command, in a lab of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// From 1 on.
    pub number: u32,
    /// Yes or no. `None`: the command could not tell.
    pub got: Option<Outcome>,
    /// `None`: it was ended by the timeout, or there was no lab.
    #[serde(default)]
    pub exit_code: Option<u8>,
    /// How long the command ran, in milliseconds.
    #[serde(default)]
    pub elapsed_ms: Option<f64>,
    /// Why it could not tell.
    #[serde(default)]
    pub cause: Option<String>,
    /// The files that its output is in.
    #[serde(default)]
    pub logs: Vec<String>,
}

impl Run {
    /// The run of a lab that did not come up.
    fn lost(number: u32) -> Self {
        Self {
            number,
            got: None,
            exit_code: None,
            elapsed_ms: None,
            cause: Some(format!("{NO_LAB}: the lab of run {number} did not come up")),
            logs: Vec::new(),
        }
    }
}

/// What several runs come to.
#[derive(Debug, PartialEq, Serialize)]
pub struct Tally {
    /// Yes or no where all runs have that result, mixed where some have the one
    /// and some the other. `None`: one could not tell.
    pub got: Option<Outcome>,
    /// The middle one, in milliseconds.
    pub elapsed_ms: Option<f64>,
    /// Why the first that could not tell could not.
    pub cause: Option<String>,
}

impl Tally {
    /// Of these runs.
    pub fn of(runs: &[Run]) -> Self {
        let all = |wanted| runs.iter().all(|run| run.got == Some(wanted));
        let told = |run: &Run| matches!(run.got, Some(Outcome::Yes | Outcome::No));
        let mut times: Vec<f64> = runs.iter().filter_map(|run| run.elapsed_ms).collect();
        times.sort_by(f64::total_cmp);
        Self {
            got: match () {
                () if !runs.iter().all(told) => None,
                () if all(Outcome::Yes) => Some(Outcome::Yes),
                () if all(Outcome::No) => Some(Outcome::No),
                () => Some(Outcome::Mixed),
            },
            elapsed_ms: times.get(times.len() / 2).copied(),
            cause: runs
                .iter()
                .find(|run| !told(run))
                .and_then(|run| run.cause.clone()),
        }
    }
}

/// The cell `first` with the runs and the other fields of `second`, which is of the same pair.
///
/// # Errors
/// When one of them is not an object.
pub fn merged(first: &Raw, second: &Raw, mut runs: Vec<Run>) -> anyhow::Result<Raw> {
    let mut cell = fields(first)?;
    for (name, value) in fields(second)? {
        cell.entry(name).or_insert(value);
    }
    runs.sort_by_key(|run| run.number);
    let tally = Tally::of(&runs);
    for (name, value) in [
        ("runs", json!(runs)),
        ("got", json!(tally.got)),
        ("elapsed_ms", json!(tally.elapsed_ms)),
        ("cause", json!(tally.cause)),
    ] {
        cell.insert(name.into(), value);
    }
    Ok(to_raw_value(&cell)?)
}

/// The cell with a lost run for each number up to `wanted` that it does not have; `None` if it has all.
///
/// # Errors
/// When it is not an object.
pub fn completed(raw: &Raw, runs: &[Run], wanted: u32) -> anyhow::Result<Option<Raw>> {
    let has = |number| runs.iter().any(|run| run.number == number);
    let lost: Vec<_> = (1..=wanted).filter(|n| !has(*n)).map(Run::lost).collect();
    if lost.is_empty() {
        return Ok(None);
    }
    merged(raw, raw, [runs, lost.as_slice()].concat()).map(Some)
}

fn fields(raw: &Raw) -> anyhow::Result<Map<String, Value>> {
    serde_json::from_str(raw.get()).context("a cell is not an object")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn run(number: u32, got: Option<Outcome>) -> Run {
        Run {
            number,
            got,
            exit_code: Some(match got {
                Some(Outcome::Yes) => 0,
                Some(_) => 1,
                None => 127,
            }),
            elapsed_ms: Some(f64::from(number) * 10.0),
            cause: got
                .is_none()
                .then(|| format!("exit code 127 of run {number}")),
            logs: vec![format!("out/run-{number}.log")],
        }
    }

    #[test]
    fn one_run_that_could_not_tell_outweighs_the_others() {
        let (yes, no) = (Some(Outcome::Yes), Some(Outcome::No));
        for (runs, got) in [
            (vec![yes, yes], yes),
            (vec![no, no], no),
            (vec![yes, no], Some(Outcome::Mixed)),
            (vec![yes, None, no], None),
        ] {
            let runs: Vec<_> = (1..).zip(runs).map(|(n, got)| run(n, got)).collect();
            assert_eq!(Tally::of(&runs).got, got, "{runs:?}");
        }
        let tally = Tally::of(&[run(3, yes), run(1, yes), run(2, None)]);
        assert_eq!(tally.elapsed_ms, Some(20.0));
        assert_eq!(tally.cause.as_deref(), Some("exit code 127 of run 2"));
    }

    #[test]
    fn a_run_without_a_lab_is_not_left_out() {
        let raw: Raw = serde_json::from_str(r#"{"a":"x","b":"y","got":"yes"}"#).unwrap();
        let runs = [run(2, Some(Outcome::Yes))];
        assert!(
            completed(&raw, &[run(1, None), run(2, None)], 2)
                .unwrap()
                .is_none()
        );
        let cell = completed(&raw, &runs, 2).unwrap().unwrap();
        let cell: serde_json::Value = serde_json::from_str(cell.get()).unwrap();
        assert_eq!(
            cell["runs"][0]["cause"],
            "NO_LAB: the lab of run 1 did not come up"
        );
        assert!(cell["got"].is_null());
        assert_eq!(cell["a"], "x");
    }
}

//! What the scripts write: lines of fields with a tab between them.

use std::fmt;
use std::io::BufRead;

use anyhow::{Context, bail};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use crate::{Verdict, say};

/// One line. Its fields keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record(Vec<(String, Value)>);

impl Record {
    /// A line of `KEY=TEXT`, `KEY:=JSON` and `KEY@=FILE`. An empty JSON or file
    /// is null: the program that should have written it did not.
    ///
    /// # Errors
    /// What is wrong with which field.
    pub fn parse(line: &str) -> anyhow::Result<Self> {
        let fields = line.split('\t').map(|field| {
            let Some((key, value)) = field.split_once('=') else {
                bail!("the field \"{field}\" is not KEY=TEXT");
            };
            if let Some(key) = key.strip_suffix(':') {
                return Ok((key.to_owned(), json(value).with_context(|| key.to_owned())?));
            }
            let Some(key) = key.strip_suffix('@') else {
                return Ok((key.to_owned(), value.into()));
            };
            let text = std::fs::read_to_string(value);
            let text = text.with_context(|| format!("cannot read {value}"))?;
            Ok((
                key.to_owned(),
                json(&text).with_context(|| value.to_owned())?,
            ))
        });
        Ok(Self(fields.collect::<anyhow::Result<_>>()?))
    }

    /// The value of that key, null without one.
    pub fn get(&self, key: &str) -> &Value {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map_or(&Value::Null, |(_, value)| value)
    }

    /// The text of that key, empty without one.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).as_str().unwrap_or_default()
    }
}

fn json(text: &str) -> anyhow::Result<Value> {
    match text.trim() {
        "" => Ok(Value::Null),
        text => serde_json::from_str(text).context("not JSON"),
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

/// All records on standard input.
///
/// # Errors
/// Which line is wrong, and why.
pub fn read() -> anyhow::Result<Vec<Record>> {
    let lines = std::io::stdin().lock().lines().enumerate();
    lines
        .map(|(number, line)| {
            let line = line.context("cannot read standard input")?;
            Record::parse(&line).with_context(|| format!("record {}", number + 1))
        })
        .collect()
}

/// Prints the records on standard input as JSON.
///
/// # Errors
/// As [`read`].
pub fn run(lines: bool) -> anyhow::Result<Verdict> {
    let records = read()?.into_iter().map(|record| record.to_string());
    let records = Vec::from_iter(records);
    match lines {
        true => records
            .iter()
            .try_for_each(|record| say(&format!("{record}\n")))?,
        false => say(&format!("[{}]\n", records.join(",\n")))?,
    }
    Ok(Verdict::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text_and_json_is_read() {
        let record = Record::parse("name=12\tpid:=7\tnone:=\tsays=a=b \"c\"").unwrap();
        assert_eq!(
            record.to_string(),
            r#"{"name":"12","pid":7,"none":null,"says":"a=b \"c\""}"#
        );
        assert_eq!((record.text("name"), record.text("gone")), ("12", ""));
    }

    #[test]
    fn a_damaged_field_is_named() {
        for (line, says) in [
            ("a=1\tb", "the field \"b\""),
            ("report:={\"cut\":", "report"),
            ("report@=/nowhere/x", "cannot read /nowhere/x"),
        ] {
            let error = format!("{:#}", Record::parse(line).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
    }
}

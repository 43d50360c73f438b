//! Tab-separated lines as JSON objects, so that scripts need not print JSON.

use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::args::JsonArgs;
use crate::{input, output};

/// A column: what it is called and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Number,
    Truth,
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, kind) = match text.split_once(':') {
            None => (text, Kind::Text),
            Some((name, "number")) => (name, Kind::Number),
            Some((name, "truth")) => (name, Kind::Truth),
            Some((_, kind)) => return Err(format!("there is no kind {kind:?}: number or truth")),
        };
        let name = name.into();
        Ok(Self { name, kind })
    }
}

impl Field {
    fn value(&self, word: &str) -> anyhow::Result<Value> {
        let wrong = || format!("{} cannot be {word:?}", self.name);
        Ok(match self.kind {
            Kind::Text => word.into(),
            _ if word.is_empty() => Value::Null,
            Kind::Number => word.parse::<i64>().with_context(wrong)?.into(),
            Kind::Truth => {
                let truth: Option<bool> = serde_json::from_str(word).with_context(wrong)?;
                truth.into()
            }
        })
    }
}

/// Reads stdin and prints the objects.
///
/// # Errors
/// When a line does not have these columns, or stdout cannot be written.
pub fn run(args: &JsonArgs) -> anyhow::Result<Answer> {
    let text = input::text(Path::new("-"))?;
    output::print(&objects(&text, &args.fields, args.list.as_deref())?)?;
    Ok(Answer::Yes)
}

/// A report for each line, or one of all lines.
pub fn objects(text: &str, fields: &[Field], list: Option<&str>) -> anyhow::Result<String> {
    let objects = text
        .lines()
        .map(|line| object(line, fields).with_context(|| format!("the line {line:?}")));
    let objects: Vec<Value> = objects.collect::<Result<_, _>>()?;
    Ok(match list {
        Some(name) => {
            let lines = objects.iter().map(Value::to_string);
            output::list(name, &lines.collect::<Vec<_>>())
        }
        None => objects
            .iter()
            .map(output::report)
            .collect::<Result<_, _>>()?,
    })
}

fn object(line: &str, fields: &[Field]) -> anyhow::Result<Value> {
    let words: Vec<&str> = line.split('\t').collect();
    let (has, wants) = (words.len(), fields.len());
    anyhow::ensure!(has == wants, "it has {has} columns, not {wants}");
    let entries = fields.iter().zip(words);
    let entries = entries.map(|(field, word)| Ok((field.name.clone(), field.value(word)?)));
    let object: Map<_, _> = entries.collect::<anyhow::Result<_>>()?;
    Ok(object.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(words: &str) -> Vec<Field> {
        words.split(' ').map(|word| word.parse().unwrap()).collect()
    }

    #[test]
    fn a_line_is_an_object_with_its_keys_in_order() {
        let fields = fields("name pid:number up:truth a");
        let text = "z\t4711\ttrue\tsays \"hi\"\\\n\t\t\t\nx\t-1\tnull\té\u{1}\n";
        let written = objects(text, &fields, None).unwrap();
        for (line, end) in written.lines().zip([
            "\"name\":\"z\",\"pid\":4711,\"up\":true,\"a\":\"says \\\"hi\\\"\\\\\"}",
            "\"name\":\"\",\"pid\":null,\"up\":null,\"a\":\"\"}",
            "\"name\":\"x\",\"pid\":-1,\"up\":null,\"a\":\"é\\u0001\"}",
        ]) {
            assert!(
                line.starts_with("{\"schema\":1,") && line.ends_with(end),
                "{line}"
            );
        }
        assert_eq!(written.lines().count(), 3);
    }

    #[test]
    fn a_list_has_them_all_one_on_a_line() {
        let fields = fields("name");
        let none: Value =
            serde_json::from_str(&objects("", &fields, Some("labs")).unwrap()).unwrap();
        assert_eq!(
            (&none["schema"], &none["labs"]),
            (&1.into(), &Value::Array(vec![]))
        );
        let two = objects("a\nb\n", &fields, Some("labs")).unwrap();
        let end = ",\"labs\":[\n{\"name\":\"a\"},\n{\"name\":\"b\"}\n]}\n";
        assert!(two.ends_with(end), "{two}");
    }

    #[test]
    fn a_line_that_does_not_fit_is_an_error() {
        for (line, kinds, reason) in [
            ("a\tb", "name", "it has 2 columns, not 1"),
            ("a", "name pid:number", "it has 1 columns, not 2"),
            ("x", "pid:number", "pid cannot be \"x\""),
            ("yes", "up:truth", "up cannot be \"yes\""),
        ] {
            let error = objects(line, &fields(kinds), None).unwrap_err();
            assert!(format!("{error:#}").contains(reason), "{error:#}");
        }
        assert!("pid:float".parse::<Field>().is_err());
    }
}

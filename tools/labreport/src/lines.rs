//! Tab-separated lines as JSON objects, so that scripts need not print JSON.

use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

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

/// An object whose keys keep their order.
struct Object<'a>(Vec<(&'a str, Value)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Reads stdin and prints the objects.
///
/// # Errors
/// When a line does not have these columns, or stdout cannot be written.
pub fn run(args: &JsonArgs) -> anyhow::Result<Answer> {
    let text = input::text(Path::new("-"))?;
    output::print(&objects(&text, &args.fields, args.array)?)?;
    Ok(Answer::Yes)
}

pub fn objects(text: &str, fields: &[Field], array: bool) -> anyhow::Result<String> {
    let objects: Vec<String> = text
        .lines()
        .map(|line| object(line, fields).with_context(|| format!("the line {line:?}")))
        .collect::<Result<_, _>>()?;
    Ok(match array {
        true => format!("[{}]\n", objects.join(",\n")),
        false => objects.iter().map(|object| format!("{object}\n")).collect(),
    })
}

fn object(line: &str, fields: &[Field]) -> anyhow::Result<String> {
    let words: Vec<&str> = line.split('\t').collect();
    let (has, wants) = (words.len(), fields.len());
    anyhow::ensure!(has == wants, "it has {has} columns, not {wants}");
    let entries = fields.iter().zip(words);
    let entries = entries.map(|(field, word)| Ok((field.name.as_str(), field.value(word)?)));
    let object = Object(entries.collect::<anyhow::Result<_>>()?);
    Ok(serde_json::to_string(&object)?)
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
        assert_eq!(
            objects(text, &fields, false).unwrap(),
            "{\"name\":\"z\",\"pid\":4711,\"up\":true,\"a\":\"says \\\"hi\\\"\\\\\"}\n\
             {\"name\":\"\",\"pid\":null,\"up\":null,\"a\":\"\"}\n\
             {\"name\":\"x\",\"pid\":-1,\"up\":null,\"a\":\"é\\u0001\"}\n"
        );
    }

    #[test]
    fn an_array_has_them_all() {
        let fields = fields("name");
        assert_eq!(objects("", &fields, true).unwrap(), "[]\n");
        let two = objects("a\nb\n", &fields, true).unwrap();
        assert_eq!(two, "[{\"name\":\"a\"},\n{\"name\":\"b\"}]\n");
    }

    #[test]
    fn a_line_that_does_not_fit_is_an_error() {
        for (line, kinds, reason) in [
            ("a\tb", "name", "it has 2 columns, not 1"),
            ("a", "name pid:number", "it has 1 columns, not 2"),
            ("x", "pid:number", "pid cannot be \"x\""),
            ("yes", "up:truth", "up cannot be \"yes\""),
        ] {
            let error = objects(line, &fields(kinds), false).unwrap_err();
            assert!(format!("{error:#}").contains(reason), "{error:#}");
        }
        assert!("pid:float".parse::<Field>().is_err());
    }
}

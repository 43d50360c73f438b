//! The version of the JSON reports.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// The field `schema` of a report: which version of the JSON reports it has.
///
/// Written, it is [`Schema::VERSION`]. Read, it is checked: a report of a later version may mean something else
/// by the same field, so it is refused. A report without this field is older than it, and is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schema;

impl Schema {
    /// This grows when a field is removed, renamed, or changes its meaning or unit; not when one is added.
    pub const VERSION: u64 = 1;
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::VERSION)
    }
}

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = u64::deserialize(deserializer)?;
        if version <= Self::VERSION {
            return Ok(Self);
        }
        Err(D::Error::custom(format_args!(
            "it has schema {version}, and this program reads schemas up to {}: use a later version of it",
            Self::VERSION
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_later_schema_is_refused() {
        #[derive(Debug, serde::Deserialize)]
        struct Report {
            #[serde(default, rename = "schema")]
            _schema: Schema,
        }
        let read = serde_json::from_str::<Report>;
        assert_eq!(serde_json::to_string(&Schema).unwrap(), "1");
        assert!(read("{}").is_ok());
        assert!(read(r#"{"schema": 1}"#).is_ok());
        let later = read(r#"{"schema": 2}"#).unwrap_err().to_string();
        assert!(
            later.contains("schema 2, and this program reads schemas up to 1"),
            "{later}"
        );
        assert!(read(r#"{"schema": "1"}"#).is_err());
    }
}

//! The version of the JSON reports.

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

/// The field `format` of a report: which version of the JSON formats it has.
///
/// Written, it is [`Format::VERSION`]. Read, it is checked: a report of a later version may mean something else
/// by the same field, so it is refused. A report without this field is older than it, and is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Format;

impl Format {
    /// This grows when a field is removed, renamed, or changes its meaning or unit; not when one is added.
    pub const VERSION: u64 = 1;
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(Self::VERSION)
    }
}

impl<'de> Deserialize<'de> for Format {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = u64::deserialize(deserializer)?;
        if version <= Self::VERSION {
            return Ok(Self);
        }
        Err(D::Error::custom(format_args!(
            "it has format {version}, and this program reads formats up to {}: use a later version of it",
            Self::VERSION
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_a_later_format_is_refused() {
        #[derive(Debug, serde::Deserialize)]
        struct Report {
            #[serde(default, rename = "format")]
            _format: Format,
        }
        let read = serde_json::from_str::<Report>;
        assert_eq!(serde_json::to_string(&Format).unwrap(), "1");
        assert!(read("{}").is_ok());
        assert!(read(r#"{"format": 1}"#).is_ok());
        let later = read(r#"{"format": 2}"#).unwrap_err().to_string();
        assert!(
            later.contains("format 2, and this program reads formats up to 1"),
            "{later}"
        );
        assert!(read(r#"{"format": "1"}"#).is_err());
    }
}

//! A report of natprobe that was stored in a file: `natprobe --json >FILE`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nat::Schema;
use nat::plan::Side;
use serde::Deserialize;

/// What a stored report says, as far as another tool needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// The NAT, for a plan; with the default limits.
    pub side: Side,
    /// How long a mapping survived without a packet, if `--lifetime` was
    /// measured.
    pub lifetime: Option<Duration>,
}

/// Why a report cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file cannot be read.
    #[error("cannot read the report {path}: {why}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says; part of the message, so not a `source`.
        why: io::Error,
    },
    /// The file has something else in it.
    #[error("{path} is not a natprobe report: {why}. Write one with: natprobe --json >FILE")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where it differs; part of the message, so not a `source`.
        why: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default, rename = "schema")]
    _schema: Schema,
    #[serde(flatten)]
    side: Side,
    lifetime: Option<Lifetime>,
}

#[derive(Deserialize)]
struct Lifetime {
    /// The longest silence that a mapping survived.
    alive_s: Option<u64>,
}

impl StoredReport {
    /// Reads the report in a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a report.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let text = std::fs::read_to_string(path).map_err(|why| ReportError::Read {
            path: path.to_owned(),
            why,
        })?;
        Self::parse(&text).map_err(|why| ReportError::Malformed {
            path: path.to_owned(),
            why,
        })
    }

    fn parse(text: &str) -> serde_json::Result<Self> {
        let Fields { side, lifetime, .. } = serde_json::from_str(text)?;
        let alive = lifetime.and_then(|lifetime| lifetime.alive_s);
        Ok(StoredReport {
            side,
            lifetime: alive.map(Duration::from_secs),
        })
    }
}

#[cfg(test)]
mod tests {
    use nat::plan::Ports;
    use nat::{Behaviour, Dependence};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_tells_the_nat_and_how_long_a_mapping_lives() {
        let behaviour = Behaviour::translated(
            Dependence::EndpointIndependent,
            Dependence::AddressDependent,
        );
        let mut report = json!(behaviour);
        report["allocation"] = json!({"step": 2, "range": [40000, 40511], "policy": "sequential"});
        let read = StoredReport::parse(&report.to_string()).unwrap();
        assert_eq!(read.side.behaviour, behaviour);
        assert_eq!(read.side.ports, Ports::Sequential(2));
        assert_eq!(read.lifetime, None);
        for (lifetime, read) in [
            (json!(null), None),
            (json!({"alive_s": null}), None),
            (json!({"alive_s": 30}), Some(Duration::from_secs(30))),
        ] {
            report["lifetime"] = lifetime;
            let report = StoredReport::parse(&report.to_string()).unwrap();
            assert_eq!(report.lifetime, read);
        }
    }

    #[test]
    fn a_report_of_a_later_schema_is_refused() {
        let later = StoredReport::parse(r#"{"schema": 2, "nat": true}"#).unwrap_err();
        assert!(later.to_string().contains("use a later version"), "{later}");
    }

    #[test]
    fn an_error_names_the_file() {
        let missing = StoredReport::read(Path::new("/nowhere/report.json"));
        let text = missing.unwrap_err().to_string();
        assert!(text.starts_with("cannot read the report /nowhere/report.json: "));
        let this = StoredReport::read(Path::new("src/report.rs"));
        let text = this.unwrap_err().to_string();
        assert!(
            text.starts_with("src/report.rs is not a natprobe report: "),
            "{text}"
        );
    }
}

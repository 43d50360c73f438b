//! What every JSON report begins with: its schema, the tool that made it, and when.

use nat::Schema;
use serde::Serialize;
use serde_json::Value;

/// A report with its head. The head has the fields `schema`, `tool`, `version` and `time`.
#[derive(Debug, Serialize)]
pub struct Headed<T> {
    schema: Schema,
    tool: &'static str,
    version: &'static str,
    time: String,
    #[serde(flatten)]
    report: T,
}

impl<T: Serialize> Headed<T> {
    /// The report of `tool`, made now. It must serialize as an object.
    pub fn now(tool: &'static str, report: T) -> Self {
        Self {
            schema: Schema,
            tool,
            // All crates have the version of the workspace.
            version: env!("CARGO_PKG_VERSION"),
            time: crate::log::time(),
            report,
        }
    }

    /// It as JSON on one line.
    ///
    /// # Errors
    /// When the report is not an object.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

/// An event, whose first field is its name, with the time of now as the second field.
pub fn timed(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        let second = fields.len().min(1);
        fields.shift_insert(second, "time".to_owned(), crate::log::time().into());
    }
    event
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_head_comes_first_and_the_report_keeps_its_order() {
        let text = Headed::now("natprobe", json!({"z": 1, "a": 2}));
        let text = text.to_json().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        let names: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(names, ["schema", "tool", "version", "time", "z", "a"]);
        assert_eq!(value["schema"], 1);
        assert_eq!(value["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn an_event_has_its_name_first_and_then_its_time() {
        let event = timed(json!({"event": "lost", "a": 1}));
        let names: Vec<_> = event.as_object().unwrap().keys().collect();
        assert_eq!(names, ["event", "time", "a"]);
    }

    #[test]
    fn a_report_that_is_no_object_is_an_error() {
        assert!(Headed::now("natprobe", 1).to_json().is_err());
    }
}

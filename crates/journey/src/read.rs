//! A trace from its JSON.

use std::fmt;

use crate::Trace;

/// Why a text is not a trace.
#[derive(Debug)]
pub enum ReadError {
    /// It is not JSON, has another shape, or is of a later version.
    Json(serde_json::Error),
    /// This journey has no sighting.
    NoSighting(usize),
    /// There is no journey with the number that a journey or the cause names.
    NoJourney(usize),
}

impl Trace {
    /// Reads the JSON of a trace file.
    ///
    /// # Errors
    /// When it is not a trace, is of a later version, or is not whole: a journey has no sighting, or a number names
    /// no journey.
    ///
    /// ```
    /// let text = r#"{"schema": 1, "started_unix_ns": 0, "nodes": [], "journeys": [], "tables": [], "gaps": [],
    ///                "cause": null}"#;
    /// assert!(journey::Trace::read(text).is_ok());
    /// assert!(journey::Trace::read("{}").is_err());
    /// ```
    pub fn read(text: &str) -> Result<Trace, ReadError> {
        let trace: Trace = serde_json::from_str(text).map_err(ReadError::Json)?;
        let empty = |journey: &&crate::Journey| journey.sightings.is_empty();
        if let Some(journey) = trace.journeys.iter().find(empty) {
            return Err(ReadError::NoSighting(journey.id));
        }
        let of_journeys = trace
            .journeys
            .iter()
            .flat_map(|it| [it.about, it.retransmission_of]);
        let shown = trace.cause.iter().map(|cause| cause.journey);
        let mut named = of_journeys.chain(shown).flatten();
        match named.find(|id| *id >= trace.journeys.len()) {
            Some(id) => Err(ReadError::NoJourney(id)),
            None => Ok(trace),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => error.fmt(f),
            Self::NoSighting(id) => write!(f, "journey {id} has no sighting"),
            Self::NoJourney(id) => {
                write!(f, "it names journey {id}, and has none with that number")
            }
        }
    }
}

impl std::error::Error for ReadError {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ladder::tests::trace;

    /// What is said of a trace with this change.
    fn said(change: impl Fn(&mut Value)) -> String {
        let mut value = serde_json::to_value(trace()).unwrap();
        value["schema"] = json!(1);
        change(&mut value);
        match Trace::read(&value.to_string()) {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_trace_that_is_not_whole_is_refused() {
        let none = "it names journey 999, and has none with that number";
        assert_eq!(said(|_| ()), "read");
        assert_eq!(said(|it| it["journeys"][1]["about"] = json!(999)), none);
        assert_eq!(
            said(|it| it["journeys"][1]["retransmission_of"] = json!(999)),
            none
        );
        assert_eq!(said(|it| it["cause"]["journey"] = json!(999)), none);
        assert_eq!(
            said(|it| it["journeys"][1]["sightings"] = json!([])),
            "journey 1 has no sighting"
        );
        let later = said(|it| it["schema"] = json!(9));
        assert!(later.starts_with("it has schema 9, "), "{later}");
        let without = said(|it| drop(it.as_object_mut().unwrap().remove("schema")));
        assert_eq!(without, "read", "it is earlier than the first schema");
    }
}

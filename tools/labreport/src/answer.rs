//! Yes, no, or could not tell: what every comparison ends in.

use std::process::ExitCode;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The result of a comparison. In one comparison, "could not tell" is not a no;
/// in a matrix, a cell without an answer makes the matrix a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As asked, or as expected.
    Yes,
    /// Something else was measured, or happened.
    No,
    /// There was no measurement or no report to compare.
    CouldNotTell,
}

impl Answer {
    /// Compares `wanted` with `found`; `None` is "not measured".
    pub fn same<T: PartialEq>(wanted: T, found: Option<T>) -> Self {
        match found {
            None => Self::CouldNotTell,
            Some(found) if found == wanted => Self::Yes,
            Some(_) => Self::No,
        }
    }

    /// Both together: no if one is no; else could-not-tell if one is.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::CouldNotTell, _) | (_, Self::CouldNotTell) => Self::CouldNotTell,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }

    /// All of them together; yes if there are none.
    pub fn all(answers: impl IntoIterator<Item = Self>) -> Self {
        answers.into_iter().fold(Self::Yes, Self::and)
    }
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        Self::from(match answer {
            Answer::Yes => 0,
            Answer::No => 1,
            Answer::CouldNotTell => 2,
        })
    }
}

/// `true`, `false`, or `null` for "could not tell".
impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => Some(true),
            Self::No => Some(false),
            Self::CouldNotTell => None,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Option::<bool>::deserialize(deserializer)?;
        Ok(Self::same(true, found))
    }
}

#[cfg(test)]
mod tests {
    use super::Answer::{self, *};

    #[test]
    fn what_was_not_measured_is_neither_yes_nor_no() {
        assert_eq!(Answer::same(1, Some(1)), Yes);
        assert_eq!(Answer::same(1, Some(2)), No);
        assert_eq!(Answer::same(1, None), CouldNotTell);
    }

    #[test]
    fn one_no_outweighs_an_unknown_and_an_unknown_outweighs_a_yes() {
        assert_eq!(Answer::all([]), Yes);
        assert_eq!(Answer::all([Yes, Yes]), Yes);
        assert_eq!(Answer::all([Yes, CouldNotTell]), CouldNotTell);
        assert_eq!(Answer::all([CouldNotTell, No, Yes]), No);
    }

    #[test]
    fn json_has_null_for_an_unknown() {
        for (answer, json) in [(Yes, "true"), (No, "false"), (CouldNotTell, "null")] {
            assert_eq!(serde_json::to_string(&answer).unwrap(), json);
            assert_eq!(serde_json::from_str::<Answer>(json).unwrap(), answer);
        }
    }
}

//! The names that peers register under.

use std::time::Duration;

/// The longest name, in bytes.
pub const NAME_MAX: usize = 32;

/// The lifetime of a registration that is not refreshed.
pub const LIFETIME: Duration = Duration::from_secs(90);

/// Whether this can be a name: 1 to 32 bytes of letters, digits, `-`, `_`, `.`.
pub fn valid_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_of_letters_digits_and_three_signs() {
        for good in ["a", "alice-2", "Ænne", "x.y_z"] {
            assert!(valid_name(good), "{good}");
        }
        let long = "a".repeat(33);
        for bad in ["", "a b", "a\0", "a\n", "../x", &long] {
            assert!(!valid_name(bad), "{bad}");
        }
    }
}

//! The time of day, for people.

use jiff::ZonedDateTime;

/// The time, as `12:03`.
pub fn time() -> String {
    ZonedDateTime::now().strftime("%H:%M").to_string()
}

/// The day, as `Saturday 28 November 2026`.
pub fn day() -> String {
    ZonedDateTime::now().strftime("%A %-d %B %Y").to_string()
}

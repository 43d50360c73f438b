//! What standard output is: in colour or not, and how wide.

use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether standard output takes colours: it is a terminal, and NO_COLOR is not set (no-color.org).
pub fn colours() -> bool {
    coloured(&std::io::stdout())
}

/// The columns of the terminal; `None`: standard output is none, or does not say.
#[cfg(feature = "columns")]
pub fn columns() -> Option<usize> {
    let size = terminal_size::terminal_size_of(std::io::stdout());
    size.map(|(width, _)| usize::from(width.0))
}

/// The same of any stream.
pub(crate) fn coloured(stream: &impl IsTerminal) -> bool {
    takes_colours(
        stream.is_terminal(),
        std::env::var_os("NO_COLOR").as_deref(),
    )
}

/// NO_COLOR counts where it is not empty.
fn takes_colours(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_whose_user_does_not_refuse_them() {
        let set = |value| Some(OsStr::new(value));
        assert!(takes_colours(true, None));
        assert!(takes_colours(true, set("")));
        assert!(!takes_colours(true, set("1")));
        assert!(!takes_colours(false, None));
    }
}

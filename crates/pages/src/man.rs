//! Man pages. clap_mangen writes the sections that come from the options; the help text after the
//! options becomes sections here, with its examples line by line as they are.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;

/// The apostrophe of a programmer, which groff has and the troff of the past has not.
const APOSTROPHE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// The man pages of a command that has been built, and of its subcommands.
pub(crate) fn pages(command: &Command) -> BTreeMap<PathBuf, String> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut pages = BTreeMap::from([(file(name), page(command, name))]);
    pages.extend(command.get_subcommands().flat_map(self::pages));
    pages
}

/// Where the man page of a command is.
pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(format!("man/{name}.1"))
}

fn page(command: &Command, name: &str) -> String {
    let man = Man::new(command.clone());
    let mut page = head(name, &summary(command));
    let mut made = Vec::new();
    let mut written = man
        .render_synopsis_section(&mut made)
        .and_then(|()| man.render_description_section(&mut made))
        .and_then(|()| man.render_options_section(&mut made));
    if command.has_subcommands() {
        written = written.and_then(|()| man.render_subcommands_section(&mut made));
    }
    // A Vec takes all that is written to it.
    debug_assert!(written.is_ok());
    // clap_mangen defines its apostrophe in each part; the head has it once.
    page += &String::from_utf8_lossy(&made).replace(APOSTROPHE, "");
    if let Some(after) = command
        .get_after_long_help()
        .or_else(|| command.get_after_help())
    {
        page += &sections(&after.to_string());
    }
    page
}

/// The title, and the line that `whatis` and `apropos` show.
pub(crate) fn head(name: &str, summary: &str) -> String {
    let source = concat!("Pinhole ", env!("CARGO_PKG_VERSION"));
    format!(
        "{APOSTROPHE}.TH {name} 1 \"\" \"{source}\" \"Pinhole\"\n.SH NAME\n{name} \\- {}\n",
        escaped(summary)
    )
}

/// The first sentence of what a command says about itself.
fn summary(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default().replace('\n', " ");
    let first = about.split(". ").next().unwrap_or_default();
    first.trim_end_matches(['.', ':']).to_owned()
}

/// The text after the options. An unindented line that ends with a colon is the head of a section,
/// other unindented lines are paragraphs, and indented lines are shown as they are. Paragraphs
/// that belong to no section are NOTES; what exit codes mean is a section of its own.
fn sections(after: &str) -> String {
    let (mut page, mut plain, mut headed) = (String::new(), false, false);
    let mut verbatim = |page: &mut String, on: bool| {
        if std::mem::replace(&mut plain, on) != on {
            *page += if on { ".PP\n.nf\n" } else { ".fi\n" };
        }
    };
    for line in after.lines() {
        let indented = line.starts_with(' ');
        verbatim(&mut page, indented);
        let colon = line.split_once(':');
        let result = match (indented, colon) {
            (true, _) => writeln!(page, "{}", escaped(line)),
            (false, Some(("Exit codes" | "Exit status", rest))) => {
                headed = true;
                writeln!(page, ".SH EXIT STATUS\n{}", escaped(rest.trim()))
            }
            (false, Some((title, ""))) => {
                headed = true;
                writeln!(page, ".SH {}", upper(title))
            }
            (false, _) if line.is_empty() => {
                headed = false;
                Ok(())
            }
            (false, _) => {
                let head = if headed { "" } else { ".SH NOTES\n" };
                headed = true;
                writeln!(page, "{head}{}", escaped(line))
            }
        };
        // A String takes all that is written to it.
        debug_assert!(result.is_ok());
    }
    verbatim(&mut page, false);
    // What an empty line leaves of a section head without text.
    page.replace("\n\n", "\n")
}

fn upper(title: &str) -> String {
    escaped(&title.to_uppercase())
}

/// A line of text for roff: no character of it is a command.
pub(crate) fn escaped(line: &str) -> String {
    let line = line
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    match line.strip_prefix('.') {
        Some(rest) => format!("\\&.{rest}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_after_the_options_becomes_sections() {
        let after = "Examples:\n  a --b 'c'\n  .d\n\nSay it.\nTwice.\nExit codes: 0 yes,\n1 no.";
        assert_eq!(
            sections(after),
            ".SH EXAMPLES\n.PP\n.nf\n  a \\-\\-b \\(aqc\\(aq\n  .d\n.fi\n.SH NOTES\nSay it.\nTwice.\n\
             .SH EXIT STATUS\n0 yes,\n1 no.\n"
        );
        assert_eq!(escaped(".so \\x"), "\\&.so \\ex");
    }

    #[test]
    fn the_summary_is_one_sentence() {
        let about = |text: &'static str| summary(&Command::new("x").about(text));
        assert_eq!(about("Talks to peers:\nall. On a"), "Talks to peers: all");
        assert_eq!(about("Which NAT"), "Which NAT");
    }
}

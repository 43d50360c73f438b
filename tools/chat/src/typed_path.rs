//! Paths as people type them, shells escape them and file managers drop them.

use std::path::{Path, PathBuf};

/// The paths that such a text may mean, the most literal first.
pub fn meanings(text: &str) -> Vec<PathBuf> {
    let mut meant = vec![PathBuf::from(text), at_home(text.trim())];
    meant.extend(unquoted(text).map(|path| at_home(&path)));
    meant.extend(from_url(text.trim()).map(PathBuf::from));
    meant.dedup();
    meant
}

/// What a shell would make of it; `None` if it were several words.
pub fn unquoted(text: &str) -> Option<String> {
    let (mut word, mut quote, mut ended) = (String::new(), None, false);
    let mut characters = text.trim_start().chars();
    while let Some(c) = characters.next() {
        if ended {
            match c.is_whitespace() {
                true => continue,
                false => return None,
            }
        }
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, '\\') => word.extend(characters.next()),
            (Some('"'), '\\') => match characters.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                other => word.extend(['\\'].into_iter().chain(other)),
            },
            (None, c) if c.is_whitespace() => ended = true,
            (_, c) => word.push(c),
        }
    }
    Some(word)
}

/// As it has to be typed: characters that [`unquoted`] takes away are escaped.
pub fn quoted(path: &str) -> String {
    let special = |c: char| c.is_whitespace() || matches!(c, '\\' | '\'' | '"');
    let mut typed = String::new();
    for c in path.chars() {
        if special(c) {
            typed.push('\\');
        }
        typed.push(c);
    }
    typed
}

/// `~/` is the home folder.
pub fn at_home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.into(),
    }
}

/// The path of `file:///home/alice/a%20file`.
fn from_url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("file://")?;
    let encoded = &rest[rest.find('/')?..];
    let (mut path, mut bytes) = (Vec::new(), encoded.bytes());
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                *hex::decode(digits).ok()?.first()?
            }
            byte => byte,
        });
    }
    String::from_utf8(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_or_a_file_manager_writes_is_understood() {
        for (text, path) in [
            ("a.txt", "a.txt"),
            ("'/a file.txt' ", "/a file.txt"),
            (r"/a\ file.txt", "/a file.txt"),
            (r#""a \"b\" \c""#, r#"a "b" \c"#),
            (r"'it'\''s'", "it's"),
            ("' outer '", " outer "),
            ("file:///home/a%20b%C3%A4.txt", "/home/a bä.txt"),
        ] {
            let meant = meanings(text);
            assert_eq!(meant.last(), Some(&PathBuf::from(path)), "{text}");
        }
    }

    #[test]
    fn the_literal_path_comes_first() {
        assert_eq!(meanings(" a file ")[0], PathBuf::from(" a file "));
        assert_eq!(meanings(" a file ")[1], PathBuf::from("a file"));
        assert_eq!(meanings("%20'")[0], PathBuf::from("%20'"));
        assert_eq!(unquoted("two words"), None);
    }

    #[test]
    fn what_is_quoted_is_unquoted_as_it_was() {
        for path in ["a", " a  b ", "it's \"x\" \\y", "größe 👋"] {
            assert_eq!(unquoted(&quoted(path)).as_deref(), Some(path));
        }
    }
}

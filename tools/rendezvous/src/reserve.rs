//! The file of the names that the operator has reserved: lines `NAME KEY`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use session::identity::PublicKey;
use session::name::valid_name;

/// Reads the file: names, and the keys to which they belong.
///
/// # Errors
/// When it cannot be read, or a line is wrong; the error names file and line.
pub fn read(path: &Path) -> anyhow::Result<BTreeMap<String, PublicKey>> {
    let file = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("--reserve {file}"))?;
    let mut reserved = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, key) =
            entry(line).with_context(|| format!("--reserve {file}: line {number}"))?;
        let before = reserved.insert(name.to_owned(), key);
        anyhow::ensure!(
            before.is_none(),
            "--reserve {file}: line {number}: {name} is in this file already"
        );
    }
    Ok(reserved)
}

fn entry(line: &str) -> anyhow::Result<(&str, PublicKey)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, key] = words[..] else {
        anyhow::bail!("not NAME KEY, as in known-peers");
    };
    anyhow::ensure!(
        valid_name(name),
        "{name:?} cannot be a name: a name has 1 to 32 letters, digits, '-', '_' or '.'"
    );
    let mut bytes = [0; 32];
    hex::decode_to_slice(key, &mut bytes)
        .map_err(|_| anyhow::anyhow!("the key of {name} is not 64 hex digits"))?;
    Ok((name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<BTreeMap<String, PublicKey>, String> {
        let folder = std::env::temp_dir();
        let unique = std::thread::current()
            .name()
            .unwrap_or_default()
            .replace(':', "-");
        let path = folder.join(format!("pinhole-reserve-{}-{unique}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let read = read(&path).map_err(|error| format!("{error:#}"));
        std::fs::remove_file(&path).unwrap();
        read
    }

    #[test]
    fn names_and_keys_are_read_and_comments_are_not() {
        let key = "ab".repeat(32);
        let text = format!("# ours\n\nalice {key}\n  bob\t{key} # the other\n");
        let reserved = read_text(&text).unwrap();
        assert_eq!(
            reserved,
            BTreeMap::from([
                ("alice".to_owned(), [0xab; 32]),
                ("bob".to_owned(), [0xab; 32]),
            ])
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        let key = "ab".repeat(32);
        for (line, problem) in [
            ("alice".to_owned(), "not NAME KEY"),
            (format!("alice {key} more"), "not NAME KEY"),
            (format!("a/b {key}"), "cannot be a name"),
            (
                format!("alice {key}0"),
                "the key of alice is not 64 hex digits",
            ),
            (format!("alice {}", "gh".repeat(32)), "not 64 hex digits"),
            (format!("bob {key}"), "bob is in this file already"),
        ] {
            let error = read_text(&format!("bob {key}\n{line}\n")).unwrap_err();
            assert!(
                error.contains(": line 2: ") && error.contains(problem),
                "{error}"
            );
        }
        let error = read(Path::new("/nonexistent/x")).unwrap_err();
        assert!(
            format!("{error:#}").starts_with("--reserve /nonexistent/x: "),
            "{error:#}"
        );
    }
}

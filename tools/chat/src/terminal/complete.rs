//! Tab: what the word before the cursor may become.

use std::fs;
use std::path::Path;

use crate::command::COMMANDS;
use crate::typed_path;

/// What a word may become.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where the word begins, in bytes.
    pub start: usize,
    /// What takes its place: all that the choices have in common.
    pub text: String,
    /// The choices, if there are several.
    pub choices: Vec<String>,
}

/// Completes the end of what was typed before the cursor.
pub fn complete(typed: &str, names: &[String]) -> Option<Completion> {
    if let Some(path) = typed.strip_prefix("/send ") {
        let (words, shown) = files(path);
        return choose(typed.len() - path.len(), words, shown);
    }
    if !typed.starts_with('/') {
        return None;
    }
    let start = typed.rfind(' ').map_or(0, |space| space + 1);
    let word = &typed[start..];
    let known: Vec<&str> = match start {
        0 => COMMANDS.iter().map(|command| command.word).collect(),
        _ => names.iter().map(String::as_str).collect(),
    };
    let fits = known.into_iter().filter(|known| known.starts_with(word));
    let shown: Vec<String> = fits.map(str::to_owned).collect();
    let words = shown.iter().map(|word| format!("{word} ")).collect();
    choose(start, words, shown)
}

fn choose(start: usize, words: Vec<String>, choices: Vec<String>) -> Option<Completion> {
    let first = words.first()?.clone();
    if words.len() == 1 {
        let (text, choices) = (first, Vec::new());
        return Some(Completion {
            start,
            text,
            choices,
        });
    }
    let common = |text: String, word: &String| {
        let same = text.char_indices().zip(word.chars());
        let end = same.take_while(|((_, a), b)| a == b).last();
        let end = end.map_or(0, |((at, c), _)| at + c.len_utf8());
        text[..end].to_owned()
    };
    let text = words.iter().fold(first, common);
    Some(Completion {
        start,
        text,
        choices,
    })
}

/// Files whose paths begin so: as they are typed, and their names.
fn files(typed: &str) -> (Vec<String>, Vec<String>) {
    let path = typed_path::unquoted(typed).unwrap_or_else(|| typed.to_owned());
    let (folder, beginning) = match path.rfind('/') {
        Some(slash) => path.split_at(slash + 1),
        None => ("", path.as_str()),
    };
    let place = match folder {
        "" => Path::new(".").to_owned(),
        folder => typed_path::at_home(folder),
    };
    let mut found: Vec<(String, String)> = Vec::new();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let hidden = name.starts_with('.') && !beginning.starts_with('.');
        if !name.starts_with(beginning) || hidden {
            continue;
        }
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let word = typed_path::quoted(&format!("{folder}{name}{slash}"));
        found.push((word, format!("{name}{slash}")));
    }
    found.sort();
    found.into_iter().unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(typed: &str) -> Option<(String, usize)> {
        let names = ["anna", "bob", "bobby"].map(String::from);
        let completion = complete(typed, &names)?;
        let text = format!("{}{}", &typed[..completion.start], completion.text);
        Some((text, completion.choices.len()))
    }

    #[test]
    fn commands_and_names_are_completed_as_far_as_they_are_certain() {
        let text = |text: &str, choices| Some((text.to_owned(), choices));
        assert_eq!(completed("/conn"), text("/connect ", 0));
        assert_eq!(completed("/pee"), text("/peers ", 0));
        assert_eq!(completed("/to b"), text("/to bob", 2));
        assert_eq!(completed("/to a"), text("/to anna ", 0));
        assert_eq!(completed("/p"), text("/p", 3));
        assert_eq!(completed("/to x"), None);
        assert_eq!(completed("a"), None);
    }

    #[test]
    fn files_are_completed_with_their_spaces_escaped() {
        let folder = std::env::temp_dir().join(format!("chat-complete-{}", std::process::id()));
        fs::create_dir_all(folder.join("a folder")).unwrap();
        fs::write(folder.join(" b's.txt"), "").unwrap();
        fs::write(folder.join(".hidden"), "").unwrap();
        let path = folder.display();
        for (typed, becomes) in [
            ("/a", r"/a\ folder/"),
            ("/a\\ f", r"/a\ folder/"),
            ("/\\ ", r"/\ b\'s.txt"),
            ("/.h", "/.hidden"),
        ] {
            let expected = Some((format!("/send {path}{becomes}"), 0));
            assert_eq!(completed(&format!("/send {path}{typed}")), expected);
        }
        assert_eq!(completed(&format!("/send {path}/")).unwrap().1, 2);
        fs::remove_dir_all(folder).unwrap();
    }
}

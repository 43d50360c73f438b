//! The man pages and shell completions of a command line, made from its clap definition.
//!
//! They are files in `packaging/pages`, which the packages carry as they are. A test of each tool calls
//! [`check`], so that a changed option shows in these files, and the tools themselves need no code for
//! this. [`lab`] describes the command line of `lab/netns.sh`, which is a shell script.

pub mod lab;
mod man;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// The environment variable that makes [`check`] write the files.
pub const UPDATE: &str = "PINHOLE_UPDATE_PAGES";

/// The pages of a command: a path below `packaging/pages`, and the text of the file.
///
/// There is a man page for the command and for each of its subcommands.
pub fn pages(command: &Command) -> BTreeMap<PathBuf, String> {
    let mut command = command.clone().disable_help_subcommand(true);
    command.build();
    let mut pages = completions(&command);
    pages.extend(man::pages(&command));
    pages
}

/// The completions of a command, named as each shell looks for them.
pub fn completions(command: &Command) -> BTreeMap<PathBuf, String> {
    let name = command.get_name().to_owned();
    let shells = [
        (Shell::Bash, format!("bash/{name}")),
        (Shell::Zsh, format!("zsh/_{name}")),
        (Shell::Fish, format!("fish/{name}.fish")),
    ];
    let made = shells.map(|(shell, file)| {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), &name, &mut text);
        (PathBuf::from(file), String::from_utf8_lossy(&text).into())
    });
    made.into()
}

/// Compares the pages of a command with the files in `packaging/pages`, or writes these files if
/// the environment variable [`UPDATE`] is set.
///
/// # Panics
/// If a file is missing or differs, or cannot be written.
pub fn check(command: &Command) {
    compare(&pages(command));
}

/// [`check`], for pages that were made in another way.
///
/// # Panics
/// If a file is missing or differs, or cannot be written.
pub fn compare(pages: &BTreeMap<PathBuf, String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/pages");
    if std::env::var_os(UPDATE).is_some() {
        for (file, text) in pages {
            let file = folder.join(file);
            let written = std::fs::create_dir_all(file.parent().unwrap_or(&folder))
                .and_then(|()| std::fs::write(&file, text));
            assert!(
                written.is_ok(),
                "cannot write {}: {written:?}",
                file.display()
            );
        }
    }
    let differing = differing(&folder, pages);
    assert!(
        differing.is_empty(),
        "these files in packaging/pages are not what the command line says: {differing:?}. \
         Write them with: {UPDATE}=1 cargo test --workspace pages"
    );
}

/// The files that are missing in the folder, or have another text.
fn differing<'a>(folder: &Path, pages: &'a BTreeMap<PathBuf, String>) -> Vec<&'a Path> {
    let same = |file: &Path, text: &str| {
        std::fs::read_to_string(folder.join(file)).is_ok_and(|there| there == text)
    };
    let mut wrong: Vec<_> = pages.iter().collect();
    wrong.retain(|(file, text)| !same(file, text));
    wrong.into_iter().map(|(file, _)| file.as_path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_and_a_changed_one_are_found() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let here = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let pages = |name: &str, text: &str| BTreeMap::from([(name.into(), text.to_owned())]);
        assert!(differing(folder, &pages("Cargo.toml", &here)).is_empty());
        for wrong in [
            pages("Cargo.toml", &format!("{here}\n")),
            pages("nothing", &here),
        ] {
            assert_eq!(differing(folder, &wrong).len(), 1);
        }
    }
}

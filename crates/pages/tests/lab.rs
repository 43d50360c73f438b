//! `lab/netns.sh` and its description agree.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Arg;

fn lab() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab")
}

/// What the script prints where the package installs it: PREFIX/share/pinhole/lab.
fn installed(argument: &str) -> String {
    // Tests run at once; each has its own folder, named after it.
    let test = std::thread::current().name().unwrap_or("main").to_owned();
    let prefix = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let share = prefix.join("share/pinhole");
    let _ = std::fs::remove_dir_all(&prefix);
    std::fs::create_dir_all(share.join("lab")).unwrap();
    std::fs::copy(lab().join("netns.sh"), share.join("lab/netns.sh")).unwrap();
    symlink(lab().join("lib"), share.join("lab/lib")).unwrap();
    symlink(lab().join("nat"), share.join("lab/nat")).unwrap();
    symlink("share/pinhole/lab/netns.sh", prefix.join(pages::lab::NAME)).unwrap();
    let output = Command::new(prefix.join(pages::lab::NAME))
        .arg(argument)
        .output()
        .unwrap();
    assert!(output.status.success(), "{argument}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn pages_of_the_lab_are_in_packaging() {
    let help = installed("--help");
    pages::compare(&pages::lab::pages(&help));
}

#[test]
fn help_and_description_have_the_same_verbs_and_options() {
    let command = pages::lab::command();
    let help = installed("--help");
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let typed: BTreeSet<_> = words.filter_map(|word| word.strip_prefix("--")).collect();
    let typed = typed.into_iter().filter(|word| !word.is_empty());

    let all = std::iter::once(&command).chain(command.get_subcommands());
    let options: BTreeSet<_> = all
        .flat_map(|command| command.get_arguments().filter_map(Arg::get_long))
        .collect();
    assert_eq!(typed.collect::<BTreeSet<_>>(), options);

    let synopses = help
        .lines()
        .filter_map(|line| line.strip_prefix("  pinhole-lab "));
    let verbs = synopses.filter_map(|line| line.split(' ').next());
    let verbs: BTreeSet<_> = verbs.filter(|verb| *verb != "A").collect();
    let described = command.get_subcommands().map(|verb| verb.get_name());
    assert_eq!(verbs, described.collect());
}

#[test]
fn the_description_names_the_types_that_the_lab_lists() {
    let listed = installed("list");
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    let names: Vec<_> = names
        .filter(|name| pages::lab::TYPES.contains(name))
        .collect();
    assert_eq!(names, pages::lab::TYPES, "{listed}");

    let files = std::fs::read_dir(lab().join("nat")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let types = files.filter(|file| file.ends_with(".nft") && file != "napt.nft");
    assert_eq!(
        types.count(),
        names.len(),
        "napt.nft is a part of the others"
    );
}

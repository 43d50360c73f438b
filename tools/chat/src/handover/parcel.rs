//! The files that are sent: each with its path here, and the path that the receiver is told.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::files::carry;
use crate::frame::MOST_PATH;

/// Files in a parcel, at most.
const MOST_FILES: usize = 100_000;

/// Folders within folders, at most.
const MOST_DEEP: usize = 64;

/// A file of a parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called, below the name of a folder that was given.
    pub name: String,
    /// In bytes.
    pub size: u64,
}

/// What is sent.
#[derive(Clone, Debug, Default)]
pub struct Parcel {
    /// Of the one file or folder, or how many there are.
    pub name: String,
    /// The files.
    pub entries: Vec<Entry>,
    /// What lies in the folders and is not sent: no files.
    pub left_out: Vec<PathBuf>,
    names: HashSet<String>,
}

impl Parcel {
    /// Those files, and what is in those folders.
    ///
    /// # Errors
    /// When one cannot be read, or there is none.
    pub fn pack(paths: &[PathBuf]) -> anyhow::Result<Parcel> {
        let mut parcel = Parcel::default();
        for path in paths {
            let name = name_of(path)?;
            if fs::metadata(path)?.is_dir() {
                parcel.pack_folder(path, &name, 0)?;
            } else {
                parcel.pack_file(path.clone(), name)?;
            }
        }
        parcel.name = match paths {
            [path] => name_of(path)?,
            several => format!("{} files and folders", several.len()),
        };
        ensure!(
            !parcel.entries.is_empty(),
            "there is no file in {}",
            parcel.name
        );
        Ok(parcel)
    }

    /// Their size together.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    fn pack_folder(&mut self, folder: &Path, name: &str, deep: usize) -> anyhow::Result<()> {
        ensure!(
            deep < MOST_DEEP,
            "{} is more than {MOST_DEEP} folders deep",
            folder.display()
        );
        let read = fs::read_dir(folder).and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<Result<Vec<_>, std::io::Error>>()
        });
        let mut paths = read.with_context(|| cannot_read(folder))?;
        paths.sort();
        for path in paths {
            let kind = fs::symlink_metadata(&path).with_context(|| cannot_read(&path))?;
            let below = format!(
                "{name}/{}",
                told(Path::new(path.file_name().unwrap_or_default()))?
            );
            if kind.is_dir() {
                self.pack_folder(&path, &below, deep + 1)?;
            } else if kind.is_file() {
                self.pack_file(path, below)?;
            } else {
                self.left_out.push(path);
            }
        }
        Ok(())
    }

    fn pack_file(&mut self, path: PathBuf, name: String) -> anyhow::Result<()> {
        ensure!(
            name.len() <= MOST_PATH,
            "the path of {} has more than {MOST_PATH} bytes",
            path.display()
        );
        ensure!(
            self.entries.len() < MOST_FILES,
            "there are more than {MOST_FILES} files: send an archive of them"
        );
        if !self.names.insert(name.clone()) {
            bail!("two of the files are called {name}");
        }
        let size = carry::measure(&path)?;
        self.entries.push(Entry { path, name, size });
        Ok(())
    }
}

/// What a file or folder is called that the user has given: its name as it was typed, also if that
/// is a symbolic link's. "." and "photos/.." have names, too.
fn name_of(path: &Path) -> anyhow::Result<String> {
    let real = fs::canonicalize(path).with_context(|| cannot_read(path))?;
    let name = path.file_name().or_else(|| real.file_name());
    let name =
        name.with_context(|| format!("{} has no name: give the folders in it", path.display()))?;
    told(Path::new(name))
}

fn told(name: &Path) -> anyhow::Result<String> {
    let text = name
        .to_str()
        .with_context(|| format!("the name of {} is not UTF-8: rename it", name.display()))?;
    Ok(text.to_owned())
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(test: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("chat-parcel-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("photos/sea/empty")).unwrap();
        fs::write(path.join("photos/a.jpg"), "one").unwrap();
        fs::write(path.join("photos/sea/.hidden"), "three").unwrap();
        fs::write(path.join("b.txt"), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", path.join("photos/link")).unwrap();
        path
    }

    #[test]
    fn folders_are_packed_with_what_is_in_them() {
        let path = folder("pack");
        let parcel = Parcel::pack(&[path.join("photos"), path.join("b.txt")]).unwrap();
        let names = Vec::from_iter(parcel.entries.iter().map(|entry| entry.name.as_str()));
        assert_eq!(names, ["photos/a.jpg", "photos/sea/.hidden", "b.txt"]);
        assert_eq!(
            (parcel.bytes(), parcel.name.as_str()),
            (8, "2 files and folders")
        );
        assert_eq!(parcel.left_out, [path.join("photos/link")]);
        let one = Parcel::pack(&[path.join("photos/sea/..")]).unwrap();
        assert_eq!(one.name, "photos");
        std::os::unix::fs::symlink(path.join("b.txt"), path.join("latest.txt")).unwrap();
        let linked = Parcel::pack(&[path.join("latest.txt")]).unwrap();
        assert_eq!(linked.name, "latest.txt", "as it was given");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let path = folder("refuse");
        let error = |paths: &[&str]| {
            let paths = Vec::from_iter(paths.iter().map(|name| path.join(name)));
            format!("{:#}", Parcel::pack(&paths).unwrap_err())
        };
        assert!(error(&["c.txt"]).contains("c.txt: No such file"));
        assert_eq!(
            error(&["b.txt", "b.txt"]),
            "two of the files are called b.txt"
        );
        assert_eq!(error(&["photos/sea/empty"]), "there is no file in empty");
        fs::remove_dir_all(path).unwrap();
    }
}

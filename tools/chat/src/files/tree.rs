//! Folders that files come in: where each file goes below the folder for received files. Nothing
//! leaves it, whatever a peer calls a file, and no symbolic link is followed.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::folder::safe_name;

/// Where a file of that name goes, below the folder for received files.
fn place(name: &str) -> PathBuf {
    let mut parts = name.split('/').filter(|part| !part.is_empty());
    let first = parts.next().map(safe_name).unwrap_or_default();
    let mut place = PathBuf::from(if first.is_empty() { "file" } else { &first });
    place.extend(parts.map(below));
    place
}

/// The folder below `root` that a file of that name goes into, and the last part of its name. If
/// it is not there, it is made, or that is an error.
///
/// # Errors
/// What the system says; a symbolic link on the way is an error.
pub fn folder_for(root: &Path, name: &str, make: bool) -> io::Result<(PathBuf, String)> {
    let place = place(name);
    let mut folder = root.to_owned();
    for part in place.parent().unwrap_or(Path::new("")) {
        folder.push(part);
        if make {
            match fs::DirBuilder::new().mode(0o755).create(&folder) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        if !fs::symlink_metadata(&folder)?.is_dir() {
            let problem = format!("{} is not a folder", folder.display());
            return Err(io::Error::new(ErrorKind::NotADirectory, problem));
        }
    }
    let last = place.file_name().unwrap_or_default();
    Ok((folder, last.to_string_lossy().into_owned()))
}

/// A name within a folder that came: it may be hidden there, as in `photos/.thumbnails`.
fn below(part: &str) -> String {
    let hidden = part.starts_with('.') && part.bytes().any(|byte| byte != b'.');
    match hidden {
        true => format!(".{}", safe_name(part)),
        false => safe_name(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_below_the_folder_for_received_files() {
        for (name, placed) in [
            ("a.txt", "a.txt"),
            ("photos/sea/a.jpg", "photos/sea/a.jpg"),
            ("photos/.hidden/.a", "photos/.hidden/.a"),
            (".ssh/authorized_keys", "ssh/authorized_keys"),
            ("../../etc/passwd", "file/file/etc/passwd"),
            ("photos/../../x", "photos/file/file/x"),
            ("/etc/passwd", "etc/passwd"),
            ("photos/..\\x", "photos/.x"),
            ("photos//a", "photos/a"),
            ("photos/\u{1b}[2J", "photos/\u{fffd}[2J"),
            ("photos/.", "photos/file"),
            ("photos/...", "photos/file"),
            ("", "file"),
            ("/", "file"),
        ] {
            assert_eq!(place(name), Path::new(placed), "{name:?}");
        }
    }

    #[test]
    fn a_symbolic_link_in_place_of_a_folder_is_not_followed() {
        let root = std::env::temp_dir().join(format!("chat-tree-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("real")).unwrap();
        std::os::unix::fs::symlink("/tmp", root.join("link")).unwrap();
        let missing = folder_for(&root, "real/new/a", false).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert!(!root.join("real/new").exists());
        let made = folder_for(&root, "real/new/a", true).unwrap();
        assert_eq!(made, (root.join("real/new"), "a".to_owned()));
        assert!(root.join("real/new").is_dir());
        for make in [true, false] {
            let error = folder_for(&root, "link/a", make).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory);
        }
        fs::remove_dir_all(root).unwrap();
    }
}

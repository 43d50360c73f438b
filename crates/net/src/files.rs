//! How many files this process may have open. A socket is one.

use std::io;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit as far as the system lets an ordinary process: the soft limit
/// to the hard one, which is returned.
///
/// # Errors
/// What `getrlimit(2)` and `setrlimit(2)` say.
pub fn raise() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// How many more files this process may open, when the limit is raised.
///
/// # Errors
/// As [`raise`], and those of reading `/proc/self/fd`.
pub fn room() -> io::Result<u64> {
    let hard = raise()?;
    // One of these is the folder itself, which is closed again.
    let open = std::fs::read_dir("/proc/self/fd")?
        .count()
        .saturating_sub(1);
    Ok(hard.saturating_sub(open as u64))
}

/// The error, and what to do if it is that too many files are open.
pub fn explained(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EMFILE) => format!(
            "{error}: this process may open no more; start it with a higher limit, \
             for example after: ulimit -n {WANTED}"
        ),
        Some(Errno::ENFILE) => {
            format!("{error}: the machine has as many open as sysctl fs.file-max allows")
        }
        _ => error.to_string(),
    }
}

/// What suffices for every plan.
const WANTED: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_already_is_not_counted() {
        let before = room().unwrap();
        let open: Vec<_> = (0..5)
            .map(|_| std::fs::File::open("/dev/null").unwrap())
            .collect();
        let after = room().unwrap();
        drop(open);
        // Other tests of this process open files, too.
        assert!(after < before, "{after} of {before}");
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }

    #[test]
    fn too_many_open_files_says_what_to_do() {
        let error = io::Error::from_raw_os_error(Errno::EMFILE as i32);
        assert!(explained(&error).contains("ulimit -n"));
        let error = io::Error::from_raw_os_error(Errno::EACCES as i32);
        assert_eq!(explained(&error), error.to_string());
    }
}

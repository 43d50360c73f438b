//! `labreport`: the library of this package has everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    labreport::run()
}

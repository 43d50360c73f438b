//! natprobe measures the NAT between this host and a STUN server (RFC 5780).

mod args;
mod rows;
mod run;
mod servers;
mod text;

fn main() -> std::process::ExitCode {
    cli::log::init();
    run::main()
}

//! Which NAT am I behind? Measured against a STUN server (RFC 5780).

mod args;
mod run;
mod text;
mod words;

fn main() -> std::process::ExitCode {
    cli::log::init();
    run::main()
}

//! A port mapped by the gateway, as lines of text: for trying it, and for the
//! lab's tests. `lease PORT [PROTOCOL [SECONDS]]`, with the protocol as
//! `pcp`, `nat-pmp`, `upnp-igd` or `any`. It answers each datagram that comes
//! to the port with the same, and gives the mapping back when stdin ends.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::time::Duration;

use net::gateway::{Config, Event, Lease, Protocol};
use tokio::net::UdpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let port = args.next().ok_or("lease PORT [PROTOCOL [SECONDS]]")?;
    let mut config = Config::default();
    match args.next().as_deref() {
        None | Some("any") => {}
        Some("pcp") => config.protocols = vec![Protocol::Pcp],
        Some("nat-pmp") => config.protocols = vec![Protocol::NatPmp],
        Some("upnp-igd") => config.protocols = vec![Protocol::UpnpIgd],
        Some(other) => return Err(format!("there is no protocol {other:?}").into()),
    }
    if let Some(seconds) = args.next() {
        config.lifetime = Duration::from_secs(seconds.parse()?);
    }
    let socket = UdpSocket::bind(("0.0.0.0", port.parse()?)).await?;
    let mut lease = Lease::ask(socket.local_addr()?.port(), config)?;
    let mut stdin = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin()));
    let mut buffer = [0; 1280];
    loop {
        tokio::select! {
            event = lease.next() => match event {
                Event::Mapped(it) => say(&format!("mapped {} {} {}", it.external, it.protocol, it.lifetime.as_secs())),
                Event::Lost(why) => say(&format!("lost: {why}")),
                Event::Nothing(refusals) => for (protocol, why) in refusals {
                    say(&format!("nothing by {protocol}: {why}"));
                },
            },
            heard = socket.recv_from(&mut buffer) => {
                let (length, from) = heard?;
                socket.send_to(&buffer[..length], from).await?;
            }
            _ = &mut stdin => break,
        }
    }
    lease.close().await;
    say("given back");
    Ok(())
}

/// A line that whoever reads a pipe gets at once.
fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

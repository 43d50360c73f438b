//! Asks the gateway to map a port and prints a line for each event: for trying
//! it, and for the lab's tests. `lease PORT [PROTOCOL [SECONDS]]`, where PROTOCOL
//! is `pcp`, `nat-pmp`, `upnp-igd` or `any`. It sends each datagram that comes to
//! the port back, and gives the mapping back when stdin ends.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;
use std::time::Duration;

use net::gateway::{Config, Event, Lease, MappingProtocol};
use tokio::net::UdpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let port = args.next().ok_or("lease PORT [PROTOCOL [SECONDS]]")?;
    let mut config = Config::default();
    match args.next().as_deref() {
        None | Some("any") => {}
        Some("pcp") => config.protocols = vec![MappingProtocol::Pcp],
        Some("nat-pmp") => config.protocols = vec![MappingProtocol::NatPmp],
        Some("upnp-igd") => config.protocols = vec![MappingProtocol::UpnpIgd],
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
                Event::Mapped(it) => print(&format!("mapped {} {} {}", it.external, it.protocol, it.lifetime.as_secs())),
                Event::Lost(why) => print(&format!("lost: {why}")),
                Event::Nothing(failures) => for (protocol, why) in failures {
                    print(&format!("nothing by {protocol}: {why}"));
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
    print("given back");
    Ok(())
}

/// Prints a line and flushes it, since stdout may be a pipe.
fn print(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

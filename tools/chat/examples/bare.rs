//! Bare quinn, to compare chat's files with: bytes out of memory, into nowhere,
//! over a socket of quinn's own, with the same TLS and transport as chat.
//!
//! `bare serve IP:PORT` receives one stream; `bare send IP:PORT MIB` sends one
//! and prints the seconds that it took.

#![allow(dead_code)] // Of the module that is chat's own.

#[path = "../src/tls.rs"]
mod tls;

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Context;
use traverse::identity::Identity;

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let address: SocketAddr = args.get(2).context("an address")?.parse()?;
    let (alice, bob) = (
        Identity::from_secret(&[1; 32]),
        Identity::from_secret(&[2; 32]),
    );
    if args[1] == "serve" {
        let welcome = tls::Welcome::default();
        welcome.insert(alice.public());
        let endpoint = quinn::Endpoint::server(tls::server(&bob, welcome)?, address)?;
        let connection = endpoint.accept().await.context("closed")?.await?;
        let mut stream = connection.accept_uni().await?;
        while stream.read_chunk(256 * 1024, true).await?.is_some() {}
        connection.closed().await;
        return Ok(());
    }
    let mib: usize = args.get(3).context("MiB")?.parse()?;
    let endpoint = quinn::Endpoint::client(([0, 0, 0, 0], 0).into())?;
    let config = tls::client(&alice, bob.public(), None)?;
    let connection = endpoint
        .connect_with(config, address, tls::SERVER_NAME)?
        .await?;
    let start = Instant::now();
    let mut stream = connection.open_uni().await?;
    let chunk = vec![7; 256 * 1024];
    for _ in 0..mib * 4 {
        stream.write_all(&chunk).await?;
    }
    stream.finish()?;
    stream.stopped().await?;
    println!("{:.3}", start.elapsed().as_secs_f64());
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}

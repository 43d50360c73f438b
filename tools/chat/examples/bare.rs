//! Bare quinn, to compare the speed of chat's files with: a file's bytes over one
//! stream and into a file, with the TLS and transport of chat, over a socket of
//! quinn's own. Nothing is hashed, offered or resumed.
//!
//! `bare serve IP:PORT FILE` receives one file; `bare send IP:PORT FILE` sends
//! one and prints the seconds until all of it was written there.

#[path = "../src/tls.rs"]
mod tls;

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use session::identity::Identity;

const CHUNK: usize = 256 * 1024;
const KEEPALIVE: Duration = Duration::from_secs(5);

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, what, address, file] = &args[..] else {
        anyhow::bail!("usage: bare serve|send IP:PORT FILE");
    };
    let address = address.parse()?;
    match what.as_str() {
        "serve" => serve(address, File::create(file)?).await,
        _ => send(address, File::open(file)?).await,
    }
}

async fn serve(address: SocketAddr, mut file: File) -> anyhow::Result<()> {
    let (alice, bob) = identities();
    let allowed = tls::AllowedKeys::default();
    allowed.insert(alice.public());
    let config = tls::server(&bob, allowed.clone(), KEEPALIVE)?;
    let endpoint = quinn::Endpoint::server(config, address)?;
    writeln!(std::io::stdout(), "ready")?;
    let connection = endpoint.accept().await.context("closed")?.await?;
    let sender = tls::key_of(&connection).context("a sender without a key")?;
    allowed.remove(&sender); // One file, one sender.
    let mut stream = connection.accept_uni().await?;
    let mut buffer = Vec::with_capacity(2 * CHUNK);
    while let Some(chunk) = stream.read_chunk(CHUNK, true).await? {
        buffer.extend_from_slice(&chunk.bytes);
        if buffer.len() >= CHUNK {
            file.write_all(&buffer)?;
            buffer.clear();
        }
    }
    file.write_all(&buffer)?;
    connection.close(0u32.into(), b"");
    endpoint.wait_idle().await;
    Ok(())
}

async fn send(address: SocketAddr, mut file: File) -> anyhow::Result<()> {
    let (alice, bob) = identities();
    let endpoint = quinn::Endpoint::client(([0, 0, 0, 0], 0).into())?;
    let config = tls::client(&alice, bob.public(), None, KEEPALIVE)?;
    let connection = endpoint
        .connect_with(config, address, tls::SERVER_NAME)?
        .await?;
    let start = Instant::now();
    let mut stream = connection.open_uni().await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => stream.write_all(&buffer[..length]).await?,
        }
    }
    stream.finish()?;
    connection.closed().await;
    writeln!(std::io::stdout(), "{:.3}", start.elapsed().as_secs_f64())?;
    Ok(())
}

fn identities() -> (Identity, Identity) {
    (
        Identity::from_secret(&[1; 32]),
        Identity::from_secret(&[2; 32]),
    )
}

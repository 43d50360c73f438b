//! TAP devices in network namespaces. What leaves such a device is a whole frame: the kernel has
//! computed checksums and cut super-frames before, since the device offers to do neither.

use std::fs::File;
use std::io::{self, ErrorKind};

use anyhow::Context;
use nix::sched::{CloneFlags, setns};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::args::End;

/// The largest frame: an IP packet of 65,535 bytes with its Ethernet header and a VLAN tag.
pub const LARGEST: usize = 65_535 + 18;

/// Makes the devices in their namespaces, where they stay if they are to be kept. This thread is in its own namespace again afterwards.
pub fn open(ends: &[End], keep: bool) -> anyhow::Result<Vec<SyncDevice>> {
    let own = File::open("/proc/self/ns/net").context("cannot open /proc/self/ns/net")?;
    let taps = ends.iter().map(|end| make(end, keep)).collect();
    enter(&own).context("cannot return to the own network namespace")?;
    taps
}

fn make(end: &End, keep: bool) -> anyhow::Result<SyncDevice> {
    let End { node, device } = end;
    if let Some(node) = node {
        let path = format!("/run/netns/{node}");
        let namespace = File::open(&path)
            .with_context(|| format!("there is no namespace {node}: cannot open {path}"))?;
        enter(&namespace).with_context(|| format!("cannot enter the namespace {node}"))?;
    }
    let builder = DeviceBuilder::new().name(device.as_str()).layer(Layer::L2);
    let built = builder.enable(false).build_sync();
    let tap = built.map_err(|error| refused(end, &error))?;
    if keep {
        tap.persist().context("cannot keep the TAP device")?;
    }
    tap.set_nonblocking(true)?;
    Ok(tap)
}

fn enter(namespace: &File) -> io::Result<()> {
    Ok(setns(namespace, CloneFlags::CLONE_NEWNET)?)
}

/// The error with the device, and what to do.
fn refused(end: &End, error: &io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::NotFound => {
            ". /dev/net/tun is missing: load the module tun (modprobe tun), and start a container \
             with --device /dev/net/tun"
        }
        ErrorKind::PermissionDenied => {
            ". Run natlink as root, or in the user namespace that owns this network namespace, and \
             start a container with --device /dev/net/tun"
        }
        _ => "",
    };
    let place = match &end.node {
        Some(node) => format!(" in {node}"),
        None => String::new(),
    };
    anyhow::anyhow!(
        "cannot make the TAP device {}{place}: {error}{hint}",
        end.device
    )
}

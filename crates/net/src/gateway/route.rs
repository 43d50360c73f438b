//! The default gateway, from Linux' table of routes.

use std::net::Ipv4Addr;

/// The IPv4 default gateway; `None` where there is no default route, or where
/// the system is not Linux.
pub(super) fn default_gateway() -> Option<Ipv4Addr> {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    gateway_in(&routes)
}

/// The gateway of the default route with the lowest metric. The numbers in the
/// table are in hex; addresses are in the byte order of the host.
fn gateway_in(routes: &str) -> Option<Ipv4Addr> {
    const UP_VIA_GATEWAY: u32 = 0x3;
    let route = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let mut hex = || u32::from_str_radix(fields.next()?, 16).ok();
        let [destination, gateway, flags] = [hex()?, hex()?, hex()?];
        let mut fields = fields.skip(2);
        let metric: u32 = fields.next()?.parse().ok()?;
        let mask = u32::from_str_radix(fields.next()?, 16).ok()?;
        let default = destination == 0 && mask == 0 && flags & UP_VIA_GATEWAY == UP_VIA_GATEWAY;
        default.then(|| (metric, Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    let defaults = routes.lines().skip(1).filter_map(route);
    defaults.min_by_key(|&(metric, _)| metric).map(|(_, ip)| ip)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str =
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

    fn route(to: [u8; 4], via: [u8; 4], flags: &str, metric: u32, mask: [u8; 4]) -> String {
        let hex = |ip| format!("{:08X}", u32::from_ne_bytes(ip));
        let [to, via, mask] = [to, via, mask].map(hex);
        format!("eth0\t{to}\t{via}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
    }

    #[test]
    fn the_default_route_with_the_lowest_metric_has_the_gateway() {
        let (any, lan) = ([0; 4], [192, 168, 1, 0]);
        let table = [
            HEADER.to_owned(),
            route(lan, any, "0001", 0, [255, 255, 255, 0]),
            route(any, [10, 0, 0, 1], "0003", 600, any),
            route(any, [192, 168, 1, 1], "0003", 100, any),
            // A route that is down, and a tunnel, which has no gateway.
            route(any, [192, 168, 1, 9], "0002", 1, any),
            route(any, any, "0001", 2, any),
            // Half of all addresses, as VPNs route them.
            route(any, [10, 8, 0, 1], "0003", 0, [128, 0, 0, 0]),
        ];
        let gateway = gateway_in(&table.concat());
        assert_eq!(gateway, Some(Ipv4Addr::new(192, 168, 1, 1)));
    }

    #[test]
    fn without_a_default_route_there_is_no_gateway() {
        assert_eq!(gateway_in(""), None);
        assert_eq!(gateway_in(HEADER), None);
    }

    proptest! {
        #[test]
        fn no_table_makes_the_reader_panic(table in ".*", lines in "(eth0\t[0-9A-Fx]{0,9}(\t[0-9A-F]{0,9}){0,9}\n){0,9}") {
            let _ = gateway_in(&table);
            let _ = gateway_in(&format!("{HEADER}{lines}"));
        }
    }
}

//! `nattrace table` on a real kernel, in private user and network namespaces. Fails where the
//! machine does not allow those; needs unshare, nft and ip.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// A table as the lab's NATs have it, with elements of known age.
const NAT: &str = "
table ip pinhole {
    map m_out {
        type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
        flags timeout
        timeout 30s
        elements = { udp . 192.168.1.2 . 40000 expires 10s : 203.0.113.17 . 40001 }
    }
    map m_in {
        type inet_proto . inet_service : ipv4_addr . inet_service
        flags timeout
        timeout 30s
        elements = { udp . 40001 expires 10s : 192.168.1.2 . 40000,
                     tcp . 7000 timeout 1h expires 30m : 192.168.1.3 . 7 }
    }
    set permit {
        type inet_proto . inet_service . ipv4_addr . inet_service
        flags timeout
        timeout 30s
        elements = { udp . 40001 . 203.0.113.33 . 40002 }
    }
    set taken { type inet_proto . inet_service; elements = { udp . 40001 } }
    counter filtered { packets 3 bytes 120 }
    chain guard {
        type filter hook input priority 0
        udp dport { 5, 6 } counter packets 9 bytes 8 comment \"five and six\"
        udp dport 7 counter name filtered drop
    }
}
";

#[test]
fn mappings_permits_and_counters_are_read() {
    let output = inside(
        ROOT,
        NAT,
        "exec \"$NATTRACE\" table --json --node nat-alice",
    );
    let read = json_of(&output);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        (&read["node"], &read["table"]),
        (&json!("nat-alice"), &json!("pinhole"))
    );

    let mappings = read["mappings"].as_array().unwrap();
    assert_eq!(mappings.len(), 2, "{read}");
    assert_eq!(mappings[0]["protocol"], "tcp");
    assert_eq!(mappings[0]["outside"], "*:7000");
    assert_eq!(mappings[0]["timeout_s"], 3600.0);
    about(&mappings[0]["idle_s"], 1800.0);
    assert_eq!(mappings[1]["protocol"], "udp");
    assert_eq!(mappings[1]["inside"], "192.168.1.2:40000");
    assert_eq!(mappings[1]["outside"], "203.0.113.17:40001");
    assert_eq!(mappings[1]["toward"], Value::Null);
    assert_eq!(mappings[1]["timeout_s"], 30.0);
    about(&mappings[1]["remaining_s"], 10.0);
    about(&mappings[1]["idle_s"], 20.0);

    let permits = read["permits"].as_array().unwrap();
    assert_eq!(permits.len(), 1, "{read}");
    assert_eq!(
        (&permits[0]["outside"], &permits[0]["from"]),
        (&json!("*:40001"), &json!("203.0.113.33:40002"))
    );
    assert_eq!(permits[0]["protocol"], "udp");
    about(&permits[0]["remaining_s"], 30.0);

    assert_eq!(
        read["counters"],
        json!([
            { "name": "filtered", "packets": 3, "bytes": 120 },
            { "name": "five and six", "packets": 9, "bytes": 8 },
        ])
    );
}

#[test]
fn elements_without_a_timeout_have_no_times() {
    let nat = "table ip pinhole {
        map m_out { type ipv4_addr : ipv4_addr; elements = { 192.168.1.2 : 203.0.113.18 }; }
    }";
    let read = json_of(&inside(ROOT, nat, "exec \"$NATTRACE\" table --json"));
    assert_eq!(
        read["mappings"],
        json!([{ "protocol": null, "inside": "192.168.1.2", "outside": "203.0.113.18", "toward": null,
                 "idle_s": null, "remaining_s": null, "timeout_s": null }])
    );
}

#[test]
fn a_map_of_3000_elements_is_read() {
    let elements: Vec<_> = (1..=3000)
        .map(|i| format!("{i} : 10.0.{}.{} . 9", i / 250, i % 250))
        .collect();
    let nat = format!(
        "table inet big {{ map in4 {{ type inet_service : ipv4_addr . inet_service
           elements = {{ {} }}; }}; }}",
        elements.join(", ")
    );
    let output = inside(
        ROOT,
        &nat,
        "exec \"$NATTRACE\" table --json --table 'inet big'",
    );
    let read = json_of(&output);
    assert_eq!(read["mappings"].as_array().unwrap().len(), 3000);
}

#[test]
fn bare_masquerade_shows_connections() {
    let nat = "table ip pinhole {
        chain tx { type nat hook postrouting priority srcnat; oifname wan masquerade; }
    }";
    let traffic = "ip link set lo up; echo x >/dev/udp/127.0.0.1/9; exec \"$NATTRACE\" table";
    let read = json_of(&inside(ROOT, nat, &format!("{traffic} --json")));
    let connection = &read["connections"][0];
    assert_eq!(connection["original"]["dst"], "127.0.0.1:9");
    assert_eq!(connection["reply"]["src"], "127.0.0.1:9");
    assert_eq!(
        (&connection["seen_reply"], &connection["assured"]),
        (&json!(false), &json!(false))
    );

    let page = stdout(&inside(ROOT, nat, traffic));
    assert!(
        page.contains("mappings: this table keeps none of its own"),
        "{page}"
    );
    assert!(
        page.contains("127.0.0.1:9") && page.contains("one way"),
        "{page}"
    );
}

#[test]
fn the_page_for_people() {
    let page = stdout(&inside(ROOT, NAT, "exec \"$NATTRACE\" table"));
    let line = page
        .lines()
        .find(|line| line.contains("192.168.1.2:40000"))
        .expect(&page);
    assert!(line.contains("→  203.0.113.17:40001  anyone"), "{page}");
    assert!(line.ends_with("s of 30.0 s"), "{page}");
    assert!(!page.contains("connections"), "{page}");
}

#[test]
fn watching_goes_on() {
    let script = "timeout 20 \"$NATTRACE\" table --json --watch 0.05 | head -3";
    let lines = stdout(&inside(ROOT, NAT, script));
    let idle: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["mappings"][0]["idle_s"].as_f64())
        .collect();
    assert!(
        idle.len() == 3 && idle.is_sorted() && idle[0] < idle[2],
        "{idle:?}"
    );
}

#[test]
fn no_table_is_said_clearly() {
    let other = "table ip firewall { }";
    let output = inside(ROOT, other, "exec \"$NATTRACE\" table");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stdout(&output)
            .starts_with("no table ip pinhole in this network namespace (there is firewall)")
    );

    let output = inside(ROOT, other, "exec \"$NATTRACE\" table --json");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json_of(&output)["table"], Value::Null);
    assert!(stderr(&output).contains("no table ip pinhole"));
}

#[test]
fn without_permission_it_says_what_to_do() {
    let output = inside(NOBODY, "", "exec \"$NATTRACE\" table");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("CAP_NET_ADMIN"),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&output).is_empty());
}

#[test]
fn nonsense_is_refused() {
    for arguments in [
        "--table 'ipx a'",
        "--table 'a b c'",
        "--watch 0",
        "--watch -1",
        "--watch x",
    ] {
        let output = inside(NOBODY, "", &format!("exec \"$NATTRACE\" table {arguments}"));
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert!(stderr(&output).contains("error:"), "{arguments}");
    }
}

const ROOT: &[&str] = &["--user", "--map-root-user", "--net"];
const NOBODY: &[&str] = &["--user", "--net"];

/// Loads the ruleset, if there is one, in a new namespace and runs the script there.
fn inside(namespace: &[&str], ruleset: &str, script: &str) -> Output {
    let load = if ruleset.is_empty() {
        ""
    } else {
        "nft -f - || exit 99;"
    };
    let mut shell = Command::new("unshare")
        .args(namespace)
        .args(["bash", "-c", &format!("{load} {script}")])
        .env("NATTRACE", env!("CARGO_BIN_EXE_nattrace"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare (util-linux) is needed");
    shell
        .stdin
        .take()
        .unwrap()
        .write_all(ruleset.as_bytes())
        .unwrap();
    let output = shell.wait_with_output().unwrap();
    assert_ne!(
        output.status.code(),
        Some(99),
        "no namespace or no nft: {}",
        stderr(&output)
    );
    output
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {} {}", stdout(output), stderr(output)))
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The machine may be slow: some seconds more or less are not what is tested.
fn about(value: &Value, seconds: f64) {
    let value = value.as_f64().expect("a number of seconds");
    assert!(
        (value - seconds).abs() < 8.0,
        "{value} is not about {seconds}"
    );
}

"""What the NATs of this lab do, measured without any of the tools.

argv: for alice's side, then for bob's: type, mapping, filtering, ports
"""

import errno
import socket
import sys

from nodes import DEADLINE, S1, S2, Udp, check, done, enter, learn

servers = {(ip, port): Udp("server", ip, port) for ip in (S1, S2) for port in (7001, 7002)}


def mapping(host, port):
    """The mapping behaviour by RFC 4787, and the public ports that were seen."""
    inside = Udp(host, port=port)
    seen = {at: learn(inside, server) for at, server in servers.items()}
    own = host_address(inside)
    if all(s == (own, port) for s in seen.values()):
        word = "none"
    elif len(set(seen.values())) == 1:
        word = "endpoint-independent"
    elif all(seen[ip, 7001] == seen[ip, 7002] for ip in (S1, S2)):
        word = "address-dependent"
    else:
        word = "address-and-port-dependent"
    return word, [s[1] for s in seen.values()]


def host_address(udp):
    enter(udp.node)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((S1, 9))
        return probe.getsockname()[0]


def filtering(host):
    """The filtering behaviour, from a port that has spoken to one endpoint only."""
    inside, known = Udp(host), servers[S1, 7001]
    public = learn(inside, known)
    stranger = servers[S2, 7002].send(public)
    if inside.hears(stranger, known.send(public)):
        return "endpoint-independent"
    neighbour = servers[S1, 7002].send(public)
    if inside.hears(neighbour, known.send(public)):
        return "address-dependent"
    return "address-and-port-dependent"


def refusal(host):
    """What a stranger's packet gets that is kept out: the word of the ICMP error, or silence."""
    inside, known = Udp(host), servers[S1, 7001]
    public = learn(inside, known)
    stranger = Udp("server", S2)
    stranger.socket.connect(public)
    stranger.socket.send(b"anybody?")
    # Twice over the same way: an error would be back before that is.
    inside.hear(known.send(public))
    learn(inside, known)
    error = stranger.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[error] if error else "silence"


def allocation(host, first):
    """Which policy the public ports of four private ports look like."""
    private = range(first, first + 40, 10)
    public = [learn(Udp(host, port=p), servers[S1, 7001])[1] for p in private]
    if public == list(private):
        word = "preserve"
    elif {b - a for a, b in zip(public, public[1:])} == {1}:
        word = "sequential"
    elif all(40000 <= p < 40512 for p in public):
        word = "block"
    else:
        word = "random"
    return word, public


def tcp_socket(node, ip="0.0.0.0", port=0):
    """One that shares its port with others, as a peer's do."""
    enter(node)
    one = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        one.setsockopt(socket.SOL_SOCKET, option, 1)
    one.bind((ip, port))
    one.settimeout(DEADLINE)
    return one


def tcp_connect(node, to, ip="0.0.0.0", port=0, deadline=DEADLINE):
    """A connection, or what came instead."""
    one = tcp_socket(node, ip, port)
    one.settimeout(deadline)
    try:
        one.connect(to)
        return one
    except ConnectionRefusedError:
        return "rst"
    except OSError:
        return "silence"


def tcp_mapping(host, port):
    """The mapping behaviour for TCP."""
    seen, kept = {}, []
    for at, listener in listeners.items():
        out = tcp_connect(host, at, port=port)
        if isinstance(out, str):
            return out, seen
        accepted, seen[at] = listener.accept()
        kept += [out, accepted]
    if all(s == kept[0].getsockname() for s in seen.values()):
        return "none", seen
    if len(set(seen.values())) == 1:
        return "endpoint-independent", seen
    if all(seen[ip, 7001] == seen[ip, 7002] for ip in (S1, S2)):
        return "address-dependent", seen
    return "address-and-port-dependent", seen


def tcp_filtering(host, port):
    """The filtering behaviour for TCP, and what a stranger's SYN gets."""
    inside = tcp_socket(host, port=port)
    out = tcp_connect(host, (S1, 7001), port=port)
    accepted, public = listeners[S1, 7001].accept()
    inside.listen()
    stranger = tcp_connect("server", public, S2, 7102, 0.2)
    if not isinstance(stranger, str):
        return "endpoint-independent", "let in"
    neighbour = tcp_connect("server", public, S1, 7102, 0.2)
    word = "address-and-port-dependent" if isinstance(neighbour, str) else "address-dependent"
    for one in (out, accepted, inside):
        one.close()
    return word, stranger


def blocked(host):
    said = Udp(host).send((S1, 7001))
    return servers[S1, 7001].hear(said, 0.2) is None


def prove(host, spec, want_mapping, want_filtering, want_ports, port):
    kind = spec.split(",")[0]
    if kind == "udp-blocked":
        check(f"{spec}: no UDP from {host}", blocked(host))
        word, seen = tcp_mapping(host, port)
        return check(f"{spec}: TCP leaves {host}'s side", seen, word)
    word, seen = mapping(host, port)
    check(f"{spec}: mapping on {host}'s side is {want_mapping}", word == want_mapping, f"{word}, ports {seen}")
    word = filtering(host)
    check(f"{spec}: filtering on {host}'s side is {want_filtering}", word == want_filtering, word)
    if want_filtering != "endpoint-independent":
        refuses = kind == "masquerade" and "input=drop" not in spec
        want = "ECONNREFUSED" if refuses else "silence"
        word = refusal(host)
        check(f"{spec}: what a stranger gets from {host}'s side is {want}", word == want, word)
    if want_ports != "-":
        word, seen = allocation(host, port + 1)
        check(f"{spec}: ports on {host}'s side are {want_ports}", word == want_ports, f"{word}, {seen}")
    word, seen = tcp_mapping(host, port)
    check(f"{spec}: mapping of TCP on {host}'s side is the same", word == want_mapping, f"{word}, {seen}")
    word, got = tcp_filtering(host, port + 5)
    check(f"{spec}: filtering of TCP on {host}'s side is the same", word == want_filtering, word)
    answer = "rst" if kind == "masquerade" and "input=drop" not in spec or "tcp=rst" in spec else "silence"
    if want_filtering == "endpoint-independent":
        answer = "let in"
    check(f"{spec}: an unsolicited SYN gets: {answer}", got == answer, got)


listeners = {(ip, port): tcp_socket("server", ip, port) for ip in (S1, S2) for port in (7001, 7002)}
for listener in listeners.values():
    listener.listen()
prove("alice", *sys.argv[1:5], 42000)
prove("bob", *sys.argv[5:9], 42500)
done()

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


def tcp(host, router_public):
    """Whether a TCP connection to the server works, and whether one from outside is let in."""
    enter("server")
    listener = socket.create_server((S1, 0))
    enter(host)
    with socket.create_connection(listener.getsockname(), DEADLINE) as out:
        peer, _ = listener.accept()
        peer.sendall(b"x")
        goes_out = out.recv(1) == b"x"
        peer.close()
    inside = socket.create_server(("0.0.0.0", 0))
    enter("server")
    try:
        socket.create_connection((router_public, inside.getsockname()[1]), 0.15).close()
        comes_in = True
    except OSError:
        comes_in = False
    return goes_out, comes_in


def blocked(host):
    said = Udp(host).send((S1, 7001))
    return servers[S1, 7001].hear(said, 0.2) is None


def prove(host, spec, want_mapping, want_filtering, want_ports, port):
    kind = spec.split(",")[0]
    if kind == "udp-blocked":
        check(f"{spec}: no UDP from {host}", blocked(host))
        public = {"alice": "203.0.113.17", "bob": "203.0.113.33"}[host]
    else:
        word, seen = mapping(host, port)
        check(f"{spec}: mapping on {host}'s side is {want_mapping}", word == want_mapping, f"{word}, ports {seen}")
        word = filtering(host)
        check(f"{spec}: filtering on {host}'s side is {want_filtering}", word == want_filtering, word)
        if want_filtering != "endpoint-independent":
            want = "ECONNREFUSED" if kind == "masquerade" else "silence"
            word = refusal(host)
            check(f"{spec}: what a stranger gets from {host}'s side is {want}", word == want, word)
        if want_ports != "-":
            word, seen = allocation(host, port + 1)
            check(f"{spec}: ports on {host}'s side are {want_ports}", word == want_ports, f"{word}, {seen}")
        public = learn(Udp(host), servers[S1, 7001])[0]
    goes_out, comes_in = tcp(host, public)
    check(f"{spec}: TCP leaves {host}'s side", goes_out)
    expected = kind in ("open", "basic")
    check(f"{spec}: TCP from outside is {'let in' if expected else 'kept out'}", comes_in == expected)


prove("alice", *sys.argv[1:5], 42000)
prove("bob", *sys.argv[5:9], 42500)
done()

"""What the NATs of this lab do, measured without any of the tools.

argv: alice's and bob's type; for each: spec mapping filtering ports
"""

import socket
import sys

from nodes import DEADLINE, S1, S2, Udp, check, done, enter, learn

servers = {(ip, port): Udp("server", ip, port) for ip in (S1, S2) for port in (7001, 7002)}


def mapping(host, port):
    """The mapping behaviour by RFC 4787, and the public ports in the order of their birth."""
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


def allocation(port, seen):
    """Which policy these public ports of one private port look like."""
    if seen[0] == port:
        return "preserve"
    if all(40000 <= p < 40512 for p in seen):
        steps = {b - a for a, b in zip(seen, seen[1:])}
        return "sequential" if steps <= {0, 1} and seen[0] < 40100 else "block"
    return "random"


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
        socket.create_connection((router_public, inside.getsockname()[1]), 0.3).close()
        comes_in = True
    except OSError:
        comes_in = False
    return goes_out, comes_in


def blocked(host):
    said = Udp(host).send((S1, 7001))
    back = Udp(host, port=5000)
    return servers[S1, 7001].hear(said, 0.3) is None


def prove(host, spec, want_mapping, want_filtering, want_ports, port):
    kind = spec.split(",")[0]
    public = host_public = None
    if kind == "udp-blocked":
        check(f"{spec}: no UDP from {host}", blocked(host))
        public = sys.argv[9 if host == "alice" else 10]
    else:
        word, seen = mapping(host, port)
        check(f"{spec}: mapping on {host}'s side is {want_mapping}", word == want_mapping, f"{word}, ports {seen}")
        word = filtering(host)
        check(f"{spec}: filtering on {host}'s side is {want_filtering}", word == want_filtering, word)
        if want_ports != "-":
            word = allocation(port, seen)
            check(f"{spec}: ports on {host}'s side are {want_ports}", word == want_ports, f"{word}, {port} became {seen}")
        public = learn(Udp(host), servers[S1, 7001])[0]
    goes_out, comes_in = tcp(host, public)
    check(f"{spec}: TCP leaves {host}'s side", goes_out)
    expected = kind in ("open", "basic")
    check(f"{spec}: TCP from outside is {'let in' if expected else 'kept out'}", comes_in == expected)


prove("alice", *sys.argv[1:5], 42001)
prove("bob", *sys.argv[5:9], 42002)
done()

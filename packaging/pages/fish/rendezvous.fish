complete -c rendezvous -l ip -d 'IP address to listen on; 0.0.0.0 is every IPv4 address of this host, :: every address of both families' -r
complete -c rendezvous -l port -d 'Port to listen on, UDP and TCP' -r
complete -c rendezvous -l alt-ip -d 'Second IP address of this host; without it, clients cannot measure how their NAT filters' -r
complete -c rendezvous -l alt-port -d 'Second port [default: the port after --port]' -r
complete -c rendezvous -l rate -d 'Requests per second that are answered to one /24 (IPv6: /48)' -r
complete -c rendezvous -l key -d 'Keep this server\'s key in FILE, which is made on first use. Clients know the server by it [default: rendezvous-key in PINHOLE_HOME, else in ~/.config/pinhole]' -r -F
complete -c rendezvous -l max-names -d 'Most names that may be registered at once' -r
complete -c rendezvous -l reserve -d 'Reserve names for keys: the file has a line NAME KEY for each, with KEY in 64 hex digits as in known-peers; # begins a comment. No other key gets such a name' -r -F
complete -c rendezvous -l state -d 'Keep in FILE which key each name belongs to, so that a restart takes no name from its owner; it is made on first use [default: in memory only]' -r -F
complete -c rendezvous -l metrics -d 'Serve /metrics (for Prometheus), /healthz and /readyz by HTTP there; a port alone is one of 127.0.0.1 [default: nowhere]' -r
complete -c rendezvous -l config -d 'Read options from FILE (TOML): a key is the long name of an option, without its dashes. What is typed wins' -r -F
complete -c rendezvous -l relay-ip -d 'IP address of relayed addresses, as clients and peers see it [default: --ip]' -r
complete -c rendezvous -l relay-ports -d 'Ports of relayed addresses' -r
complete -c rendezvous -l relay-secret -d 'File with the secret that issues credentials, if other programs share it (coturn\'s static-auth-secret) [default: a new secret at each start]' -r -F
complete -c rendezvous -l relay-allow -d 'Private or reserved addresses that may be peers; may be given several times' -r
complete -c rendezvous -l relay-total -d 'Most relayed addresses at once; each is an open file' -r
complete -c rendezvous -l relay-per-name -d 'Most relayed addresses of one name' -r
complete -c rendezvous -l relay-per-address -d 'Most relayed addresses of the clients at one IP address' -r
complete -c rendezvous -l relay-rate -d 'Bytes per second through one relayed address, both directions together' -r
complete -c rendezvous -l relay-lifetime -d 'Longest lifetime of a relayed address that is not refreshed, in seconds' -r
complete -c rendezvous -l check-config -d 'Print with which options it would run, as a file for --config, and end. Nothing is made and no port is taken'
complete -c rendezvous -l log-addresses -d 'Log the addresses of clients, too [default: their names and keys, and the /24 or /48 of those who cause too many lines]'
complete -c rendezvous -l json -d 'Print JSON lines instead of text'
complete -c rendezvous -l relay -d 'Relay packets of registered names, on the same addresses and ports'
complete -c rendezvous -s h -l help -d 'Print help'
complete -c rendezvous -s V -l version -d 'Print version'

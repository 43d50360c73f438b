# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_rendezvous_global_optspecs
    string join \n ip= port= alt-ip= alt-port= rate= key= max-names= reserve= state= metrics= status= config= check-config log-addresses json relay relay-ip= relay-ports= relay-secret= relay-allow= relay-total= relay-per-name= relay-per-address= relay-rate= relay-lifetime= h/help V/version
end

function __fish_rendezvous_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_rendezvous_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_rendezvous_using_subcommand
    set -l cmd (__fish_rendezvous_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c rendezvous -n "__fish_rendezvous_needs_command" -l ip -d 'IP address to listen on; 0.0.0.0 is every IPv4 address of this host, :: every address of both families' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l port -d 'Port to listen on, UDP and TCP' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l alt-ip -d 'Second IP address of this host; without it, clients cannot measure how their NAT filters' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l alt-port -d 'Second port [default: the port after --port]' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l rate -d 'Requests per second that are answered to one /24 (IPv6: /48)' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l key -d 'Keep this server\'s key in FILE, which is made on first use. Clients know the server by it [default: rendezvous-key in PINHOLE_HOME, else in ~/.config/pinhole]' -r -F
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l max-names -d 'Most names that may be registered at once' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l reserve -d 'Reserve names for keys: the file has a line NAME KEY for each, with KEY in 64 hex digits as in known-peers; # begins a comment. No other key gets such a name' -r -F
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l state -d 'Keep in FILE which key each name belongs to, so that a restart takes no name from its owner; it is made on first use [default: in memory only]' -r -F
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l metrics -d 'Serve /metrics (for Prometheus), /healthz and /readyz by HTTP there; a port alone is one of 127.0.0.1 [default: nowhere]' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l status -d 'Tell who connects to the Unix socket PATH what is going on, for rendezvous status [default: status in RUNTIME_DIRECTORY, or rendezvous-status in XDG_RUNTIME_DIR]' -r -F
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l config -d 'Read options from FILE (TOML): a key is the long name of an option, without its dashes. What is typed wins' -r -F
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-ip -d 'IP address of relayed addresses, as clients and peers see it [default: --ip]' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-ports -d 'Ports of relayed addresses' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-secret -d 'File with the secret that issues credentials, if other programs share it (coturn\'s static-auth-secret) [default: a new secret at each start]' -r -F
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-allow -d 'Private or reserved addresses that may be peers; may be given several times' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-total -d 'Most relayed addresses at once; each is an open file' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-per-name -d 'Most relayed addresses of one name' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-per-address -d 'Most relayed addresses of the clients at one IP address' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-rate -d 'Bytes per second through one relayed address, both directions together' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay-lifetime -d 'Longest lifetime of a relayed address that is not refreshed, in seconds' -r
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l check-config -d 'Print with which options it would run, as a file for --config, and end. Nothing is made and no port is taken'
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l log-addresses -d 'Log the addresses of clients, too [default: their names and keys, and the /24 or /48 of those who cause too many lines]'
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l json -d 'Print JSON lines instead of text'
complete -c rendezvous -n "__fish_rendezvous_needs_command" -l relay -d 'Relay packets of registered names, on the same addresses and ports'
complete -c rendezvous -n "__fish_rendezvous_needs_command" -s h -l help -d 'Print help'
complete -c rendezvous -n "__fish_rendezvous_needs_command" -s V -l version -d 'Print version'
complete -c rendezvous -n "__fish_rendezvous_needs_command" -f -a "status" -d 'Show what is going on in the rendezvous that runs on this host'
complete -c rendezvous -n "__fish_rendezvous_using_subcommand status" -l status -d 'The socket of the server, its --status [default: in RUNTIME_DIRECTORY, in XDG_RUNTIME_DIR, or /run/rendezvous/status]' -r -F
complete -c rendezvous -n "__fish_rendezvous_using_subcommand status" -l json -d 'Print one JSON object; docs/reference/json.md explains it'
complete -c rendezvous -n "__fish_rendezvous_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'

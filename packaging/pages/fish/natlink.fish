# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_natlink_global_optspecs
    string join \n h/help V/version
end

function __fish_natlink_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_natlink_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_natlink_using_subcommand
    set -l cmd (__fish_natlink_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c natlink -n "__fish_natlink_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c natlink -n "__fish_natlink_needs_command" -s V -l version -d 'Print version'
complete -c natlink -n "__fish_natlink_needs_command" -f -a "run" -d 'Make links, and carry their frames until a signal ends it'
complete -c natlink -n "__fish_natlink_needs_command" -f -a "set" -d 'Change links while they run'
complete -c natlink -n "__fish_natlink_needs_command" -f -a "show" -d 'Show what links do, and what became of their frames'
complete -c natlink -n "__fish_natlink_needs_command" -f -a "explain" -d 'Print what settings come to, with what they have from a preset'
complete -c natlink -n "__fish_natlink_needs_command" -f -a "presets" -d 'List the kinds of links that have a name'
complete -c natlink -n "__fish_natlink_using_subcommand run" -l drops -d 'Write a JSON line to FILE for each frame that is dropped' -r -F
complete -c natlink -n "__fish_natlink_using_subcommand run" -l seed -d 'The same seed drops the same frames [default: another each time]' -r
complete -c natlink -n "__fish_natlink_using_subcommand run" -l control -d 'The socket by which a natlink that runs is asked' -r -F
complete -c natlink -n "__fish_natlink_using_subcommand run" -l keep -d 'Leave the devices when it ends: without a carrier, until their namespaces end. To remove a device takes the kernel 20 ms'
complete -c natlink -n "__fish_natlink_using_subcommand run" -s h -l help -d 'Print help'
complete -c natlink -n "__fish_natlink_using_subcommand set" -l control -d 'The socket by which a natlink that runs is asked' -r -F
complete -c natlink -n "__fish_natlink_using_subcommand set" -s h -l help -d 'Print help'
complete -c natlink -n "__fish_natlink_using_subcommand show" -l control -d 'The socket by which a natlink that runs is asked' -r -F
complete -c natlink -n "__fish_natlink_using_subcommand show" -l json -d 'Print a JSON object; docs/reference/json.md explains it'
complete -c natlink -n "__fish_natlink_using_subcommand show" -s h -l help -d 'Print help'
complete -c natlink -n "__fish_natlink_using_subcommand explain" -s h -l help -d 'Print help'
complete -c natlink -n "__fish_natlink_using_subcommand presets" -l json -d 'Print a JSON object'
complete -c natlink -n "__fish_natlink_using_subcommand presets" -s h -l help -d 'Print help'

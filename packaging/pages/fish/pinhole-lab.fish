# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pinhole_lab_global_optspecs
    string join \n json install same-lan no-verify loss= delay= link= prefix= profile= pcap= trace= both each strict until= timeout= runs= jobs= output= markdown= junit= html= v/verbose h/help
end

function __fish_pinhole_lab_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pinhole_lab_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pinhole_lab_using_subcommand
    set -l cmd (__fish_pinhole_lab_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l loss -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l delay -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l link -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l prefix -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l profile -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l pcap -r -f -a "(__fish_complete_directories)"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l trace -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l until -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l timeout -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l runs -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l jobs -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l output -r -f -a "(__fish_complete_directories)"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l markdown -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l junit -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l html -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l install
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l same-lan
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l no-verify
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l both
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l each
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -l strict
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -s v -l verbose
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "run"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "up"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "exec"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "shell"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "nat"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "reboot"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "renumber"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "roam"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "link"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "flood"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "expect"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "status"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "down"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "matrix"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "list"
complete -c pinhole-lab -n "__fish_pinhole_lab_needs_command" -a "doctor"
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l loss -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l delay -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l link -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l prefix -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l profile -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l pcap -r -f -a "(__fish_complete_directories)"
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l trace -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l until -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l timeout -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l install
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l same-lan
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -l no-verify
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand run" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l loss -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l delay -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l link -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l prefix -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l profile -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l pcap -r -f -a "(__fish_complete_directories)"
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l trace -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l install
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l same-lan
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -l no-verify
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand up" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand exec" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand exec" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand shell" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand shell" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand nat" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand nat" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand nat" -l watch
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand nat" -l all
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand nat" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand reboot" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand reboot" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand renumber" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand renumber" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand roam" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand roam" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand link" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand link" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand flood" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand flood" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand expect" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand expect" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand status" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand status" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand down" -l name -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand down" -l all
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand down" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l json -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l loss -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l delay -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l link -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l prefix -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l profile -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l pcap -r -f -a "(__fish_complete_directories)"
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l trace -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l until -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l timeout -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l runs -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l jobs -r -f
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l output -r -f -a "(__fish_complete_directories)"
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l markdown -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l junit -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l html -r -F
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l install
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l same-lan
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l no-verify
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l both
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l each
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -l strict
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand matrix" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand list" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand list" -s h -l help -d 'Print help'
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand doctor" -l json
complete -c pinhole-lab -n "__fish_pinhole_lab_using_subcommand doctor" -s h -l help -d 'Print help'

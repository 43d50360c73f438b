# shellcheck shell=bash
# What an interactive bash reads in a node: the user's own file, and then the node's name in front of the prompt, since
# the prompts of the host and of all nodes look the same.

# shellcheck source=/dev/null
[[ ! -r ~/.bashrc ]] || source ~/.bashrc
# The shell that this one was started from may have it as well.
PS1="($PINHOLE_NAME) ${PS1#"($PINHOLE_NAME) "}"

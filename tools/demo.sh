#!/bin/sh
# SPDX-License-Identifier: MIT
# demo.sh WTE - show what the command does with the vectors that ship with it
set -eu

wte=$1
root=$(cd "$(dirname "$0")/.." && pwd)
bold= plain=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

# Print a command as a user would type it, then run it.
show() {
    printf '\n%s$ wte %s%s\n' "$bold" "$*" "$plain"
    "$wte" "$@"
}

show similarity woman man
show nearest sea -k 6
show analogy man king woman -k 5
show odd breakfast dinner supper horse
printf '\n%s$ wte eval analogies models/demo/questions.txt%s\n' "$bold" "$plain"
"$wte" eval analogies "$root/models/demo/questions.txt"
printf '\nThe command is %s; `make install` installs it. Next: wte nearest -m YOUR-VECTORS.bin WORD\n' "$wte"

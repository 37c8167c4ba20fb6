# SPDX-License-Identifier: MIT
# helpers.bash - what the command's tests share
#
# WTE is the command, WTE_ROOT the checkout, WTE_SHARED the larger reference data, which may be
# absent. tests/golden/tiny.txt was made for these tests: 12 words of 4 small whole numbers, so that
# lengths and products can be checked in the head.
bats_require_minimum_version 1.5.0

setup() {
    : "${WTE:?the command to test}" "${WTE_ROOT:?the checkout}"
    export WTE_CACHE="$BATS_TEST_TMPDIR/cache"
    export LC_ALL=C.UTF-8 TERM=xterm
    unset WTE_MODEL NO_COLOR
    TINY="$WTE_ROOT/tests/golden/tiny.txt"
    NEWS="${WTE_SHARED:-$WTE_ROOT/../shared}/data/google-news-1000.bin"
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
}

# Run wte; $output is stdout, $stderr stderr, $status the exit status.
wte() {
    run --separate-stderr "$WTE" "$@"
}

# The last wte said no: one line on stderr that holds $2, nothing on stdout, exit status $1.
refused() {
    [ "$status" -eq "$1" ] || { echo "exit status $status, expected $1: $stderr"; return 1; }
    [ -z "$output" ] || { echo "stdout: $output"; return 1; }
    [ "${#stderr_lines[@]}" -eq 1 ] || { echo "stderr: $stderr"; return 1; }
    [[ "$stderr" == "wte: "*"$2"* ]] || { echo "stderr: $stderr"; echo "expected: $2"; return 1; }
}

# The last wte worked and said nothing on stderr.
answered() {
    [ "$status" -eq 0 ] && [ -z "$stderr" ] || { echo "status $status: $stderr"; return 1; }
}

# stdout is exactly $1.
prints() {
    [ "$output" = "$1" ] || { printf 'stdout:\n%s\nexpected:\n%s\n' "$output" "$1"; return 1; }
}

# A jq filter is true of the JSON on stdout.
json() {
    [ "$(jq "$1" <<<"$output")" = true ] || { echo "$output"; echo "is not: $1"; return 1; }
}

# |$1 - $2| <= $3
near() {
    awk -v a="$1" -v b="$2" -v e="$3" 'BEGIN { d = a - b; exit !(d <= e && -d <= e) }' ||
        { echo "$1 is not $2"; return 1; }
}

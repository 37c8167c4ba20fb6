#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - compare wte's tokenizers with independent ones on random Unicode
#
#   tests/differential/run.sh [--seed N] [--n N] [--only gpt2,bert,decode] [--gpt2 DIR] [--bert DIR]
#
# WTE names the command (build/release/wte), WTE_BENCH_DIR (/tmp/wte-bench) the folder outside the
# repository that the other tokenizers are installed into, WTE_SHARED the reference data
# (../shared). Exits 0 where all agree, 1 where wte is alone, 77 (skipped) where npm, a package, the
# command or the vocabularies are missing. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=${WTE_BENCH_DIR:-/tmp/wte-bench}
wte=${WTE:-$root/build/release/wte}

skip()
{
    echo "differential: skipped: $1" >&2
    exit 77
}

[ -x "$wte" ] || skip "$wte is missing (build it, or set WTE)"
command -v node >/dev/null || skip "node not found"
"$root/bench/tokenizers/peers.sh" "$folder" || skip "the other tokenizers cannot be installed"
exec node "$here/fuzz.mjs" --wte "$wte" --modules "$folder" \
    --shared "${WTE_SHARED:-$root/../shared}" "$@"

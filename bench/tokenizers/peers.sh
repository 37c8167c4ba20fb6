#!/bin/sh
# SPDX-License-Identifier: MIT
# peers.sh FOLDER - install the other tokenizers into FOLDER/node_modules, at the versions that
# package.json pins; does nothing where they are there. Exits 1 where npm or a package is missing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
llama=node-llama-cpp@3.22.1

command -v node >/dev/null && command -v npm >/dev/null || {
    echo "peers: node and npm not found (Debian: nodejs npm)" >&2
    exit 1
}
if ! cmp -s "$here/package.json" "$folder/package.json" || ! [ -f "$folder/peers-installed" ]; then
    rm -f "$folder/peers-installed"
    cp "$here/package.json" "$folder/package.json"
    echo "peers: installing into $folder/node_modules" >&2
    (cd "$folder" && npm install --no-audit --no-fund --no-package-lock --loglevel=error >&2) ||
        exit 1
    : >"$folder/peers-installed"
fi
if [ "${WITH_LLAMA:-0}" = 1 ] && ! [ -d "$folder/node_modules/node-llama-cpp" ]; then
    echo "peers: installing $llama" >&2
    (cd "$folder" && NODE_LLAMA_CPP_SKIP_DOWNLOAD=true npm install --no-save --no-audit --no-fund \
        --no-package-lock --loglevel=error "$llama" >&2) || exit 1
fi

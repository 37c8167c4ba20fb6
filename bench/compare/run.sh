#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh - build what the comparison benchmark needs and run it
#
# BUILD names the build folder, WTE_BENCH_DIR (/tmp/wte-bench) that of the inputs; WTE_NUMPY_PYTHON
# a Python with numpy, scipy and scikit-learn. See README.md.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${BUILD:-$root/build/release}
folder=${WTE_BENCH_DIR:-/tmp/wte-bench}/compare
python=${WTE_NUMPY_PYTHON:-/usr/bin/python3}

"$python" -c 'import numpy, scipy, sklearn' || {
    echo "bench: $python lacks a peer (Debian: python3-numpy python3-scipy python3-sklearn)" >&2
    exit 1
}
cmake -S "$root" -B "$build" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$build" -j"$(nproc)" --target bench_compare >/dev/null
mkdir -p "$folder"
[ -f "$folder/cka-b.f32" ] || "$python" "$here/numpy_peer.py" make "$folder"
exec "$python" "$here/bench.py" --folder "$folder" --program "$build/bench/bench_compare" \
    --python "$python" "$@"

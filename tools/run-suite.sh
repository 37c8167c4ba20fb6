#!/bin/sh
# SPDX-License-Identifier: MIT
# run-suite.sh NAME BUILD_TYPE SANITIZERS - build into build/NAME and run its tests
#
# Under the thread sanitizer only the suites whose code has threads are run.
set -eu

name=$1 type=$2 sanitizers=$3
dir=build/$name
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

echo "== $name"
mkdir -p "$dir"
cmake -S . -B "$dir" -DCMAKE_BUILD_TYPE="$type" -DWTE_SANITIZE="$sanitizers" \
    -DWTE_TESTS=ON >"$dir.log" 2>&1 || {
    cat "$dir.log"
    exit 1
}
env -u MAKELEVEL -u MAKEFLAGS cmake --build "$dir" -j"$jobs" >>"$dir.log" 2>&1 || {
    tail -n 60 "$dir.log"
    exit 1
}
ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
UBSAN_OPTIONS=print_stacktrace=1
TSAN_OPTIONS=halt_on_error=1
LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS LSAN_OPTIONS
select=
[ "$name" != tsan ] || select="-L unit"
# shellcheck disable=SC2086
(cd "$dir" && ctest --output-on-failure -j"$jobs" $select)

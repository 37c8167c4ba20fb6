# SPDX-License-Identifier: MIT
# files.bats - what is written, read back, kept and cleared

load helpers

@test "a space survives every format" {
    "$WTE" vector -m "$TINY" --ids --words <(seq 0 11) --json > want
    for ending in bin txt safetensors; do
        wte convert -m "$TINY" -o "copy.$ending"
        answered
        prints ""
        "$WTE" vector -m "copy.$ending" --ids --words <(seq 0 11) --json > got
        diff want got
        [ "$(ls | grep -c tmp)" -eq 0 ]
    done
    gzip -k copy.bin
    "$WTE" vector -m copy.bin.gz --ids --words <(seq 0 11) --json > got
    diff want got
}

@test "info names each format" {
    for ending in bin txt safetensors; do
        "$WTE" convert -m "$TINY" -o "copy.$ending"
    done
    [ "$("$WTE" info -m copy.bin --json | jq -r .config.format)" = "word2vec binary" ]
    [ "$("$WTE" info -m copy.txt --json | jq -r .config.format)" = "word2vec text" ]
    [ "$("$WTE" info -m copy.safetensors --json | jq -r .config.format)" = "wte" ]
}

# The header of a .npy file.
npy_header() {
    head -c 128 "$1" | tr -d '\n' | grep -aoE "\{.*\}"
}

@test "arrays for numpy" {
    wte vector -m "$TINY" king north -o v.npy
    answered
    prints ""
    [[ "$(npy_header v.npy)" == *"'descr': '<f4'"*"'shape': (2, 4)"* ]]
    [ "$(tail -c 32 v.npy | od -An -tf4 -w32 | xargs)" = "2 2 0 1 0 3 -4 0" ]
    wte matrix -m "$TINY" king north south -o m.npy
    [[ "$(npy_header m.npy)" == *"'shape': (3, 3)"* ]]
    wte embedding --vocab 7 --dim 3 -o e.npy
    [[ "$(npy_header e.npy)" == *"'shape': (7, 3)"* ]]
    printf 'king\tqueen\nnorth\tsouth\n' | "$WTE" distance -m "$TINY" - -o d.npy
    [[ "$(npy_header d.npy)" == *"'shape': (2,)"* ]]
    wte convert -m "$TINY" -o all.npy
    [[ "$(npy_header all.npy)" == *"'shape': (12, 4)"* ]]
    wte project -m "$TINY" -d 3 -o p.npy
    [[ "$(npy_header p.npy)" == *"'shape': (12, 3)"* ]]
}

@test "-o FILE.json and FILE.tsv hold what --json and --tsv print" {
    for ending in json tsv; do
        "$WTE" nearest -m "$TINY" king "--$ending" > want
        wte nearest -m "$TINY" king -o "got.$ending"
        answered
        prints ""
        diff want "got.$ending"
    done
    wte matrix -m "$TINY" king queen --json -o m.npy
    json '.tokens == ["king", "queen"]'
    [ -s m.npy ]
}

@test "some words as a file of vectors" {
    wte vector -m "$TINY" café king -o few.bin
    answered
    wte nearest -m few.bin king --json
    json '[.neighbors[].token] == ["café"]'
}

@test "an index is kept, told, listed and cleared" {
    "$WTE" convert -m "$TINY" -o copy.bin
    export WTE_INDEX_MIN=1
    wte nearest -m copy.bin king --json
    [ "$status" -eq 0 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "wte: indexed 12 rows of "*"copy.bin: "*" in $WTE_CACHE/"*"(wte cache lists it, --no-cache turns it off)" ]]
    first=$output
    wte nearest -m copy.bin king --json
    answered
    prints "$first"
    wte nearest -m copy.bin king --json --no-cache
    answered
    prints "$first"
    wte info -m copy.bin --json
    json '.index.state == "found" and .index.bytes > 0'
    wte cache --json
    json '(.entries | length == 1) and .bytes == .entries[0].bytes'
    json '.entries[0].for | endswith("copy.bin")'
    json ".folder == \"$WTE_CACHE\""
    wte cache clear
    answered
    [[ "$output" == "deleted 1 file, "* ]]
    wte cache --json
    json '.entries == [] and .bytes == 0'
}

@test "-q builds the index without a word" {
    "$WTE" convert -m "$TINY" -o copy.bin
    WTE_INDEX_MIN=1 wte nearest -q -m copy.bin king --json
    answered
}

@test "a changed file is noticed" {
    "$WTE" convert -m "$TINY" -o copy.bin
    export WTE_INDEX_MIN=1
    "$WTE" nearest -q -m copy.bin king > /dev/null
    "$WTE" convert -m "$TINY" --transform center -o other.bin
    cat other.bin > copy.bin
    touch -d '+1 hour' copy.bin
    wte vector -m copy.bin king --json
    [ "$status" -eq 0 ]
    [[ "$stderr" == "wte: indexed "*"copy.bin"* ]]
    prints "$("$WTE" vector -m other.bin --no-cache king --json)"
}

@test "a folder that cannot be written is told, and the answer comes" {
    [ "$(id -u)" -ne 0 ] || export WTE_CACHE=/dev/null/cache
    [ "$(id -u)" -eq 0 ] || { mkdir locked; chmod 500 locked; export WTE_CACHE="$PWD/locked/cache"; }
    "$WTE" convert -m "$TINY" -o copy.bin
    WTE_INDEX_MIN=1 wte nearest -m copy.bin king -k 1 --json
    [ "$status" -eq 0 ]
    json '.neighbors[0].token == "man"'
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == *"no index kept"* ]]
}

@test "a file that shrinks while it is mapped is named" {
    "$WTE" convert -m "$TINY" -o copy.bin
    mkfifo queries
    "$WTE" similarity -m copy.bin --json - < queries > answers 2> errors &
    exec 7> queries
    printf 'king\tqueen\n' >&7
    for _ in $(seq 100); do [ -s answers ] && break; sleep 0.05; done
    [ -s answers ]
    truncate -s 0 copy.bin
    printf 'king\tqueen\n' >&7
    exec 7>&-
    status=0
    wait $! || status=$?
    if [ "$status" -eq 0 ]; then skip "small files are not mapped"; fi
    [ "$status" -eq 1 ]
    grep -q '^wte: similarity: .*copy.bin: shrank while it was being read$' errors
}

@test "what is odd about a file is told, and by info" {
    printf '2 2\na 1 0\nb 0 1\nc 1 1\n' > more.txt
    wte vector -m more.txt a --tsv
    [ "$status" -eq 0 ]
    prints $'token\t0\t1\na\t1\t0'
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "wte: more.txt: the header says 2 rows, the file has 3"* ]]
    wte vector -q -m more.txt a --tsv
    answered
    wte info -m more.txt --json
    answered
    json '.note | startswith("the header says 2 rows")'
}

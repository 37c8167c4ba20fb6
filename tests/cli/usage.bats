# SPDX-License-Identifier: MIT
# usage.bats - what is wrong is refused: one line on stderr, nothing on stdout

load helpers

@test "an unknown command gets a suggestion" {
    wte nearst
    refused 2 "there is no command 'nearst'; did you mean 'nearest'?"
}

@test "an unknown option gets a suggestion" {
    wte nearest --metrik cosine king
    refused 2 "nearest: unknown option '--metrik'; did you mean '--metric'? (see 'wte nearest --help')"
}

@test "options before the command are refused" {
    wte -q nearest king
    refused 2 "options go behind it"
}

@test "values are checked" {
    wte nearest -k 0 king
    refused 2 "-k 0: expected a whole number from 1"
    wte nearest -k -1 king
    refused 2 "-k -1"
    wte nearest -k
    refused 2 "-k needs a value"
    wte nearest --metric=hamming king
    refused 2 "--metric hamming: expected one of cosine|euclidean|cityblock|cosmul"
    wte nearest --json=yes king
    refused 2 "--json takes no value"
    wte nearest --json --tsv king
    refused 2 "cannot both"
    wte matrix king -o x.csv
    refused 2 "the ending must be one of .npy .json .tsv"
    wte embedding --vocab 99999999999999999999 --dim 3
    refused 2 "--vocab"
}

@test "words that are missing or too many are refused" {
    wte nearest
    refused 2 "a word is missing"
    wte similarity king
    refused 2 "expected 2 words, there are 1"
    wte analogy a b c d
    refused 2 "expected 3 words, there are 4"
    wte odd king
    refused 2 "expected 2 words or more"
    wte info king
    refused 2 "'king' is not expected"
    wte eval
    refused 2 "expected 'analogies' or 'pairs'"
    wte cache burn
    refused 2 "burn"
    wte convert
    refused 2 "-o FILE is missing"
    wte embedding --dim 3
    refused 2 "--vocab V is missing"
}

@test "behind -- everything is a word, and a dash with a digit always is" {
    printf '3 2\n-k 1 0\n-5 0 1\nx 1 1\n' > dash.txt
    wte vector -m dash.txt --tsv -- -k
    answered
    prints $'token\t0\t1\n-k\t1\t0'
    wte vector -m dash.txt --tsv -5
    answered
    prints $'token\t0\t1\n-5\t0\t1'
    wte vector -m dash.txt -k
    refused 2 "a word that begins with '-' goes behind '--'"
}

@test "options may stand behind words, joined or not" {
    wte nearest king -m "$TINY" -k2 --metric=cosine --tsv
    answered
    [ "${#lines[@]}" -eq 3 ]
}

@test "a file that is not there, a folder, an empty file" {
    wte info -m nowhere.bin
    refused 1 "nowhere.bin"
    mkdir folder
    wte info -m folder
    refused 1 "folder"
    : > empty.bin
    wte info -m empty.bin
    refused 1 "empty.bin"
}

@test "a truncated file" {
    "$WTE" convert -m "$TINY" -o whole.bin
    head -c 150 whole.bin > cut.bin
    wte nearest -m cut.bin king
    [ "$status" -eq 1 ] || [ -n "$stderr" ]
    head -c 40 whole.bin > cut.safetensors
    "$WTE" convert -m "$TINY" -o whole.safetensors
    head -c 400 whole.safetensors > cut.safetensors
    wte nearest -m cut.safetensors king
    refused 1 "cut.safetensors"
}

@test "a file that is no vector file" {
    head -c 5000 /dev/urandom > noise
    wte info -m noise
    refused 1 "noise"
}

@test "an unknown word gets suggestions" {
    wte nearest -m "$TINY" quen
    refused 1 "'quen' is not in tiny"
    [[ "$stderr" == *"did you mean"*"'queen'"* ]]
    wte similarity -m "$TINY" king KING
    refused 1 "'king'"
}

@test "an id out of range" {
    wte vector -m "$TINY" --ids 12
    refused 1 "'12' is no id of tiny: ids are 0 to 11"
    wte vector -m "$TINY" --ids king
    refused 1 "'king' is no id"
}

@test "two models are one too many" {
    wte nearest -m "$TINY" -m "$TINY" king
    refused 2 "one -m is enough"
}

@test "a transform that does not exist" {
    wte nearest -m "$TINY" --transform whiten king
    refused 2 "whiten"
}

@test "weights need a number" {
    wte nearest -m "$TINY" --weights king=much
    refused 1 "'king=much' has no number"
}

@test "a disk that is full is an error" {
    [ -e /dev/full ] || skip "no /dev/full"
    run --separate-stderr bash -c '"$WTE" nearest -m "$0" king > /dev/full' "$TINY"
    refused 1 "standard output"
}

@test "a file that cannot be written is named, and nothing is left" {
    wte matrix -m "$TINY" king queen -o nowhere/m.npy
    refused 1 "nowhere/m.npy"
    wte matrix -m "$TINY" king queen -o nowhere/m.tsv
    refused 1 "nowhere/m.tsv"
    wte convert -m "$TINY" -o nowhere/m.bin
    refused 1 "nowhere/m.bin"
    [ -z "$(ls)" ]
    for ending in npy tsv; do
        mkdir "m.$ending"
        wte matrix -m "$TINY" king queen -o "m.$ending"
        refused 1 "m.$ending"
    done
    mkdir m.bin
    wte convert -m "$TINY" -o m.bin
    refused 1 "m.bin"
    [ "$(ls | paste -sd' ')" = "m.bin m.npy m.tsv" ]
}

@test "control bytes in a message do not reach the terminal" {
    wte nearest -m "$TINY" $'a\033[2Jb'
    [ "$status" -eq 1 ]
    [[ "$stderr" != *$'\033'* ]]
}

@test "a reader that goes away ends it quietly" {
    run --separate-stderr bash -c 'yes king | "$WTE" nearest -m "$0" - | head -n 1' "$TINY"
    [ -z "$stderr" ]
    [ "${#lines[@]}" -eq 1 ]
}

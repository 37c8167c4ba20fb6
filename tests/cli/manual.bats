# SPDX-License-Identifier: MIT
# manual.bats - help, man pages and completions

load helpers

commands() {
    "$WTE" --help | sed -n 's/^  \([a-z]*\)  *.*/\1/p'
}

@test "without arguments it prints an overview" {
    wte
    answered
    [[ "$output" == *"wte nearest king"* ]]
}

@test "--version prints name and version" {
    wte --version
    answered
    [[ "$output" =~ ^wte\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "--help lists the commands" {
    [ "$(commands | wc -l)" -ge 15 ]
    for name in vector similarity distance nearest analogy odd matrix project eval cache convert \
        embedding info list tokenize detokenize vocab help; do
        commands | grep -qx "$name"
    done
}

@test "every command has help with usage and examples, in 80 columns" {
    for name in $(commands); do
        wte "$name" --help
        answered
        [[ "$output" == *"usage: wte $name"* ]]
        [[ "$output" == *"Examples"* ]]
        ! sed '/^JSON$/,$d' <<<"$output" | grep -v '^  \$' | grep -E '^.{81}'
        help=$output
        wte help "$name"
        prints "$help"
    done
}

@test "every example of the help runs" {
    ln -s "$WTE" wte
    PATH="$PWD:$PATH"
    cp -r "$WTE_ROOT"/tests/golden/models/{gpt2,bert} .
    printf 'king\nqueen\nman\nwoman\n' > words.txt
    printf ': family\nman king woman queen\n: gram3\ngood better bad worse\n' > questions-words.txt
    printf 'king\tqueen\t8.5\nbread\twater\t3\nking\tbread\t1\n' > wordsim353.tsv
    n=0
    for name in $(commands); do
        while IFS= read -r line; do
            n=$((n + 1))
            run --separate-stderr bash -c "$line"
            [ "$status" -eq 0 ] || { echo "$line: $stderr"; return 1; }
        done < <("$WTE" "$name" --help | sed -n 's/^  \$ //p')
    done
    [ "$n" -ge 40 ]
}

@test "man pages are valid" {
    command -v mandoc >/dev/null || skip "no mandoc"
    mkdir man
    "$WTE" __man man
    [ "$(ls man | wc -l)" -eq "$(($(commands | wc -l) + 1))" ]
    run mandoc -Tlint -Wstyle man/*.1
    prints ""
}

@test "completions are valid" {
    "$WTE" __completion bash > wte.bash
    bash -n wte.bash
    "$WTE" __completion zsh > _wte
    "$WTE" __completion fish > wte.fish
    if command -v zsh >/dev/null; then zsh -n _wte; fi
    if command -v fish >/dev/null; then fish -n wte.fish; fi
}

@test "bash completes commands, options and choices" {
    "$WTE" __completion bash > wte.bash
    source ./wte.bash
    complete_words() {
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        COMPREPLY=()
        _wte || true # compopt and compgen may say no
    }
    complete_words wte near
    [ "${COMPREPLY[*]}" = nearest ]
    complete_words wte nearest --met
    [ "${COMPREPLY[*]}" = --metric ]
    complete_words wte nearest --metric co
    [ "${COMPREPLY[*]}" = "cosine cosmul" ]
    complete_words wte eval an
    [ "${COMPREPLY[*]}" = analogies ]
}

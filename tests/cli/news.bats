# SPDX-License-Identifier: MIT
# news.bats - the numbers of the notebooks, from 1000 words of GoogleNews (where the file is there)

load helpers

similar() {
    wte similarity -m "$NEWS" "$1" "$2" --json
    [ "$status" -eq 0 ]
    near "$(jq .similarity <<<"$output")" "$3" 1e-6
}

@test "similarities of the notebook" {
    [ -e "$NEWS" ] || skip "$NEWS is not there"
    similar woman man 0.7664012
    similar boy girl 0.8543272
    similar father mother 0.7901483
    similar brother sister 0.7160383
    similar paper water 0.1140808
}

@test "its text form gives the same similarities" {
    [ -e "${NEWS%.bin}.txt" ] || skip "${NEWS%.bin}.txt is not there"
    NEWS="${NEWS%.bin}.txt"
    similar woman man 0.7664012
}

@test "neighbours as gensim finds them" {
    [ -e "$NEWS" ] || skip "$NEWS is not there"
    wte nearest -m "$NEWS" unless -k 3 --json
    json '[.neighbors[].token] == ["if", "until", "either"]'
    near "$(jq '.neighbors[0].score' <<<"$output")" 0.6882052421569824 1e-6
}

@test "evaluation counts as gensim counts" {
    questions="${NEWS%/*}/questions-words.txt"
    [ -e "$questions" ] && [ -e "$NEWS" ] || skip "$questions is not there"
    wte eval analogies -m "$NEWS" "$questions" --json
    [ "$status" -eq 0 ]
    near "$(jq .accuracy <<<"$output")" 0.8488372093023255 1e-12
}

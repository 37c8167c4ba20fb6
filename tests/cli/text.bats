# SPDX-License-Identifier: MIT
# text.bats - tokenize, detokenize, vocab
#
# tests/golden/models/gpt2 has the 256 bytes and a few merges: "the" 262, " theory" 261, "ories" 265,
# " of" 267, " theories" 268, <|endoftext|> 269; bert has twenty words.

load helpers

setup_file() {
    export GPT2="$WTE_ROOT/tests/golden/models/gpt2" BERT="$WTE_ROOT/tests/golden/models/bert"
    SHARED="${WTE_SHARED:-$WTE_ROOT/../shared}"
    export REAL_GPT2="$SHARED/data/gpt2" REAL_BERT="$SHARED/data/bert" GOLDEN="$SHARED/golden"
}

@test "tokenize prints ids and tokens" {
    wte tokenize -m "$GPT2" --json "the theory of theories"
    answered
    prints '{"ids":[262,261,267,268],"tokens":["the"," theory"," of"," theories"]}'
    wte tokenize -m "$BERT" --json "Theory of RELATIVITIES"
    answered
    prints '{"ids":[6,7,8,9,10,12],"tokens":["theory","of","re","##lat","##iv","##ities"]}'
}

@test "people see spaces" {
    wte tokenize -m "$GPT2" "the theory"
    answered
    [ "${lines[1]}" = "262  the" ]
    [ "${lines[2]}" = "261  ␣theory" ]
    [ "${lines[3]}" = "2 tokens in gpt2, 10 bytes of text" ]
}

@test "the theory of relativity" {
    [ -d "$REAL_GPT2" ] || skip "no $REAL_GPT2"
    wte tokenize -m "$REAL_GPT2" --json "The theory of relativity is"
    json '.ids == [464, 4583, 286, 44449, 318]'
    wte detokenize -m "$REAL_GPT2" 464 4583 286 44449 318
    prints "The theory of relativity is"
}

@test "each argument is a text, - is standard input, --file a file" {
    wte tokenize -m "$GPT2" --json the of
    [ "${#lines[@]}" -eq 2 ]
    [ "$(printf 'the of' | "$WTE" tokenize -m "$GPT2" --json - | jq -c .ids)" = "[262,267]" ]
    printf 'the of' > text
    [ "$("$WTE" tokenize -m "$GPT2" --json --file text | jq -c .ids)" = "[262,267]" ]
}

@test "ids become an array of uint32" {
    wte tokenize -m "$GPT2" "the theory" -o ids.npy
    answered
    prints ""
    [[ "$(head -c 128 ids.npy | tr -d '\n' | grep -aoE '\{.*\}')" == *"'<u4'"*"'shape': (2,)"* ]]
    [ "$(tail -c 8 ids.npy | od -An -tu4 | xargs)" = "262 261" ]
}

@test "special tokens are read when asked for" {
    wte tokenize -m "$GPT2" --json '<|endoftext|>'
    json '.ids | length > 1'
    wte tokenize -m "$GPT2" --json --special 'the<|endoftext|>'
    json '.ids == [262, 269]'
    wte tokenize -m "$BERT" --json --special the
    json '.tokens == ["[CLS]", "the", "[SEP]"]'
    wte tokenize -m "$BERT" --json 'the [MASK]'
    json '.tokens == ["the", "[MASK]"]'
    wte tokenize -m "$BERT" --json --explain '[MASK]'
    json '.ids == [4] and ([.steps[] | select(.kind == "special")] | length) == 1'
}

@test "a JSON string a line" {
    run --separate-stderr "$WTE" tokenize -m "$GPT2" --jsonl < <(printf '"the"\n"\\u0020of"\n7\n"\\ud800"\n""\n')
    [ "$status" -eq 1 ]
    [ "$(jq -sc 'map(.ids)' <<<"$output")" = "[[262],[267],[]]" ]
    [ "${#stderr_lines[@]}" -eq 2 ]
    [[ "${stderr_lines[0]}" == "wte: tokenize: line 3: expected a JSON string" ]]
    [[ "${stderr_lines[1]}" == "wte: tokenize: line 4: "* ]]
}

@test "bytes that are no text are told exactly" {
    wte tokenize -m "$GPT2" --json "é the"
    json '.tokens == ["\ufffd", "\ufffd", " the"] and .bytes == [[195], [169], null]'
    wte detokenize -m "$GPT2" --json 262 "$(jq '.ids[0]' <<<"$output")"
    json '.text == "the\ufffd"'
    wte detokenize -m "$GPT2" $("$WTE" tokenize -m "$GPT2" --json "é the" | jq '.ids[]')
    prints "é the"
}

@test "--explain tells why" {
    wte tokenize -m "$GPT2" --explain "the theory"
    [[ "$output" == *"word  the  bytes 74 68 65"* ]]
    [[ "$output" == *"merge h + e  rank 1"* ]]
    [[ "$output" == *"merge ␣the + ory  rank 5"* ]]
    wte tokenize -m "$BERT" --explain "Relativity ☃"
    [[ "$output" == *"normalized  relativity ☃"* ]]
    [[ "$output" == *"longest match ##lat  id 9"* ]]
    [[ "$output" == *"no match, so unknown:"*"id 1"* ]]
    wte tokenize -m "$GPT2" --explain --json the
    json '[.steps[].kind] == ["word", "merge", "merge"] and .steps[2].left == "t"'
}

@test "--counts compares models" {
    wte tokenize -m "$GPT2" -m "$BERT" --counts --json theories theory
    answered
    prints '{"models":["gpt2","bert"],"rows":[{"token":"theories","counts":[[2,1],[1,1]]},{"token":"theory","counts":[[2,1],[1,1]]}]}'
    wte tokenize -m "$GPT2" -m "$BERT" --counts --tsv theories
    [ "${lines[1]}" = $'theories\t2\t1\t1\t1' ]
    wte tokenize -m "$GPT2" -m "$BERT" --counts theories
    [ "${lines[2]}" = "theories     2  1     1  1" ]
    wte tokenize -m "$GPT2" -m "$BERT" theories
    refused 2 "one -m is enough"
}

@test "detokenize reads ids in every shape" {
    for ids in "262 261" "262,261" "[262, 261]"; do
        wte detokenize -m "$GPT2" --json $ids
        answered
        prints '{"text":"the theory"}'
        [ "$("$WTE" detokenize -m "$GPT2" - <<<"$ids")" = "the theory" ]
    done
    run --separate-stderr "$WTE" detokenize -m "$GPT2" --jsonl < <(printf '[262]\n[]\n[-1]\n[270]\nx\n[267]\n')
    [ "$status" -eq 1 ]
    [ "$(jq -sc 'map(.text)' <<<"$output")" = '["the",""," of"]' ]
    [ "${#stderr_lines[@]}" -eq 3 ]
    [[ "${stderr_lines[1]}" == *"line 4: "*"270"* ]]
}

@test "vocab lists and searches, and what it shows can be typed back" {
    wte vocab -m "$GPT2"
    answered
    [ "${#lines[@]}" -eq 270 ]
    [ "${lines[261]}" = $'261\t␣theory' ]
    wte vocab -m "$GPT2" --json " the"
    [ "$(jq -sc 'map(.id)' <<<"$output")" = "[258,261,268]" ]
    wte vocab -m "$GPT2" ␣of
    prints $'267\t␣of'
    "$WTE" vocab -m "$GPT2" | cut -f2 > shown
    "$WTE" vector -m "$GPT2" --words shown --json | jq -c .id | diff - <(seq 0 269)
    wte vocab -m "$TINY" --tsv quee
    [ "${lines[1]}" = $'1\tqueen' ]
}

@test "what has no tokenizer is refused" {
    wte tokenize -m "$TINY" the
    refused 1 "tiny is word vectors, which have no tokenizer"
    mkdir bare
    cp "$GPT2/model.safetensors" bare
    wte tokenize -m bare the
    refused 1 "bare has no tokenizer files"
    cp "$GPT2/vocab.json" bare
    wte tokenize -m bare the
    refused 1 "merges.txt"
    wte tokenize -m "$GPT2"
    refused 2 "a text is missing"
    wte detokenize -m "$GPT2"
    refused 2 "ids are missing"
    wte detokenize -m "$GPT2" the
    refused 1 "'the' is no id"
}

@test "every row of the references" {
    command -v jq >/dev/null && [ -f "$GOLDEN/tokenizer_gpt2.jsonl" ] || skip "no references"
    for kind in gpt2 bert; do
        model=$REAL_GPT2
        [ $kind = gpt2 ] || model=$REAL_BERT
        jq -c .text "$GOLDEN/tokenizer_$kind.jsonl" > texts
        special=--special # the GPT-2 rows take <|endoftext|> for the special token
        [ $kind = gpt2 ] || special=
        "$WTE" tokenize -m "$model" $special --jsonl < texts | jq -c .ids > got
        jq -c .ids "$GOLDEN/tokenizer_$kind.jsonl" | diff -q - got
        "$WTE" detokenize -m "$model" --jsonl < got | jq -c .text > back
        jq -c .decoded "$GOLDEN/tokenizer_$kind.jsonl" | diff -q - back
    done
}

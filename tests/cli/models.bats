# SPDX-License-Identifier: MIT
# models.bats - GPT-2 and BERT where word vectors are expected

load helpers

setup_file() {
    export GPT2="$WTE_ROOT/tests/golden/models/gpt2" BERT="$WTE_ROOT/tests/golden/models/bert"
    export SHARED="${WTE_SHARED:-$WTE_ROOT/../shared}"
}

@test "info draws the modules, then parameters and bytes" {
    wte info -m "$GPT2"
    answered
    [ "${lines[0]}" = "GPT2LMHeadModel(" ]
    [ "${lines[2]}" = "    (wte): Embedding(270, 4)" ]
    [[ "$output" == *"parameters  1,364"* ]]
    [[ "$output" == *"tokenizer   vocab.json and merges.txt, 270 tokens"* ]]
    wte info -m "$BERT"
    [ "${lines[0]}" = "BertForPreTraining(" ]
    [[ "$output" == *"parameters  378"* ]]
}

@test "info for programs" {
    wte info -m "$GPT2" --json
    answered
    [ "${#lines[@]}" -eq 1 ]
    json '.name == "gpt2" and .family == "gpt2" and .parameters == 1364'
    json '.config.n_embd == 4 and .config.architectures == ["GPT2LMHeadModel"]'
    json '.tensors | length == 16'
    json '.tensors[0] == {"name": "transformer.wte.weight", "dtype": "F32", "shape": [270, 4]}'
    wte info -m "$GPT2" --tsv
    [[ "$output" == *$'n_embd\t4'* ]]
}

@test "words of a model are tokens" {
    wte vector -m "$GPT2" --json "the" " theory" "<|endoftext|>"
    answered
    [ "$(jq -sc 'map([.token, .id])' <<<"$output")" = '[["the",262],[" theory",261],["<|endoftext|>",269]]' ]
    wte vector -m "$GPT2" --json --prefix-space theory ␣of
    [ "$(jq -sc 'map(.id)' <<<"$output")" = '[261,267]' ]
    wte nearest -m "$BERT" king
    answered
    [[ "$output" == *"nearest to king  in bert"* ]]
    wte vector -m "$GPT2" --json --ids 262
    json '.token == "the"'
}

@test "a word of several tokens says what to do" {
    for command in vector nearest; do
        wte $command -m "$GPT2" theories
        refused 1 "$command: 'theories' is 2 tokens in gpt2: 'the' 'ories'; use --pool, or --prefix-space (1 token)"
    done
    wte vector -m "$BERT" relativity
    refused 1 "'relativity' is 4 tokens in bert: 're' '##lat' '##iv' '##ity'; use --pool"
}

@test "--pool makes one vector of several tokens" {
    "$WTE" vector -m "$GPT2" --json the ories | jq -c .data > parts
    wte vector -m "$GPT2" --pool first --json theories
    json '.token == "theories" and .id == null'
    [ "$(jq -c .data <<<"$output")" = "$(sed -n 1p parts)" ]
    wte vector -m "$GPT2" --pool last --json theories
    [ "$(jq -c .data <<<"$output")" = "$(sed -n 2p parts)" ]
    wte vector -m "$GPT2" --pool mean --json theories
    [ "$(jq -c .data <<<"$output")" = "$(jq -sc 'transpose | map(add / 2)' parts)" ]
    wte similarity -m "$GPT2" --pool first --json theories the
    json '.a == "theories" and .similarity == 1'
    wte distance -m "$GPT2" --pool last --json theories ories
    json '.distance == 0'
    wte matrix -m "$GPT2" --pool mean --json theories the theories
    json '.tokens == ["theories", "the", "theories"] and .matrix[0][2] > 0.9999'
    wte odd -m "$GPT2" --pool mean --json theories the ories
    answered
    wte project -m "$GPT2" --pool mean --json theories the ories
    json '.points | length == 3'
    wte nearest -m "$GPT2" --pool mean --json theories
    json '.positive == ["theories"] and (.neighbors | length == 10)'
    wte analogy -m "$GPT2" --pool mean theories the ories
    refused 1 "'theories' is a mean of several rows and analogy needs one row; use --pool first or last"
    wte analogy -m "$GPT2" --pool last theories the ories
    answered
    wte nearest -m "$GPT2" --metric cosmul --pool mean theories
    refused 1 "nearest needs one row"
}

@test "transforms and conversion" {
    wte nearest -m "$BERT" --transform center king --json
    answered
    wte convert -m "$GPT2" -o copy.safetensors
    answered
    "$WTE" vector -m copy.safetensors --json " theory" > got
    "$WTE" vector -m "$GPT2" --json " theory" | diff - got
    wte convert -m "$BERT" -o copy.bin
    "$WTE" vector -m copy.bin --json king > got
    "$WTE" vector -m "$BERT" --json king | diff - got
}

@test "the output matrix" {
    "$WTE" vector -m "$GPT2" --json the > tied
    "$WTE" vector -m "$GPT2" --json --embeddings output the | diff - tied
    mkdir bert
    cp "$BERT"/* bert
    jq '.tie_word_embeddings = false' "$BERT/config.json" > config
    mv -f config bert/config.json
    "$WTE" vector -m bert --json king > input
    "$WTE" vector -m bert --json --embeddings output king > output
    ! cmp -s input output
}

@test "tokenizer files alone, weights alone" {
    mkdir text weights
    cp "$GPT2"/vocab.json "$GPT2"/merges.txt text
    cp "$GPT2"/model.safetensors weights
    wte tokenize -m text --json the
    answered
    wte nearest -m text the
    refused 1 "text has tokenizer files only: no model.safetensors, pytorch_model.bin or .gguf in text"
    wte info -m text
    answered
    [[ "$output" == *"none: no model.safetensors"* ]]
    wte nearest -m weights 262 --json -k 1
    json '.positive == ["262"]'
    wte nearest -m weights the
    refused 1 "'the' is not in weights"
}

@test "a config that contradicts the tensors is refused" {
    mkdir bad
    cp "$GPT2"/model.safetensors bad
    echo '{"model_type":"gpt2","vocab_size":50257}' > bad/config.json
    wte info -m bad
    refused 1 "bad: config.json says vocab_size 50257, transformer.wte.weight has 270 rows"
}

@test "names of the Hugging Face cache" {
    snapshot=hub/models--openai-community--gpt2/snapshots/0a1b2c
    mkdir -p "$snapshot" hub/models--openai-community--gpt2/refs
    printf 0a1b2c > hub/models--openai-community--gpt2/refs/main
    cp "$GPT2"/* "$snapshot"
    for name in gpt2 openai-community/gpt2; do
        HF_HUB_CACHE=hub wte tokenize -m "$name" --json the
        answered
        mkdir -p home && ln -sfn "$PWD/hub" home/hub
        HF_HOME=home wte tokenize -m "$name" --json the
        answered
    done
    HF_HUB_CACHE=hub wte list --json
    json '.models | map(select(.kind == "Hugging Face cache")) | map(.name) == ["openai-community/gpt2"]'
    HF_HUB_CACHE=nowhere wte tokenize -m gpt2 the
    refused 1 "no model 'gpt2'"
}

@test "the first notebook: nearest and b - a + c on raw rows" {
    [ -f "$SHARED/golden/nearest.json" ] || skip "no references"
    mkdir gpt2
    ln -s "$SHARED"/golden/gpt2_tiny/*.* "$SHARED"/data/gpt2/{vocab.json,merges.txt} gpt2
    jq -c '.analogies[] | select(.error | not)' "$SHARED/golden/nearest.json" | head -n 20 > rows
    for metric in euclidean cosine; do
        jq -r '.words | [.[1], .[0], .[2]] | @tsv' rows |
            "$WTE" analogy -m gpt2 --include-query --metric $metric -k 5 --json - |
            jq -c '[.neighbors[] | [.id, .token]]' > got
        jq -c "[.$metric[] | [.id, .text]]" rows | diff - got
    done
    wte analogy -m gpt2 --include-query --metric cosine walk walking swim
    refused 1 "'swim' is 2 tokens in gpt2:"
    [ "$(jq -r '.analogies[] | select(.error and (.words | index("")) == null and .leading_space == false) | .words | @tsv' \
        "$SHARED/golden/nearest.json" | "$WTE" analogy -m gpt2 --json - 2>/dev/null | wc -l)" -eq 0 ]
}

@test "eval looks for words with --prefix-space, and --pool knows those of several tokens" {
    printf 'theory\tof\t1\nthe\ttheory\t2\nof\tthe\t3\ntheories\tof\t4\n' > pairs.tsv
    wte eval pairs -m "$GPT2" --json pairs.tsv
    refused 1 "1 pairs have both words in gpt2, at least 2 expected (3 unknown)"
    wte eval pairs -m "$GPT2" --json --prefix-space pairs.tsv
    answered
    json '.pairs == 4 and .oov == 0' # " theories" is one token
    printf 'theory\tof\t1\nthe\ttheory\t2\nof\tthe\t3\nof ories\tof\t4\n' > pooled.tsv
    wte eval pairs -m "$GPT2" --json --prefix-space pooled.tsv
    json '.pairs == 3 and .oov == 1'
    wte eval pairs -m "$GPT2" --json --prefix-space --pool mean pooled.tsv
    answered
    json '.pairs == 4 and .oov == 0'
    printf ': s\ntheory of the theories\ntheory of the zebras\n' > questions.txt
    wte eval analogies -m "$GPT2" --json --prefix-space questions.txt
    answered
    json '.correct + .incorrect == 1 and .skipped == 1'
    wte eval analogies -m "$GPT2" --json --prefix-space --pool last questions.txt
    answered
    json '.correct + .incorrect == 2 and .skipped == 0'
    wte eval pairs -m "$TINY" --prefix-space --ids pairs.tsv
    refused 2 "unknown option '--ids'"
}

@test "pooled pairs have the cosine that similarity shows" {
    printf 'theories\tking\t1\nthe\ttheory\t2\n' > pairs.tsv
    for pool in first mean last; do
        a=$("$WTE" similarity -m "$GPT2" --json --pool $pool theories king | jq .similarity)
        b=$("$WTE" similarity -m "$GPT2" --json --pool $pool the theory | jq .similarity)
        wte eval pairs -m "$GPT2" --json --pool $pool pairs.tsv
        answered
        # two pairs lie on a line: it rises where the second cosine is the larger one
        near "$(jq .pearson <<<"$output")" "$(jq -n "if $b > $a then 1 else -1 end")" 1e-9
    done
}

@test "info notes what contradicts without harm" {
    mkdir m
    cp "$GPT2"/* m
    jq '. + {torch_dtype: "float16"}' "$GPT2/config.json" > m/config.json
    wte info -m m
    answered
    [[ "$output" == *"note        config.json says float16, transformer.wte.weight is F32"* ]]
    wte info -m m --json
    json '.note == "config.json says float16, transformer.wte.weight is F32"'
    cp "$WTE_ROOT/tests/golden/checkpoints/training.bin" m.bin
    wte info -m m.bin --tsv
    answered
    [[ "$output" == *"note"$'\t'"left out: 'epoch' (a number)"* ]]
}

@test "a first search finds what a measured one does" {
    for metric in cosine euclidean cityblock; do
        wte nearest -m "$GPT2" --metric $metric --json the
        answered
        first="$output"
        # of two queries the second measures
        printf 'the\nthe\n' > queries
        run --separate-stderr "$WTE" nearest -m "$GPT2" --metric $metric --json - < queries
        [ "${lines[0]}" = "$first" ]
        [ "${lines[1]}" = "$first" ]
    done
}

# SPDX-License-Identifier: MIT
# network.bats - next, fill, lens, hidden, attention, logits, perplexity
#
# The models of tests/golden/models have one layer, two heads, a width of 4 and 8 positions; what
# they compute is compared with the references by the unit tests. Here the commands must agree with
# each other, and with ../shared/golden where it is there.

load helpers

setup_file() {
    export GPT2="$WTE_ROOT/tests/golden/models/gpt2" BERT="$WTE_ROOT/tests/golden/models/bert"
    SHARED="${WTE_SHARED:-$WTE_ROOT/../shared}"
    export SMALL="$SHARED/golden/gpt2_small_vocab" TINY_GPT2="$SHARED/golden/gpt2_tiny"
    export TINY_BERT="$SHARED/golden/bert_tiny_hub" REAL_BERT="$SHARED/data/bert"
    export EXPECTED_BERT="$SHARED/golden/bert_tiny/expected.json"
}

# Case N of the reference of $1 has these ids.
ids_of() {
    jq -r ".cases[$2].input_ids | map(tostring) | join(\",\")" "$1/expected.json"
}

# The largest difference of two arrays of numbers, in files, over the largest of the second, is at
# most 1e-4.
close_to() {
    jq -s -e '(.[0] | flatten) as $a | (.[1] | flatten) as $b
        | ($a | length) == ($b | length) and
        ([range($a | length) | ($a[.] - $b[.]) | fabs] | max) <= 1e-4 * ([$b[] | fabs] | max)' \
        "$1" "$2" >/dev/null || { echo "$1 and $2 differ"; return 1; }
}

@test "next: the tokens, best first, with logit and probability" {
    wte next -m "$GPT2" -k 3 --json "the theory of"
    answered
    json '.next | length == 3'
    json '.next[0] | keys_unsorted | contains(["id","token","logit","prob"])'
    json '[.next[].logit] | . == (sort | reverse)'
    "$WTE" next -m "$GPT2" -k 1000 --json "the theory of" > all
    [ "$(jq '.next | length' all)" -eq 270 ]
    [ "$(jq '([.next[].prob] | add - 1 | fabs) < 1e-5' all)" = true ]
    "$WTE" logits -m "$GPT2" --last --json "the theory of" > last
    jq -c '.data[0]' last > a
    jq -c '[.next | sort_by(.id)[].logit]' all > b
    cmp a b
}

@test "next for people: a bar for each" {
    wte next -m "$GPT2" -k 2 "the theory"
    answered
    [[ "${lines[0]}" == "next after 2 tokens, the last of them ␣theory  in gpt2" ]]
    [[ "${lines[2]}" == 1*%*"████████████████████████" ]]
    [[ "${lines[4]}" == together* ]]
    [[ "$output" != *$'\033'* ]]
    wte next -m "$GPT2" -k 2 --tsv "the theory"
    [ "${lines[0]}" = $'id\ttoken\tlogit\tprob' ]
    [ "${#lines[@]}" -eq 3 ]
}

@test "a prompt is a text, ids, a file or standard input" {
    want=$("$WTE" next -m "$GPT2" --json "the theory")
    [ "$("$WTE" next -m "$GPT2" --json --ids 262,261)" = "$want" ]
    [ "$("$WTE" next -m "$GPT2" --json --ids '[262, 261]')" = "$want" ]
    printf 'the theory' > text
    [ "$("$WTE" next -m "$GPT2" --json --file text)" = "$want" ]
    [ "$("$WTE" next -m "$GPT2" --json - < text)" = "$want" ]
    [ "$("$WTE" next -m "$GPT2" --json 'the<|endoftext|>' | jq -c .ids)" = "[262,269]" ]
    [ "$("$WTE" hidden -m "$GPT2" --no-special --json '<|e' | jq -c '.ids | length')" = 3 ]
}

@test "hidden: shapes and layers" {
    "$WTE" hidden -m "$GPT2" --layer all --json "the theory of" > all
    [ "$(jq -c .shape all)" = "[2,3,4]" ]
    wte hidden -m "$GPT2" --json "the theory of"
    answered
    json '.shape == [3,4] and .ids == [262,261,267] and .layer == 1'
    [ "$(jq -c .data <<<"$output")" = "$(jq -c '.data[1]' all)" ]
    [ "$("$WTE" hidden -m "$GPT2" --layer 0 --json "the theory of" | jq -c .data)" = "$(jq -c '.data[0]' all)" ]
    [ "$("$WTE" hidden -m "$GPT2" --tap embeddings --json "the theory of" | jq -c .data)" = "$(jq -c '.data[0]' all)" ]
    wte hidden -m "$GPT2" -o states.npy --layer all "the theory of"
    [ -z "$output" ]
    [[ "$(head -c 128 states.npy | tr -d '\n' | grep -aoE '\{.*\}')" == *"'<f4'"*"(2, 3, 4)"* ]]
    wte hidden -m "$GPT2" "the theory of"
    [ "${lines[-1]}" = "layer 1: after the last block and the final layer norm (last_hidden_state)" ]
    wte hidden -m "$GPT2" --layer 0 "the theory of"
    [ "${lines[-1]}" = "layer 0: the sum of token and position embeddings" ]
}

@test "BERT gets [CLS] and [SEP] round a text" {
    wte hidden -m "$BERT" --json "the theory"
    json '.ids == [2,5,6,3] and .shape == [4,4]'
    wte hidden -m "$BERT" --json --no-special "the theory"
    json '.ids == [5,6]'
    wte hidden -m "$BERT" --json --ids 5,6
    json '.ids == [5,6]'
    wte hidden -m "$BERT" --json --tap pooler "the theory"
    json '.shape == [1,4] and .tap == "pooler"'
}

@test "hidden makes spaces" {
    printf 'king\nthe queen\nof\n' > words
    wte hidden -m "$BERT" --words words --save-space states.safetensors theory
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"4 rows of width 4, layer 1 ("*"without [CLS] and [SEP]" ]]
    wte info -m states.safetensors --json
    json '.name == "bert-layer1-mean"'
    "$WTE" vector -m states.safetensors --json theory king "the queen" | jq -c .data > got
    for text in theory king "the queen"; do
        "$WTE" hidden -m "$BERT" --json "$text" |
            jq -c '.data[1:-1] | [range(4) as $j | (map(.[$j]) | add / length)]'
    done > want
    close_to <(jq -sc . got) <(jq -sc . want)
    wte nearest -m states.safetensors -k 1 --json king
    json '.neighbors | length == 1'
    wte hidden -m "$BERT" --save-space bad.bin "the queen" of
    refused 1 "the word 'the queen' of row 0 contains a space"
    [ ! -e bad.bin ]
    wte hidden -m "$BERT" -q --save-space cls.txt of --pool cls
    answered
    [ "$("$WTE" vector -m cls.txt --json of | jq -c .data)" = \
        "$("$WTE" hidden -m "$BERT" --json of | jq -c '.data[0]')" ]
    wte hidden -m "$GPT2" -q --prefix-space --pool last --save-space last.txt theory
    [ "$("$WTE" vector -m last.txt --json theory | jq -c .data)" = \
        "$("$WTE" hidden -m "$GPT2" --json ' theory' | jq -c '.data[-1]')" ]
}

@test "attention: rows add up to 1, GPT-2 looks back only" {
    "$WTE" attention -m "$GPT2" --json "the theory of" > all
    [ "$(jq -c .shape all)" = "[1,2,3,3]" ]
    jq -e '[.data[][][] | add - 1 | fabs] | max < 1e-5' all
    jq -e '[.data[][] | .[0][1], .[0][2], .[1][2]] | all(. == 0)' all
    [ "$("$WTE" attention -m "$GPT2" --json --layer 0 "the theory of" | jq -c .data)" = "$(jq -c '.data[0]' all)" ]
    wte attention -m "$GPT2" --json --layer 0 --head 1 "the theory of"
    json '.shape == [3,3]'
    [ "$(jq -c .data <<<"$output")" = "$(jq -c '.data[0][1]' all)" ]
    "$WTE" attention -m "$BERT" --json --head 0 "the [MASK]" > masked
    jq -e '.shape == [1,4,4] and ([.data[][] | add - 1 | fabs] | max < 1e-5)' masked
    wte attention -m "$GPT2" "the theory"
    [ "${lines[0]}" = "attention in gpt2, layer 0 of 0 to 0, mean of its 2 heads" ]
    [[ "${lines[2]}" == *"0  the"*"██" ]]
}

@test "logits: a row a position" {
    "$WTE" logits -m "$GPT2" --json "the theory of" > all
    [ "$(jq -c .shape all)" = "[3,270]" ]
    "$WTE" logits -m "$GPT2" --json --last "the theory of" > last
    [ "$(jq -c .shape last)" = "[1,270]" ]
    close_to <(jq -c .data last) <(jq -c '.data[2:3]' all)
    wte logits -m "$BERT" --json "the theory"
    json '.shape == [4,20]'
    wte logits -m "$GPT2" "the theory of"
    [[ "${lines[0]}" == "logits in gpt2: [3, 270]"* ]]
    [ "${#lines[@]}" -eq 5 ]
}

@test "lens: the last row is what the logits say" {
    "$WTE" lens -m "$GPT2" -k 270 --json "the theory of" > lens
    jq -e '(.layers | length) == 2 and (.layers[1].positions | length) == 3' lens
    jq -e '.layers[1].kl_nats == [0,0,0] and .layers[1].rank == [1,1,1]' lens
    "$WTE" next -m "$GPT2" -k 270 --json "the theory of" > next
    [ "$(jq -c '[.layers[1].positions[2][].id]' lens)" = "$(jq -c '[.next[].id]' next)" ]
    close_to <(jq -c '[.layers[1].positions[2][].prob]' lens) <(jq -c '[.next[].prob]' next)
    # entropy = - sum p log p, in nats and in bits
    jq -e '.layers[0] | ([.positions[0][].prob | select(. > 0) | -. * log] | add) as $h
        | (.entropy_nats[0] - $h | fabs) < 1e-4 and (.entropy_bits[0] - $h / (2 | log) | fabs) < 1e-4' lens
    # KL(last || layer)
    jq -e '(.layers[0].positions[1] | map({(.id | tostring): .prob}) | add) as $q
        | ([.layers[1].positions[1][] | select(.prob > 0) | .prob * ((.prob | log) - ($q[.id | tostring] | log))] | add) as $kl
        | (.layers[0].kl_nats[1] - $kl | fabs) < 1e-4' lens
    wte lens -m "$GPT2" "the theory of"
    [[ "${lines[1]}" == layer*"2 ␣of"*entropy*KL*rank ]]
    [[ "${lines[-1]}" == "entropy and KL(last || layer) in bits"* ]]
    COLUMNS=50 wte lens -m "$GPT2" "the theory of"
    [[ "${lines[-1]}" == "the last 1 of 3 positions"* ]]
    wte lens -m "$GPT2" --position 0,2 --json "the theory of"
    json '.position == [0,2] and (.layers[0].positions | length) == 2'
    wte lens -m "$BERT" --json "the [MASK]"
    json '.layers | length == 2'
}

@test "fill: each mask with the sentence filled in" {
    wte fill -m "$BERT" -k 20 --json "the [MASK] of [MASK]"
    answered
    json '[.masks[].position] == [2,4]'
    json '[.masks[].tokens | length] == [20,20]'
    json '[.masks[].tokens | map(.prob) | add - 1 | fabs] | max < 1e-5'
    json '.masks[0].tokens[] | select(.token == "king") | .text == "the king of [MASK]"'
    wte fill -m "$BERT" -k 1 "the [MASK]"
    [ "${lines[0]}" = "the mask at token 2  in bert" ]
    [[ "${lines[2]}" == 1*%*the* ]]
}

@test "perplexity is the mean of what the logits say" {
    wte perplexity -m "$GPT2" --per-token --json "the theory of theories"
    answered
    json '.tokens == 3 and .prompt_tokens == 4 and (.log_probs | length) == 3'
    json '(.nll + (.log_probs | add / 3) | fabs) < 1e-5 and (.perplexity / (.nll | exp) - 1 | fabs) < 1e-9'
    "$WTE" logits -m "$GPT2" --json "the theory of theories" |
        jq -c '.ids as $ids | [.data[:-1] | to_entries[] | .value[$ids[.key + 1]] - (.value | (map(exp) | add | log))]' > want
    close_to <(jq -c .log_probs <<<"$output") want
    wte perplexity -m "$GPT2" --per-token --tsv "the theory"
    [[ "${lines[1]}" == 1$'\t261\t theory\t-'* ]]
}

@test "perplexity of a text longer than the context moves by --stride" {
    text="the theory of theories of the theory of theories of the theory"
    wte perplexity -m "$GPT2" "$text"
    refused 1 "the text has 12 tokens, gpt2 has 8 positions: --stride N reads it in windows"
    "$WTE" perplexity -m "$GPT2" --stride 3 --per-token --json "$text" > got
    jq -e '.tokens == 11 and .positions == [range(1;12)] and .stride == 3' got
    # windows [0,8), [3,11), [6,12): tokens 1 to 7 of the first, 8 to 10 of the second, 11 of the third
    ids=($("$WTE" tokenize -m "$GPT2" --json "$text" | jq -r '.ids[]'))
    window() {
        (IFS=,; "$WTE" perplexity -m "$GPT2" --per-token --json --ids "${ids[*]:$1:8}") | jq -c .log_probs
    }
    jq -sc '.[0] + .[1][-3:] + .[2][-1:]' <(window 0) <(window 3) <(window 6) > want
    close_to <(jq -c .log_probs got) want
    # windows side by side: the first token of the second has nothing before it
    wte perplexity -m "$GPT2" --stride 8 --per-token --json "$text"
    json '.positions == [1,2,3,4,5,6,7,9,10,11]'
    wte perplexity -m "$GPT2" --stride 9 "$text"
    refused 1 "--stride 9 would leave tokens out"
}

@test "--compare-dtypes tells what bf16 and int8 cost" {
    wte perplexity -m "$GPT2" -q --compare-dtypes --json "the theory of theories"
    answered
    json '[.dtypes[].dtype] == ["f32","bf16","int8"]'
    json '.dtypes[0] | .kl_mean == 0 and .same_top == 1'
    json '.dtypes[0].perplexity == .perplexity'
    json '[.dtypes[] | .kl_mean <= .kl_max and .kl_max < 0.5 and .seconds >= 0] | all'
    json '.dtypes[1].kl_max > 0'
    for type in bf16 int8; do
        [ "$("$WTE" perplexity -m "$GPT2" -q --dtype $type --json "the theory of theories" | jq .nll)" = \
            "$(jq ".dtypes[] | select(.dtype == \"$type\").nll" <<<"$output")" ]
    done
    wte perplexity -m "$GPT2" --compare-dtypes "the theory of theories"
    [[ "$output" == *"KL(f32 || type) in nats"* ]]
}

@test "any number of threads gives the same bytes" {
    for command in "hidden --layer all" attention logits lens "perplexity --per-token"; do
        one=$("$WTE" $command -m "$GPT2" --json --threads 1 "the theory of theories")
        [ "$("$WTE" $command -m "$GPT2" --json --threads 7 "the theory of theories")" = "$one" ]
    done
}

@test "what cannot be run is told in one line" {
    wte hidden -m "$TINY" one
    refused 1 "tiny is word vectors, which have no network"
    cp -r "$GPT2" bare
    rm bare/model.safetensors
    wte next -m bare the
    refused 1 "bare has no weights"
    mkdir numbers
    cp "$GPT2"/config.json "$GPT2"/model.safetensors numbers
    wte next -m numbers the
    refused 1 "numbers has no tokenizer files, so that it takes no text: give token ids with --ids"
    wte next -m numbers --json --ids 262
    json '.next[0].token == (.next[0].id | tostring)'
    wte next -m "$BERT" the
    refused 1 "bert is a BERT, which fills masks and does not continue text: see 'wte fill'"
    wte perplexity -m "$BERT" "the theory"
    refused 1 "bert is a BERT"
    wte fill -m "$GPT2" "the [MASK]"
    refused 1 "gpt2 is a GPT-2, which continues text and knows no masks: see 'wte next'"
    wte fill -m "$BERT" "the theory"
    refused 1 "there is no [MASK] (id 4) in the prompt"
}

@test "bad prompts are told in one line" {
    wte next -m "$GPT2" "a longer text than that"
    refused 1 "positions"
    wte hidden -m "$BERT" "the theory of the theory of a"
    refused 1 "the prompt has 9 tokens, bert has 8 positions"
    wte next -m "$GPT2" --ids 270
    refused 1 "270 is no id of gpt2: ids are 0 to 269"
    wte next -m "$GPT2" --ids 1,x
    refused 2 "--ids: 'x' is no id"
    wte next -m "$GPT2" ""
    refused 1 "the prompt is empty"
    wte next -m "$GPT2" --ids ,
    refused 1 "the prompt is empty"
    wte next -m "$GPT2"
    refused 2 "a prompt is missing"
    wte next -m "$GPT2" --ids 1 the
    refused 2 "one prompt is enough"
    wte next -m "$GPT2" the theory
    refused 2 "expected one text, there are 2: put it in quotes"
    wte next -m "$GPT2" --file nowhere
    refused 1 "nowhere: No such file"
    wte perplexity -m "$GPT2" the
    refused 1 "there is 1 token"
}

@test "wrong options are told in one line" {
    wte hidden -m "$GPT2" --layer 2 the
    refused 1 "--layer 2: gpt2 has layers 0 (embeddings) to 1"
    wte hidden -m "$GPT2" --layer top the
    refused 2 "--layer top: expected a number from 0, or all"
    wte hidden -m "$GPT2" --tap nothing the
    refused 2 "--tap nothing"
    wte hidden -m "$GPT2" --pool last the
    refused 2 "--save-space"
    wte hidden -m "$GPT2" --save-space x.npy the
    refused 2 "the ending must be one of .safetensors .bin .txt"
    wte hidden -m "$GPT2" --save-space x.bin
    refused 2 "--save-space needs texts"
    wte hidden -m "$GPT2" --save-space x.bin --pool cls the
    refused 1 "gpt2 has no [CLS]"
    wte attention -m "$GPT2" --layer 1 the
    refused 1 "--layer 1: gpt2 has layers 0 to 0"
    wte attention -m "$GPT2" --head 2 the
    refused 1 "--head 2: gpt2 has heads 0 to 1"
    wte lens -m "$GPT2" --position 1 the
    refused 1 "--position 1: the prompt has positions 0 to 0"
    wte perplexity -m "$GPT2" --compare-dtypes --dtype int8 "the theory"
    refused 2 "--compare-dtypes runs all types"
    wte next -m "$GPT2" --dtype f64 the
    refused 2 "expected one of f32|bf16|int8"
}

@test "the references of GPT-2, layer by layer" {
    [ -d "$SMALL" ] || skip "no $SMALL"
    for i in 0 1 2; do
        ids=$(ids_of "$SMALL" $i)
        "$WTE" hidden -m "$SMALL" --ids "$ids" --layer all --json > got
        for layer in 0 1 2 3; do
            jq -c ".cases[$i].hidden_states[$layer] // empty" "$SMALL/expected.json" > want
            [ ! -s want ] || close_to <(jq -c ".data[$layer]" got) want
        done
        "$WTE" attention -m "$SMALL" --ids "$ids" --layer 0 --head 0 --json | jq -c .data > got
        jq -c ".cases[$i].attentions_layer0_head0 // empty" "$SMALL/expected.json" > want
        [ ! -s want ] || close_to got want
        "$WTE" logits -m "$SMALL" --ids "$ids" --last --json | jq -c .data > got
        jq -c ".cases[$i].last_logits" "$SMALL/expected.json" > want
        close_to got want
    done
}

@test "the references of GPT-2: next, perplexity, lens" {
    [ -d "$TINY_GPT2" ] || skip "no $TINY_GPT2"
    for i in 2 3; do
        ids=$(ids_of "$TINY_GPT2" $i)
        jq -c ".cases[$i]" "$TINY_GPT2/expected.json" > want
        "$WTE" next -m "$TINY_GPT2" --ids "$ids" -k 50 --json > got
        [ "$(jq -c '[.next[].id]' got)" = "$(jq -c .last_logits_top.ids want)" ]
        close_to <(jq -c '[.next[].logit]' got) <(jq -c .last_logits_top.values want)
        "$WTE" perplexity -m "$TINY_GPT2" --ids "$ids" --per-token --json > got
        close_to <(jq -c .log_probs got) <(jq -c .token_logprobs want)
        close_to <(jq -c '[.nll]' got) <(jq -c '[.loss]' want)
        close_to <(jq -c '[.perplexity]' got) <(jq -c '[.perplexity]' want)
        [ "$("$WTE" lens -m "$TINY_GPT2" --ids "$ids" --json | jq -c '[.layers[-1].positions[][0].id]')" = \
            "$(jq -c .argmax_per_position want)" ]
    done
}

@test "the references of BERT: filled masks" {
    [ -d "$TINY_BERT" ] || skip "no $TINY_BERT"
    mkdir bert
    ln -s "$TINY_BERT"/{config.json,model.safetensors} "$REAL_BERT"/{vocab.txt,tokenizer_config.json} bert
    for i in 0 1 2 3; do
        jq -c ".fill_mask[$i]" "$EXPECTED_BERT" > want
        "$WTE" fill -m bert -k 10 --json "$(jq -r .text want)" > got
        [ "$(jq -c .ids got)" = "$(jq -c .input_ids want)" ]
        [ "$(jq -c '[.masks[] | [.position, [.tokens[] | .id, .token]]]' got)" = \
            "$(jq -c '[.masks[] | [.position, [.top[] | .id, .token]]]' want)" ]
        close_to <(jq -c '[.masks[].tokens[].prob]' got) <(jq -c '[.masks[].top[].score]' want)
    done
}

@test "Ctrl-C ends it with 128 + 2 and nothing is said" {
    yes "the theory of theories" | head -c 2000000 > long
    run timeout --preserve-status -s INT 1 "$WTE" perplexity -m "$GPT2" --stride 1 --file long
    [ "$status" -eq 130 ]
    [ -z "$output" ]
}

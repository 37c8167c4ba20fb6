# SPDX-License-Identifier: MIT
# generate.bats - generate, and next --distribution
#
# tests/golden/models/gpt2 has 270 tokens and 8 positions: "the" 262, " theory" 261. What transformers
# answers is in ../shared/golden/generate.jsonl; the unit tests go through every row, here one of each
# group goes through the command, so that every option reaches the library.

load helpers

setup_file() {
    export GPT2="$WTE_ROOT/tests/golden/models/gpt2" BERT="$WTE_ROOT/tests/golden/models/bert"
    SHARED="${WTE_SHARED:-$WTE_ROOT/../shared}"
    export GOLDEN="$SHARED/golden"
}

# Row $1 of the golden file as arguments, one a line.
arguments_of() {
    jq -r --arg golden "$GOLDEN" '
        def text: if type == "array" then map(tostring) | join(",") else tostring end;
        "-m", "\($golden)/\(.model)",
        (if .seed then "--seed", (.seed | tostring) else empty end),
        (. as $row | range(.input_ids | length) as $i | "--ids",
         ([range($row.input_ids[$i] | length)
           | select(($row.attention_mask[$i][.] // 1) == 1) | $row.input_ids[$i][.]] | text)),
        (.params | to_entries[] | ("--" + (.key | gsub("_"; "-"))) as $name
         | if .key == "early_stopping" then $name, (.value | tostring)
           elif .value == true then $name
           elif (.key | IN("bad_words_ids", "force_words_ids", "sequence_bias"))
           then $name, (.value | tojson)
           else $name, (.value | text) end)' <<<"$1"
}

@test "one row of each group of the reference, token for token" {
    [ -f "$GOLDEN/generate.jsonl" ] || skip "no $GOLDEN"
    n=0
    while IFS= read -r row; do
        mapfile -t arguments < <(arguments_of "$row")
        "$WTE" generate --json "${arguments[@]}" > got || { echo "$row"; return 1; }
        jq -e -n --slurpfile got got --argjson row "$row" '
            (($row.alt // {}).sequences // $row.sequences) as $want
            | ($row.params.pad_token_id) as $pad
            | ($row.input_ids[0] | length) as $n
            | [$got[].sequences[].new_ids] as $new
            | ($want | length) == ($new | length)
              and all(range($want | length);
                      $want[.][$n:] as $w | $new[.] as $g
                      | $w[:($g | length)] == $g and all($w[($g | length):][]; . == $pad))
              and ((($row.alt // {}).sequences_scores // $row.sequences_scores // []) as $scores
                   | all(range($scores | length);
                         ($scores[.] - [$got[].sequences[].score][.]) | fabs < 1e-4))' >/dev/null ||
            { echo "$row"; cat got; return 1; }
        n=$((n + 1))
    done < <(jq -cs 'group_by(.group)[] | .[0], .[length / 2 | floor]' "$GOLDEN/generate.jsonl")
    [ "$n" -ge 20 ]
}

@test "a sequence has ids, text, score and the reason for its end" {
    wte generate -m "$GPT2" --json --max-new-tokens 3 "the theory"
    answered
    json '.sequences | length == 1'
    json '.sequences[0].ids[:2] == [262, 261] and .sequences[0].ids[2:] == .sequences[0].new_ids'
    json '.sequences[0] | .text == "the theory" + .new_text'
    json '.sequences[0] | .score == .sum_log_prob and .score < 0 and (.token_scores | length) == 3'
    json '.finish_reason == "length" and .sequences[0].finish_reason == "length"'
}

@test "people get the text, and of beams the scores with what the length penalty does" {
    wte generate -m "$GPT2" --max-new-tokens 3 "the theory"
    answered
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" == "the theory"* ]]
    wte generate -m "$GPT2" --max-new-tokens 3 --num-beams 3 --num-return-sequences 2 "the theory"
    answered
    [[ "${lines[0]}" =~ ^1\ \ score\ -[0-9.]+\ \ sum\ of\ log-probabilities\ -[0-9.]+\ \ 3\ new\ tokens\ \ length$ ]]
    [[ "${lines[2]}" == "2  score "* ]]
    [[ "${lines[4]}" == "score = "*"--length-penalty"* ]]
}

@test "score is the sum over the length to the power of the penalty" {
    wte generate -m "$GPT2" --json --max-new-tokens 4 --num-beams 3 --length-penalty 2 the
    json '.sequences[0] | (.score * 16 - .sum_log_prob | fabs) < 1e-4'
}

@test "the stream is the text" {
    want=$("$WTE" generate -m "$GPT2" --max-new-tokens 5 --do-sample --seed 3 "the")
    wte generate -m "$GPT2" --max-new-tokens 5 --do-sample --seed 3 --stream "the"
    answered
    [ "$output" = "$want" ]
    wte generate -m "$GPT2" --stream --json the
    refused 2 "--stream prints text"
    wte generate -m "$GPT2" --stream --do-sample --num-return-sequences 2 the
    refused 2 "--stream prints one text"
}

@test "a character is shown when it is whole" {
    # "é" is the two bytes 195 and 169, which are two tokens here
    ids=$("$WTE" tokenize -m "$GPT2" --json "é" | jq -c .ids)
    [ "$(jq length <<<"$ids")" -eq 2 ]
    bias=$(jq -c "[[[262, .[0]], 1e4], [[.[0], .[1]], 1e4]]" <<<"$ids")
    wte generate -m "$GPT2" --max-new-tokens 2 --stream --sequence-bias "$bias" --ids 267,262
    answered
    prints " oftheé"
}

@test "the same seed, the same text, for any number of threads" {
    one=$("$WTE" generate -m "$GPT2" --do-sample --seed 5 --max-new-tokens 5 --threads 1 --json the)
    two=$("$WTE" generate -m "$GPT2" --do-sample --seed 5 --max-new-tokens 5 --threads 3 --json the)
    other=$("$WTE" generate -m "$GPT2" --do-sample --seed 6 --max-new-tokens 5 --json the)
    [ "$one" = "$two" ]
    [ "$one" != "$other" ]
}

@test "lines of a file run as a batch and answer one by one" {
    printf 'the\nthe theory of\n' > prompts
    wte generate -m "$GPT2" --file prompts --each-line --json --max-new-tokens 3
    answered
    [ "${#lines[@]}" -eq 2 ]
    [ "$(jq -sc 'map(.prompt)' <<<"$output")" = "[0,1]" ]
    for i in 0 1; do
        text=$(sed -n "$((i + 1))p" prompts)
        [ "$(jq -c .sequences <<<"${lines[i]}" | jq -c '.[0].ids')" = \
          "$("$WTE" generate -m "$GPT2" --json --max-new-tokens 3 "$text" | jq -c '.sequences[0].ids')" ]
    done
    [ "$(printf 'the\nthe theory of\n' | "$WTE" generate -m "$GPT2" - --each-line --json --max-new-tokens 3)" = "$output" ]
    wte generate -m "$GPT2" --each-line the
    refused 2 "--each-line needs --file"
}

@test "prompts are texts, ids, files and standard input; an empty one begins a text" {
    want=$("$WTE" generate -m "$GPT2" --max-new-tokens 2 "the theory")
    [ "$("$WTE" generate -m "$GPT2" --max-new-tokens 2 --ids 262,261)" = "$want" ]
    [ "$(echo "the theory" | "$WTE" generate -m "$GPT2" --max-new-tokens 2 -)" = "$want" ]
    wte generate -m "$GPT2" --json --max-new-tokens 1 ""
    json '.sequences[0].ids[0] == 269'
    wte generate -m "$GPT2"
    refused 2 "a prompt is missing"
    wte generate -m "$GPT2" the theory
    refused 2 "quote it"
    wte generate -m "$GPT2" --ids 262 the
    refused 2 "one is enough"
    wte generate -m "$GPT2" --ids 270
    refused 1 "270"
}

@test "--trace adds every step with the probability after each member of the chain" {
    wte generate -m "$GPT2" --trace --num-beams 2 --max-new-tokens 3 --repetition-penalty 1.5 the
    answered
    json '.stages == ["repetition penalty"]'
    json '(.trace | length) == 3 and ([.trace[].step] == [0, 1, 2])'
    json '.trace[0].candidates[0] | has("id") and has("token") and has("beam") and has("logit")
          and has("prob") and has("processed") and has("score") and (.stage_probs | length) == 1'
    json 'all(.trace[].candidates[]; .chosen | IN("continues", "ends", "dropped"))'
    json 'all(.trace[]; [.candidates[] | select(.chosen == "continues")] | length <= 2)'
    json 'all(.trace[].candidates[]; .processed == .stage_probs[-1])'
    # the chosen tokens are those of the sequence
    json '.sequences[0].new_ids as $new | .trace as $t
          | any($t[2].candidates[]; .chosen == "continues" and .id == $new[2])'
    wte generate -m "$GPT2" --trace-file trace.json --max-new-tokens 2 the
    answered
    [ "$(jq '.prompts[0].trace | length' trace.json)" -eq 2 ]
    [ "$(jq -c '.prompts[0].ids' trace.json)" = "[262]" ]
    [ "$("$WTE" generate -m "$GPT2" --trace-file - --max-new-tokens 2 the)" = "$(cat trace.json)" ]
}

@test "--show tree draws what the search went through, in 80 columns" {
    wte generate -m "$GPT2" --show tree --num-beams 4 --num-return-sequences 2 --max-new-tokens 5 the
    answered
    [ "${lines[0]}" = the ]
    [[ "$output" == *"╰─ "*"○ 1"* ]]
    [[ "$output" == *"○ 2"* ]]
    [[ "$output" == *"├─ "*"✗"* ]]
    ! grep -E '^.{81}' <<<"$output"
    ! grep -q $'\033' <<<"$output"
    # an end is marked as one
    eos=$("$WTE" generate -m "$GPT2" --json --max-new-tokens 1 the | jq '.sequences[0].new_ids[0]')
    wte generate -m "$GPT2" --show tree --num-beams 2 --eos-token-id "$eos" --max-new-tokens 5 the
    [[ "$output" == *"●"* ]]
    wte generate -m "$GPT2" --show tree --json the
    refused 2 "--trace"
}

@test "-v tells the chain, in the order of the help" {
    run --separate-stderr "$WTE" generate -m "$GPT2" -v --do-sample --top-p 0.9 --temperature 0.5 \
        --repetition-penalty 1.2 --max-new-tokens 1 the
    [[ "$stderr" == *"chain: repetition penalty, temperature, top-k, top-p"* ]]
    wte generate --help
    [[ "$(tr -s ' \n' ' ' <<<"$output")" == *"are Hugging Face's"*"sequence bias, diversity, repetition penalty"*"temperature"* ]]
}

@test "contradictions are told, with what is allowed" {
    wte generate -m "$GPT2" --num-beams 3 --num-beam-groups 2 the
    refused 2 "num_beams is 3 and num_beam_groups 2"
    wte generate -m "$GPT2" --penalty-alpha 0.6 the
    refused 2 "--penalty-alpha needs --top-k"
    for t in 0 -1; do
        wte generate -m "$GPT2" --do-sample --temperature "$t" the
        refused 2 "expected a number above 0"
    done
    wte generate -m "$GPT2" --do-sample --top-p 1.5 the
    refused 2 "top_p is 1.5, expected 0 to 1"
    wte generate -m "$GPT2" --top-p high the
    refused 2 "expected a number"
    wte generate -m "$GPT2" --top-p nan the
    refused 2 "expected a number"
    wte generate -m "$GPT2" --bad-words-ids '[[1,' the
    refused 2 "no JSON"
    wte generate -m "$GPT2" --bad-words-ids '[["a"]]' the
    refused 2 "element 0 is no list of ids"
    wte generate -m "$GPT2" --sequence-bias '[[1,2]]' the
    refused 2 "element 0 is no pair"
    wte generate -m "$GPT2" --force-words-ids '[7]' --num-beams 2 the
    refused 2 "element 0"
    wte generate -m "$GPT2" --exponential-decay-length-penalty 5 the
    refused 2 "START,FACTOR"
    wte generate -m "$GPT2" --eos-token-id x the
    refused 2 "is no id"
    run --separate-stderr "$WTE" generate -m "$GPT2" --temperature 2 --max-new-tokens 1 the
    [ "$stderr" = "wte: --temperature does nothing without --do-sample" ]
}

@test "lengths that leave no room" {
    wte generate -m "$GPT2" --max-length 2 "the theory of"
    refused 1 "--max-new-tokens"
    wte generate -m "$GPT2" --ids 1,2,3,4,5,6,7,8
    refused 1 "room for 8"
    wte generate -m "$GPT2" --json --max-new-tokens 100 the
    answered
    json '.finish_reason == "context"'
}

@test "what cannot continue text" {
    wte generate -m "$BERT" the
    refused 1 "fills masks"
    wte generate the
    refused 1 "no network"
}

@test "Ctrl-C prints what there is" {
    local delay pid code
    [ -d "$GOLDEN/gpt2_small_vocab" ] || skip "no $GOLDEN"
    for delay in 0.02 0.05 0.1 0.2 0.4 0.8 1.6 3; do # before it has begun, Ctrl-C is Ctrl-C
        # a shell's background commands ignore SIGINT, unless env says otherwise
        env --default-signal=INT "$WTE" generate -m "$GOLDEN/gpt2_small_vocab" --ids 72 --json \
            --num-beams 200 --max-new-tokens 90 --eos-token-id none \
            >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
        pid=$!
        sleep "$delay"
        kill -INT "$pid" || true
        code=0
        wait "$pid" || code=$?
        [ "$code" -eq 130 ] && [ -s "$BATS_TEST_TMPDIR/out" ] || continue
        jq -e '.finish_reason == "cancelled" and
            (.sequences[0].new_ids | length >= 0 and length < 90)' "$BATS_TEST_TMPDIR/out"
        return
    done
    echo "never stopped while it ran: $code $(cat "$BATS_TEST_TMPDIR/err")"
    return 1
}

@test "next --distribution: the tokens left, their probabilities, and who left what" {
    wte next -m "$GPT2" --distribution --json --temperature 0.5 --top-k 7 "the theory"
    answered
    json '.next | length >= 7 and length < 20' # equal to the seventh are kept, too
    json '[.next[].prob] | (add - 1 | fabs) < 1e-5 and . == (sort | reverse)'
    json '[.stages[].name] == ["network", "temperature", "top-k"]'
    json '[.stages[].tokens] == [270, 270, (.next | length)] and .stages[0].mass > 0.99'
    json '.stages[1].entropy < .stages[0].entropy and .stages[2].mass < 1'
    wte next -m "$GPT2" --distribution --json "the theory"
    json '.next | length >= 50 and length < 70'
    wte next -m "$GPT2" --distribution --json --top-k 0 "the theory"
    json '.next | length == 270'
    wte next -m "$GPT2" --distribution -k 2 --top-p 0.5 "the theory"
    answered
    [[ "${lines[1]}" == "after"*"tokens left"*"mass left"*"entropy"*"top token"*"prob" ]]
    [[ "${lines[2]}" == network*270*"100.00 %"*bits* ]]
    wte next -m "$GPT2" --top-p 0.5 "the theory"
    refused 2 "--distribution"
    wte next -m "$GPT2" --distribution --temperature 0 the
    refused 2 "temperature is 0"
}

@test "next --distribution agrees with what generate draws from" {
    wte generate -m "$GPT2" --trace --do-sample --typical-p 0.6 --top-p 0.8 --max-new-tokens 1 "the theory"
    jq -c '[.trace[0].candidates[] | select(.processed > 0) | [.id, .processed]] | sort' <<<"$output" > traced
    "$WTE" next -m "$GPT2" --distribution --typical-p 0.6 --top-p 0.8 --json "the theory" |
        jq -c '[.next[] | [.id, .prob]] | sort' > told
    jq -e -n --slurpfile a traced --slurpfile b told '
        all($a[0][]; . as $c | any($b[0][]; .[0] == $c[0] and ((.[1] - $c[1]) | fabs) < 1e-6))'
}

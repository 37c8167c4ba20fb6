# SPDX-License-Identifier: MIT
# compare.bats - match, correlate, rsa, compare and isotropy
#
# ../shared/golden/rsa.json is the reference, tests/golden/compare_small.json a small one that is
# always there. Both were made by numpy and scipy.

load helpers

setup_file() {
    export SHARED="${WTE_SHARED:-$WTE_ROOT/../shared}"
    export GOLDEN="$SHARED/golden" SMALL="$WTE_ROOT/tests/golden/compare_small.json"
    export GPT2="$WTE_ROOT/tests/golden/models/gpt2" BERT="$WTE_ROOT/tests/golden/models/bert"
}

# Two text files of the small reference's matrices: 14 words w0... of 5 and 4 numbers.
small_spaces() {
    for name in a b; do
        jq -r --arg m $name '.[$m] | "\(length) \(.[0] | length)", (to_entries[] | ["w\(.key)", .value[]] | join(" "))' \
            "$SMALL" > $name.txt
    done
}

# The models of the first notebook; skips where the references are not there.
notebook() {
    [ -f "$GOLDEN/rsa.json" ] || skip "no references"
    mkdir gpt2
    ln -s "$GOLDEN"/gpt2_tiny/*.* "$SHARED"/data/gpt2/{vocab.json,merges.txt} gpt2
    ln -s "$GOLDEN"/random-2000x50.bin "$GOLDEN"/rsa-b.txt .
}

# The keys $2... of a JSON object in $output are those of row $1 of the reference, within 1e-6.
agrees() {
    local row=$1 pair
    shift
    for pair in "$@"; do
        near "$(jq "${pair%=*}" <<<"$output")" "$(jq "$row.${pair#*=}" "$GOLDEN/rsa.json")" 1e-6 ||
            { echo "$pair"; return 1; }
    done
}

# ---- match ----------------------------------------------------------------------------------

@test "match finds the notebook's words, in all 24 cases of the reference" {
    notebook
    n=$(jq '.vocabulary_matching.cases | length' "$GOLDEN/rsa.json")
    [ "$n" -ge 24 ]
    for ((i = 0; i < n; i++)); do
        jq -c ".vocabulary_matching.cases[$i]" "$GOLDEN/rsa.json" > case
        args=(--limit "$(jq .limit case)")
        [ "$(jq .letters case)" = null ] || args+=(--length "$(jq .letters case)")
        [ "$(jq -r .prefix case)" = "" ] || args+=(--prefix-space-b)
        "$WTE" match -m "$NEWS" -m gpt2 --json "${args[@]}" > got
        jq -c '[.matches[] | .token]' got | diff - <(jq -c .words case)
        jq -c '[.matches[] | .ids[1]]' got | diff - <(jq -c .token_ids case)
    done
}

@test "match keeps a ledger with examples" {
    printf '4 2\nking 1 2\nqueen 3 4\nman 5 6\nking 7 8\n' > a.txt
    printf '3 2\nqueen 1 2\nking 3 4\nwoman 5 6\n' > b.txt
    wte match -m a.txt -m b.txt --json
    answered
    json '.matches == [{"token": "king", "ids": [0, 1]}, {"token": "queen", "ids": [1, 0]}]'
    json '[.lost[] | .count] | add == 2'
    json '[.lost[] | select(.why == "not in b") | .examples[0]] == ["man"]'
    wte match -m a.txt -m b.txt
    answered
    [[ "$output" == *"1  not in b"*"man"* ]]
    wte match -m a.txt -m b.txt --limit 1 --tsv
    answered
    prints "$(printf 'token\ta\tb\nking\t0\t1')"
}

@test "a bridge is written once and used by every comparison" {
    small_spaces
    wte match -m a.txt -m b.txt -q -o bridge.tsv
    answered
    [ "$(wc -l < bridge.tsv)" -eq 15 ]
    for command in "rsa --permutations 20 --bootstraps 0" compare; do
        wte $command -m a.txt -m b.txt --bridge bridge.tsv --json
        answered
        json '.tokens | length == 14'
        by_bridge=$(jq -c 'del(.lost)' <<<"$output")
        wte $command -m a.txt -m b.txt --match --json
        [ "$(jq -c 'del(.lost)' <<<"$output")" = "$by_bridge" ]
    done
    wte rsa -m b.txt -m a.txt --bridge bridge.tsv
    refused 1 "bridge.tsv"
}

@test "match lets words be pooled, with all their tokens" {
    printf '3 2\nthe 1 2\ntheories 3 4\nof 5 6\n' > a.txt
    wte match -m a.txt -m "$GPT2" --json
    json '[.matches[] | .token] | index("the") != null and index("theories") == null'
    wte match -m a.txt -m "$GPT2" --pool mean --json
    answered
    json '[.matches[] | .token] == ["the", "theories", "of"]'
    json '.matches[1].ids[1] | length > 1'
    wte match -m a.txt -m "$GPT2" words
    refused 2 "expected no words, found 'words'"
}

# ---- rsa ------------------------------------------------------------------------------------

@test "rsa is the notebook's: google-news-1000 and gpt2" {
    notebook
    for row in 0 1 2 3 4 5; do
        x=.google_news_vs_gpt2_tiny[$row]
        args=(--limit "$(jq $x.limit "$GOLDEN/rsa.json")")
        letters=$(jq $x.letters "$GOLDEN/rsa.json")
        [ "$letters" = null ] || args+=(--length "$letters")
        [ "$(jq -r $x.prefix "$GOLDEN/rsa.json")" = "" ] || args+=(--prefix-space-b)
        wte rsa -m "$NEWS" -m gpt2 --match "${args[@]}" --permutations 0 --bootstraps 0 --json
        answered
        agrees $x .pearson=pearson .cosine=cosine_sc .spearman=spearman \
            .kendall_tau_a=kendall_tau_a .kendall_tau_b=kendall_tau_b
        [ "$(jq '.tokens | length' <<<"$output")" = "$(jq $x.n "$GOLDEN/rsa.json")" ]
    done
}

@test "rsa and compare are the reference's: random-2000x50 and rsa-b" {
    notebook
    for row in 0 1 2; do
        x=.random_vs_rsa_b[$row]
        n=$(jq $x.n "$GOLDEN/rsa.json")
        wte rsa -m random-2000x50.bin -m rsa-b.txt --match --limit "$n" --permutations 0 \
            --bootstraps 0 --json
        answered
        agrees $x .pearson=pearson .cosine=cosine_sc .spearman=spearman \
            .kendall_tau_a=kendall_tau_a .kendall_tau_b=kendall_tau_b
        for metric in correlation euclidean; do
            wte rsa -m random-2000x50.bin -m rsa-b.txt --match --limit "$n" --permutations 0 \
                --bootstraps 0 --metric $metric --json
            agrees $x .pearson=rdm_${metric}_pearson .spearman=rdm_${metric}_spearman
        done
        wte compare -m random-2000x50.bin -m rsa-b.txt --match --limit "$n" --json
        answered
        agrees $x .cka_linear=linear_cka .cka_linear_debiased=linear_cka_unbiased .cka_rbf=rbf_cka \
            .procrustes=procrustes_distance .procrustes_disparity=procrustes_disparity \
            '.svcca_mean="svcca_0.99".mean'
        if [ "$(jq $x.cca_mean "$GOLDEN/rsa.json")" = null ]; then
            json '.cca_mean == null and (.undefined.cca_mean | test("canonical"))'
        else
            agrees $x .cca_mean=cca_mean
        fi
    done
}

@test "the small reference: every number of rsa and compare" {
    small_spaces
    words=(w{0..13})
    wte rsa -m a.txt -m b.txt --json --permutations 0 --bootstraps 0 "${words[@]}"
    answered
    near "$(jq .pearson <<<"$output")" "$(jq .comparators.pearson "$SMALL")" 1e-6
    near "$(jq .cosine <<<"$output")" "$(jq .cosine_of_similarities "$SMALL")" 1e-6
    near "$(jq .spearman <<<"$output")" "$(jq .comparators.spearman "$SMALL")" 1e-6
    near "$(jq .kendall_tau_a <<<"$output")" "$(jq '.comparators["kendall tau-a"]' "$SMALL")" 1e-6
    near "$(jq .whitened_cosine <<<"$output")" "$(jq .whitened.cosine "$SMALL")" 1e-6
    json '.n_pairs == 91 and .p_value == 1 and .permutations == 0 and .ci[0] == .pearson'
    wte compare -m a.txt -m b.txt --json "${words[@]}"
    answered
    for key in cka_linear cka_linear_debiased cka_rbf pwcca; do
        near "$(jq .$key <<<"$output")" "$(jq .$key "$SMALL")" 1e-6
    done
    near "$(jq .procrustes <<<"$output")" "$(jq .procrustes_distance "$SMALL")" 1e-6
    near "$(jq .cca_mean <<<"$output")" "$(jq '.cca | add / length' "$SMALL")" 1e-6
}

@test "all orders of six and seven words give the exact p-value" {
    small_spaces
    for n in 6 7; do
        wte rsa -m a.txt -m b.txt --json --bootstraps 0 $(seq -f w%g 0 $((n - 1)))
        answered
        near "$(jq .p_value <<<"$output")" "$(jq .exact_p_$n "$SMALL")" 1e-9
        json .exact
    done
}

@test "the seed is told and fixes shuffles and draws" {
    small_spaces
    wte rsa -m a.txt -m b.txt --match --json --seed 3
    answered
    first=$output
    json '.seed == 3 and .permutations == 10000 and .bootstraps == 1000 and .ci[0] < .ci[1]'
    wte rsa -m a.txt -m b.txt --match --json --seed 3 --threads 1
    prints "$first"
    wte rsa -m a.txt -m b.txt --match --json --seed 4
    [ "$output" != "$first" ]
    wte rsa -m a.txt -m b.txt --match
    [[ "$output" == *"seed 0"* ]]
}

@test "rsa says in a sentence what its numbers mean" {
    small_spaces
    cp a.txt c.txt
    wte rsa -m a.txt -m c.txt --match --permutations 99
    answered
    [[ "${lines[-1]}" == "a and c agree almost wholly on which words are alike: none of 99 shuffles of the words agrees at least as well." ]]
    awk 'NR == 1 { print; next } { $1 = "w" (NR * 5) % 14; print }' b.txt > d.txt
    wte rsa -m a.txt -m d.txt --match --permutations 99 --json
    json '.p_value > 0.05'
    wte rsa -m a.txt -m d.txt --match --permutations 99
    [[ "${lines[-1]}" == "These words do not show that a and d agree"*"no proof that they disagree either." ]]
    wte rsa -m a.txt -m b.txt --match --permutations 0 --bootstraps 0
    [[ "${lines[-1]}" == "Without permutations "* ]]
}

@test "several models: all pairs with q-values" {
    small_spaces
    cp a.txt c.txt
    wte rsa -m a.txt -m b.txt -m c.txt --match --json --permutations 99 --bootstraps 0
    answered
    json '[.pairs[] | [.a, .b]] == [["a", "b"], ["a", "c"], ["b", "c"]]'
    json '.pairs[1].pearson > 0.999999 and .pairs[0].pearson == .pairs[2].pearson'
    json '[.pairs[] | .q_value >= .p_value] | all'
    wte rsa -m a.txt -m b.txt -m c.txt --match --permutations 99 --bootstraps 0 --replicates
    answered
    [[ "$output" == *"noise ceiling "* ]]
    wte compare -m a.txt -m b.txt -m c.txt --match --tsv
    answered
    [ "${#lines[@]}" -eq 4 ]
}

@test "partial rsa leaves out what words differ in" {
    printf '8 2\na 1 0\nbb 1 .2\nccc 1 .4\ndddd .9 .6\ne 1 .1\nffffff .2 1\ngg 1 .3\nhhhhh .4 .9\n' > x.txt
    printf '8 2\na 1 .1\nbb .9 .2\nccc 1 .5\ndddd .8 .6\ne 1 0\nffffff .1 1\ngg .9 .4\nhhhhh .5 .9\n' > y.txt
    wte rsa -m x.txt -m y.txt --match --nuisance length,rank --json --bootstraps 0
    answered
    json '.nuisance == "length,rank" and .value != .pearson'
    wte rsa -m x.txt -m y.txt --match --nuisance length
    [[ "$output" == *"partial pearson"*"without length"* ]]
    wte rsa -m x.txt -m y.txt --match --nuisance tokens
    refused 1 "--nuisance tokens: all words have the same number of tokens"
    wte rsa -m x.txt -m y.txt --match --nuisance weight
    refused 2 "--nuisance weight: expected length, tokens or rank"
}

# ---- layers ---------------------------------------------------------------------------------

@test "--layer all is a grid of one's layers by the other's" {
    args=(--pool mean --json the theory of theories a king)
    wte rsa -m "$GPT2" -m "$BERT" --layer all "${args[@]}"
    answered
    json '[.rows[] | .layer] == [0, 1] and [.columns[] | .layer] == [0, 1]'
    json '[.values, .p_values, .q_values] | map([length, (.[0] | length)] == [2, 2]) | all'
    grid=$output
    wte rsa -m "$GPT2" -m "$BERT" --layer 1,0 "${args[@]}"
    answered
    near "$(jq .pearson <<<"$output")" "$(jq '.values[1][0]' <<<"$grid")" 1e-12
    wte rsa -m "$GPT2" --layer all "${args[@]}"
    json '.values[0][0] == 1 and .values[0][1] == .values[1][0]'
    wte rsa -m "$GPT2" -m "$BERT" --layer 2 "${args[@]}"
    refused 1 "--layer 2: gpt2 has layers 0 (embeddings) to 1"
}

@test "a layer's rows are those that hidden --save-space writes" {
    words=(the theory of theories a king)
    "$WTE" hidden -q -m "$GPT2" --layer 1 --save-space g.txt "${words[@]}"
    "$WTE" hidden -q -m "$BERT" --layer 1 --save-space b.txt "${words[@]}"
    wte rsa -m g.txt -m b.txt --json "${words[@]}"
    answered
    want=$(jq .pearson <<<"$output")
    wte rsa -m "$GPT2" -m "$BERT" --layer 1 --pool mean --json "${words[@]}"
    answered
    near "$(jq .pearson <<<"$output")" "$want" 1e-6
}

# ---- correlate ------------------------------------------------------------------------------

@test "correlate is the reference's per_word_pearson" {
    notebook
    jq -r '.per_word_pearson.words[]' "$GOLDEN/rsa.json" > words
    wte correlate -m random-2000x50.bin -m rsa-b.txt --words words --json
    answered
    [ "$(jq -c '[.rows[] | .token]' <<<"$output")" = "$(jq -c .per_word_pearson.words "$GOLDEN/rsa.json")" ]
    jq -e --argjson got "$output" '[.per_word_pearson.r, [$got.rows[] | .pearson]] | transpose |
        map((.[0] - .[1]) | fabs < 1e-6) | all' "$GOLDEN/rsa.json"
    agrees .per_word_pearson .mean=mean
}

@test "correlate refuses widths that differ and constant vectors" {
    small_spaces
    wte correlate -m a.txt -m b.txt --match
    refused 1 "the same width expected"
    printf '2 3\nking 1 2 4\nflat 2 2 2\n' > c.txt
    wte correlate -m c.txt -m c.txt king flat
    refused 1 "'flat' has the same number everywhere in c (a), 2: its correlation is not defined"
    wte correlate -m c.txt -m c.txt --json king
    answered
    json '.rows == [{"token": "king", "pearson": 1}]'
}

# ---- isotropy -------------------------------------------------------------------------------

@test "isotropy: all directions alike, and one direction" {
    awk 'BEGIN { srand(1); print 400, 3; for (i = 0; i < 400; i++) {
        a = 6.2831853 * rand(); z = 2 * rand() - 1; r = sqrt(1 - z * z)
        printf "w%d %.6f %.6f %.6f\n", i, r * cos(a), r * sin(a), z } }' > ball.txt
    awk 'BEGIN { print 400, 3; for (i = 0; i < 400; i++) print "w" i, i + 1, 2 * i + 2, -i - 1 }' > line.txt
    wte isotropy -m ball.txt --json
    answered
    json '(.mean_cosine | fabs) < 0.02 and .iso_score > 0.95 and .n == 400 and .dim == 3'
    wte isotropy -m line.txt --json
    answered
    json '.mean_cosine > 0.999 and .iso_score < 0.001 and (.participation_ratio - 1 | fabs) < 0.001'
    wte isotropy -m ball.txt -m line.txt --tsv
    answered
    [ "${#lines[@]}" -eq 3 ]
    wte isotropy -m ball.txt --sample 100 --json
    json '.n == 100'
    wte isotropy -m ball.txt --sample 5
    refused 1 "5 rows of ball: -k 10 needs more than that"
    wte isotropy -m "$GPT2" --layer all
    refused 2 "--layer needs words to run"
}

# ---- bad input ------------------------------------------------------------------------------

@test "fewer words than a measure needs" {
    small_spaces
    wte rsa -m a.txt -m b.txt w1 w2
    refused 1 "2 words: pairs of words are compared, which needs at least 3 words"
    wte rsa -m a.txt -m b.txt w1 w2 w3 w4
    refused 1 "a permutation test needs at least 6"
    wte compare -m a.txt -m b.txt w1
    refused 1 "at least 2 expected"
    wte compare -m a.txt -m b.txt --json w1 w2 w3
    answered
    json '.cka_linear_debiased == null and (.undefined.cka_linear_debiased | test("at least 4"))'
    json '.p_value == null'
}

@test "words that a model lacks are named, or left out and counted" {
    small_spaces
    sed -i 's/^w3 /x3 /' b.txt
    wte rsa -m a.txt -m b.txt w{0..9}
    refused 1 "'w3' is not in b"
    wte rsa -m a.txt -m b.txt --skip-missing --permutations 0 --bootstraps 0 --json w{0..9}
    answered
    json '.tokens | length == 9'
    json '.lost == [{"why": "not in b", "count": 1, "examples": ["w3"]}]'
    wte rsa -m a.txt -m b.txt w1 w2 w4 w5 w6 w1
    refused 1 "'w1' is given twice"
    printf 'w1\nw2\nnone\n' > words
    wte rsa -m a.txt -m b.txt --words words
    refused 1 "words, line 3: 'none' is not in a"
}

@test "vectors without a direction" {
    printf '6 2\na 1 2\nb 2 1\nc 3 1\nd 0 0\ne 5 1\nf 1 7\n' > x.txt
    wte rsa -m x.txt -m x.txt --match
    refused 1 "'d' has the same number everywhere in x (a), 0: its cosine is not defined"
}

@test "words come from one place" {
    small_spaces
    wte rsa -m a.txt -m b.txt
    refused 2 "words are missing"
    wte rsa -m a.txt -m b.txt --match w1
    refused 2 "give one of them"
    wte rsa -m a.txt -m b.txt --length 4 w1 w2
    refused 2 "--length, --limit and --any-case go with --match"
    wte rsa -m a.txt w1 w2
    refused 2 "expected at least 2 models, there are 1"
    wte rsa -m a.txt -m b.txt --layer 1 w1 w2 w3
    refused 1 "--layer: word vectors have no layers"
}

# ---- figures --------------------------------------------------------------------------------

@test "every command draws its figure, as SVG with real text" {
    small_spaces
    cp a.txt c.txt
    drawn() {
        answered
        xmllint --noout f.svg 2>/dev/null || ! command -v xmllint >/dev/null
        grep -q '<text' f.svg
        rm f.svg
    }
    wte match -m a.txt -m b.txt --plot f.svg
    drawn
    wte correlate -m a.txt -m c.txt --match --plot f.svg
    drawn
    wte rsa -m a.txt -m b.txt --match --permutations 99 --plot f.svg
    answered
    grep -q 'S_c = ' f.svg
    drawn
    wte rsa -m a.txt -m b.txt --match --permutations 99 --plot f.svg --panels --dark --title Panels
    answered
    grep -q 'A)' f.svg && grep -q 'C)' f.svg && grep -q 'Panels' f.svg
    drawn
    wte rsa -m a.txt -m b.txt -m c.txt --match --permutations 9 --bootstraps 0 --plot f.svg --limits -1,1
    drawn
    wte rsa -m "$GPT2" -m "$BERT" --layer all --pool mean --plot f.svg the theory of theories a king
    drawn
    wte compare -m a.txt -m b.txt --match --plot f.svg
    drawn
    wte isotropy -m a.txt -m b.txt -k 3 --plot f.svg
    drawn
    for ending in png pdf; do
        wte rsa -m a.txt -m b.txt --match --permutations 9 --plot f.$ending
        answered
        [ -s f.$ending ]
    done
}

@test "a figure's metadata names command, seed and the inputs by their hash" {
    small_spaces
    wte rsa -m a.txt -m b.txt --match --permutations 9 --seed 5 --plot f.svg
    answered
    sum=$(sha256sum a.txt | cut -d' ' -f1)
    grep -q "$sum" f.svg
    grep -q '\-\-permutations' f.svg
}

@test "figures that cannot be made" {
    small_spaces
    wte rsa -m a.txt -m b.txt --match --plot nowhere/f.svg
    refused 1 "nowhere/f.svg"
    wte rsa -m a.txt -m b.txt --match --plot f.bmp
    refused 2 "--plot f.bmp: the ending must be one of .svg .pdf .png"
    wte rsa -m a.txt -m b.txt --match --dark
    refused 2 "go with --plot FILE"
    wte rsa -m a.txt -m b.txt --match --plot f.svg --limits 3,1
    refused 2 "--limits 3,1: expected LOW,HIGH"
    wte rsa -m a.txt -m b.txt --match --panels
    refused 2 "--panels goes with --plot and two models"
}

# ---- Python ---------------------------------------------------------------------------------

# The same numbers by numpy and scipy; gensim by a stand-in where it is not installed.
@test "--as-python computes the same" {
    python=/usr/bin/python3
    $python -c 'import numpy, scipy' 2>/dev/null || skip "no numpy and scipy"
    $python -c 'import gensim' 2>/dev/null || export PYTHONPATH="$WTE_ROOT/tests/cli/python"
    small_spaces
    wte rsa -m a.txt -m b.txt --match --permutations 50 --as-python
    answered
    printf '%s' "$output" > p.py
    $python p.py > got
    wte rsa -m a.txt -m b.txt --match --permutations 0 --bootstraps 0 --json
    for key in pearson cosine spearman kendall_tau_b; do
        near "$(awk -v k=$key '$1 == k { print $2 }' got)" "$(jq .$key <<<"$output")" 1e-6
    done
    wte compare -m a.txt -m b.txt w{0..13} --as-python
    answered
    printf '%s' "$output" > p.py
    $python p.py > got
    wte compare -m a.txt -m b.txt --match --json
    for key in cka_linear cka_linear_debiased cka_rbf procrustes cca_mean svcca_mean neighbor_overlap; do
        near "$(awk -v k=$key '$1 == k { print $2 }' got)" "$(jq .$key <<<"$output")" 1e-6
    done
    cp a.txt c.txt
    wte correlate -m a.txt -m c.txt w1 --as-python
    printf '%s' "$output" > p.py
    near "$($python p.py | awk '{ print $4 }')" 1 1e-9
    wte rsa -m "$GPT2" -m "$BERT" --layer all --pool mean king queen --as-python
    answered
    [[ "$output" == *"output_hidden_states=True"* ]]
    python3 -c 'import ast, sys; ast.parse(sys.stdin.read())' <<<"$output"
}

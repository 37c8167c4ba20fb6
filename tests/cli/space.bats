# SPDX-License-Identifier: MIT
# space.bats - answers about tests/golden/tiny.txt, worked out by hand

load helpers

@test "similarity: king.queen = 5/9" {
    wte similarity -m "$TINY" king queen --json
    answered
    json '.a == "king" and .b == "queen"'
    json '(.similarity - 5/9) | fabs < 1e-7'
    json '.percentile >= 0 and .percentile <= 100 and .baseline.pairs > 0'
    wte similarity -m "$TINY" north south --tsv
    answered
    [ "$(cut -f1-3 <<<"${lines[1]}")" = $'north\tsouth\t-1' ]
}

@test "similarity tells people what the cosine is worth" {
    wte similarity -m "$TINY" king queen
    answered
    [[ "$output" =~ ^king\ \ queen\ \ 0\.5555556\ \ \ higher\ than\ [0-9.]+\ %\ of\ random\ pairs\ \(.*±.*\)$ ]]
}

@test "distances of north and south: 10, 2, 14" {
    wte distance -m "$TINY" north south --json
    answered
    prints '{"a":"north","b":"south","metric":"euclidean","distance":10}'
    wte distance -m "$TINY" north south --metric cosine --tsv
    prints $'a\tb\tcosine\nnorth\tsouth\t2'
    wte distance -m "$TINY" north south --metric cityblock --tsv
    prints $'a\tb\tcityblock\nnorth\tsouth\t14'
}

@test "nearest: the order is that of the cosines, ties by lower id" {
    wte nearest -m "$TINY" king --json -k 4
    answered
    json '.metric == "cosine"'
    json '[.neighbors[].token] == ["man", "prince", "café", "1984"]'
    json '[.neighbors[].id] == [2, 4, 10, 11]'
    json '(.neighbors[0].score - 2/(5|sqrt)) | fabs < 1e-6'
    json '(.neighbors[2].score - 5/6) | fabs < 1e-6'
    json '(.neighbors[3].score - 2/3) | fabs < 1e-6'
}

@test "nearest prints a table" {
    wte nearest -m "$TINY" king -k 2
    answered
    prints $'nearest to king  in tiny\n   word    cosine\n1  man     0.8944\n2  prince  0.8944'
}

@test "nearest leaves the query out unless asked" {
    wte nearest -m "$TINY" king -k 1 --tsv
    prints $'query\trank\tid\ttoken\tscore\nking\t1\t2\tman\t0.8944272'
    wte nearest -m "$TINY" king -k 1 --tsv --include-query
    [[ "${lines[1]}" == $'king\t1\t0\tking\t'* ]]
}

@test "nearest by distance takes the rows as they are" {
    wte nearest -m "$TINY" king --metric euclidean -k 3 --json
    answered
    json '.metric == "euclidean"'
    json '[.neighbors[].token] == ["man", "prince", "café"]'
    json '(.neighbors[0].score - (2|sqrt)) | fabs < 1e-6'
    wte nearest -m "$TINY" king --metric cityblock -k 2 --json
    json '[.neighbors[] | [.token, .score]] == [["man", 2], ["prince", 2]]'
}

@test "nearest of a sum: king + woman - man is queen" {
    wte nearest -m "$TINY" king woman -n man -k 1 --json
    json '.positive == ["king", "woman"] and .negative == ["man"]'
    json '.neighbors[0].token == "queen"'
    wte nearest -m "$TINY" king woman -n man -k 1 --metric euclidean --json
    json '.neighbors[0] | .token == "queen" and .score == 0'
    wte nearest -m "$TINY" king woman --negative=man -k 1 --metric cosmul --json
    json '.metric == "cosmul" and .neighbors[0].token == "queen"'
}

@test "weights shift the answer" {
    wte nearest -m "$TINY" --weights bread=1 king=0.001 -k 1 --json
    json '.neighbors[0].token == "butter"'
    wte nearest -m "$TINY" --weights bread=0.001 king -k 1 --json
    json '.neighbors[0].token == "man"'
}

@test "restrict-vocab searches the first rows only" {
    wte nearest -m "$TINY" bread --restrict-vocab 6 --json
    json '[.neighbors[].id] | max <= 5'
    json '.neighbors | length == 6'
}

@test "k larger than the space gives all others" {
    wte nearest -m "$TINY" king -k 1000000000 --json
    answered
    json '.neighbors | length == 11'
}

@test "each word has an answer of its own" {
    wte nearest -m "$TINY" --each king bread -k 1 --json
    answered
    [ "${#lines[@]}" -eq 2 ]
    [ "$(jq -r '.neighbors[0].token' <<<"$output" | paste -sd,)" = man,butter ]
    printf 'king\tignored\nbread\n' > words.tsv
    wte nearest -m "$TINY" --each --words words.tsv -k 1 --json
    [ "$(jq -r '.neighbors[0].token' <<<"$output" | paste -sd,)" = man,butter ]
}

@test "ids are words too" {
    wte nearest -m "$TINY" --ids 6 -k 1 --json
    json '.positive == ["bread"] and .neighbors[0].token == "butter"'
    wte similarity -m "$TINY" --ids 0 1 --json
    json '.a == "king" and .b == "queen"'
}

@test "verbose tells how the search went" {
    wte nearest -m "$TINY" king -k 1 -v
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"12 rows, 1 query"* ]]
}

@test "analogy shows both answers and the ranks of the three" {
    wte analogy -m "$TINY" man king woman -k 2 --json
    answered
    json '.metric == "cosine" and .method == "add"'
    json '.neighbors[0].token == "queen" and .with_query[0].token == "queen"'
    json '[.neighbors[].token] | index("woman") == null'
    json '.with_query[1].token == "woman" and .query_ranks[2] == 2'
    wte analogy -m "$TINY" man king woman -k 2 --json --include-query
    json '.neighbors[1].token == "woman"'
    wte analogy -m "$TINY" man king woman -k 1
    [[ "$output" == "man is to king as woman is to ..."*"the three left out"*"all words"* ]]
    [[ "$output" == *"ranks among all words: man "*", king "*", woman 2"* ]]
}

@test "analogy by products and by distance" {
    wte analogy -m "$TINY" man king woman -k 1 --method mul --json
    json '.method == "mul" and .neighbors[0].token == "queen"'
    wte analogy -m "$TINY" man king woman -k 1 --metric euclidean --json
    json '.method == "raw" and .neighbors[0].token == "queen" and .neighbors[0].score == 0'
    wte analogy -m "$TINY" man king woman --method mul --metric euclidean
    refused 2 "--method mul"
}

@test "odd finds the odd one and shows every score" {
    wte odd -m "$TINY" king queen prince bread --json
    answered
    json '.odd == "bread" and (.scores | length == 4)'
    json '(.scores | min_by(.score)).token == "bread"'
    wte odd -m "$TINY" king queen prince bread
    [ "${lines[0]}" = "bread is the odd one" ]
}

@test "vector gives the row" {
    wte vector -m "$TINY" north --json
    answered
    prints '{"token":"north","id":8,"shape":[4],"data":[0,3,-4,0]}'
    wte vector -m "$TINY" king north --tsv
    prints $'token\t0\t1\t2\t3\nking\t2\t2\t0\t1\nnorth\t0\t3\t-4\t0'
    wte vector -m "$TINY" north
    [[ "$output" == "north  id 8, 4 numbers, length 5, from -4.0000 (at 2) to 3.0000 (at 1)"* ]]
}

@test "matrix is symmetric with its heads" {
    wte matrix -m "$TINY" king queen north --json
    answered
    json '.tokens == ["king", "queen", "north"]'
    json '.matrix[0][1] == .matrix[1][0] and .matrix[0][0] == 1'
    json '(.matrix[0][2] - 6/15) | fabs < 1e-6'
    wte matrix -m "$TINY" --metric euclidean north south --tsv
    prints $'token\tnorth\tsouth\nnorth\t0\t10\nsouth\t10\t0'
    wte matrix -m "$TINY" north south
    prints $'cosine similarity in tiny\n         north    south\nnorth   1.0000  -1.0000\nsouth  -1.0000   1.0000'
}

@test "project: two words lie on a line" {
    wte project -m "$TINY" -d 1 north south --json
    answered
    json '.tokens == ["north", "south"] and .explained_variance_ratio == [1]'
    json '[.points[][0] | fabs] | all(. > 4.999 and . < 5.001)'
    wte project -m "$TINY" --json
    json '(.tokens | length == 12) and (.points | all(length == 2))'
    wte project -m "$TINY" -d 4 king queen
    refused 1 "at most 1 components"
}

@test "transforms change the space" {
    wte vector -m "$TINY" --transform unit north --json
    json '[.data[] * 5 | round] == [0, 3, -4, 0]'
    wte similarity -m "$TINY" --transform center king queen --json
    answered
    json '(.similarity - 5/9) | fabs > 0.01'
}

@test "eval analogies counts by section" {
    printf ': royals\nman king woman queen\nman king woman bread\nman king woman nobody\n: gram1\nking queen prince princess\n' > q.txt
    wte eval analogies -m "$TINY" q.txt --json
    answered
    json '.sections[0] == {"section":"royals","correct":1,"incorrect":1,"skipped":1,"accuracy":0.5}'
    json '.correct == 2 and .incorrect == 1 and (.accuracy - 2/3 | fabs) < 1e-12'
    json '.semantic.correct == 1 and .syntactic.correct == 1'
    wte eval analogies -m "$TINY" q.txt --dummy4unknown --json
    json '.incorrect == 2'
    wte eval analogies -m "$TINY" q.txt --tsv
    [ "${lines[0]}" = $'section\tcorrect\tincorrect\tskipped\taccuracy' ]
    [ "${lines[1]}" = $'royals\t1\t1\t1\t0.5' ]
    wte eval analogies -m "$TINY" q.txt
    [[ "$output" == *"semantic"*"syntactic"*"total"* ]]
    wte eval analogies -m "$TINY" nowhere.txt
    refused 1 "nowhere.txt"
}

@test "eval pairs correlates" {
    printf '# a comment\nking\tman\t9\nking\tqueen\t5\nking\tbread\t1\nking\tnobody\t1\n' > p.tsv
    wte eval pairs -m "$TINY" p.tsv --json
    answered
    json '(.spearman - 1 | fabs) < 1e-12 and .pairs == 3 and .oov_ratio == 25'
    json '.pearson > 0.9 and .pearson_p < 0.3 and has("spearman_p")'
    wte eval pairs -m "$TINY" p.tsv
    [[ "$output" == "Spearman  1.0000"* ]]
}

@test "info tells what was found" {
    wte info -m "$TINY" --json
    answered
    json '.name == "tiny" and .family == "word vectors" and .parameters == 48'
    json '.config == {"format":"word2vec text","rows":12,"dim":4}'
    json '.tensors == [{"name":"vectors","dtype":"F32","shape":[12,4]}]'
    json '.duplicates == 0 and .undirected == 0 and .index.state == "none"'
    wte info -m "$TINY"
    [[ "$output" == "tiny  word vectors, 12 rows of 4 numbers"*"word2vec text"* ]]
}

@test "list knows the model that ships with wte" {
    wte list --json
    answered
    json '.models | map(select(.name == "demo")) | length == 1'
    wte list --tsv
    [ "${lines[0]}" = $'name\tkind\tbytes\tpath' ]
}

@test "the model that ships with wte answers without -m" {
    wte nearest king --json -k 50
    answered
    json '[.neighbors[].token] | index("queen") != null'
    WTE_MODEL="$TINY" wte nearest king --json -k 1
    json '.neighbors[0].token == "man"'
}

@test "embedding equals torch" {
    wte embedding --vocab 10 --dim 3 --seed 42 --ids 2,3 --json
    answered
    json '.shape == [2, 3]'
    # torch.manual_seed(42); torch.nn.Embedding(10, 3).weight[2:4]
    near "$(jq '.data[0][0]' <<<"$output")" -0.0431 5e-5
    near "$(jq '.data[1][2]' <<<"$output")" -1.4036 5e-5
    wte embedding --vocab 10 --dim 3 --seed 42 --padding-idx 1 --ids 1 --json
    prints '{"shape":[1,3],"data":[[0,0,0]]}'
    wte embedding --vocab 10 --dim 3 --seed 42 --ids 2,1
    prints $'[[-0.0431, -1.6047, -0.7521],\n [-2.1055,  0.6784, -1.2345]]  [2, 3]'
    wte embedding --vocab 10 --dim 3 --ids 10
    refused 1 "row 10"
}

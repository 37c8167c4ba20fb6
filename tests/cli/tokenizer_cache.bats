# SPDX-License-Identifier: MIT
# tokenizer_cache.bats - the tables of a large tokenizer, kept in the cache folder

load helpers

# A vocab.txt of 9000 words in $1, w0 to w8994 from id 5 on.
large_vocab() {
    mkdir "$1"
    { printf '[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n'; seq -f 'w%.0f' 0 8994; } > "$1/vocab.txt"
}

@test "a large tokenizer is kept, used without a word, listed and cleared" {
    large_vocab large
    wte tokenize -m large/vocab.txt --json "w7 w8 other"
    answered
    json '.ids == [12, 13, 1]'
    first=$output
    wte cache --json
    json '(.entries | length == 1) and .entries[0].stale == false'
    json '.entries[0].for | endswith("large/vocab.txt")'
    wte tokenize -m large/vocab.txt --json "w7 w8 other"
    answered
    prints "$first"
    wte detokenize -m large/vocab.txt 12 13
    answered
    prints "w7 w8"
    wte cache clear
    [[ "$output" == "deleted 1 file, "* ]]
}

@test "--no-cache leaves no trace" {
    large_vocab large
    for command in "tokenize w7" "detokenize 12" "vocab w77"; do
        wte ${command%% *} --no-cache -m large/vocab.txt ${command#* }
        answered
    done
    [ ! -e "$WTE_CACHE" ]
}

@test "a tokenizer that changed is read again" {
    large_vocab large
    wte tokenize -m large/vocab.txt --json W7
    json '.ids == [12]'
    sed -i 's/^w7$/changed/' large/vocab.txt
    wte cache --json
    json '.entries[0].stale'
    wte tokenize -m large/vocab.txt --json W7
    json '.ids == [1]'
    echo '{"do_lower_case": false}' > large/tokenizer_config.json
    wte tokenize -m large/vocab.txt --json W8
    json '.ids == [1]'
}

@test "a damaged file in the cache folder does no harm" {
    large_vocab large
    "$WTE" tokenize -m large/vocab.txt --json w7 > first
    head -c 100000 /dev/urandom > "$(echo "$WTE_CACHE"/*)"
    wte tokenize -m large/vocab.txt --json w7
    answered
    prints "$(cat first)"
}

@test "info counts ids without a token" {
    printf '[UNK]\na\n' > vocab.txt
    echo '{"[NEW]": 5}' > added_tokens.json
    wte info -m vocab.txt
    answered
    [[ "$output" == *"vocab.txt, 3 tokens, 3 ids without a token"* ]]
    wte info -m vocab.txt --json
    json '.tokenizer.holes == 3'
}

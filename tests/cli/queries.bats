# SPDX-License-Identifier: MIT
# queries.bats - one query a line on standard input, and words of any bytes

load helpers

@test "pairs on standard input" {
    run --separate-stderr "$WTE" similarity -m "$TINY" --json - < <(printf 'king\tqueen\r\nnorth\tsouth')
    answered
    [ "${#lines[@]}" -eq 2 ]
    [ "$(jq -s 'map(.b) == ["queen", "south"]' <<<"$output")" = true ]
}

@test "a query that cannot be answered is named, the others are answered" {
    run --separate-stderr "$WTE" nearest -m "$TINY" --json -k 1 - < <(printf 'king\nnobody\n\nbread\n')
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "wte: nearest: line 2: 'nobody' is not in tiny"* ]]
    run --separate-stderr "$WTE" similarity -m "$TINY" --json - < <(printf 'king\nking\tqueen\n')
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ "$stderr" == "wte: similarity: line 1: 1 words, expected 2"* ]]
}

@test "each command answers lines as it answers arguments" {
    printf 'man\tking\twoman\n' | "$WTE" analogy -m "$TINY" --json - > got
    "$WTE" analogy -m "$TINY" --json man king woman | diff - got
    printf 'king woman\n' | "$WTE" distance -m "$TINY" --json - > got
    "$WTE" distance -m "$TINY" --json king woman | diff - got
    printf 'king\tqueen\tbread\n' | "$WTE" odd -m "$TINY" --json - > got
    "$WTE" odd -m "$TINY" --json king queen bread | diff - got
    printf 'king\nqueen\nbread\n' > words
    "$WTE" matrix -m "$TINY" --json - < words > got
    "$WTE" matrix -m "$TINY" --json --words words | diff - got
    "$WTE" vector -m "$TINY" --json --words - < words > got
    "$WTE" vector -m "$TINY" --json king queen bread | diff - got
    printf 'king\twoman\n' | "$WTE" nearest -m "$TINY" --json -n man - > got
    "$WTE" nearest -m "$TINY" --json king woman -n man | diff - got
}

@test "a batch gives what single queries give" {
    cut -d' ' -f1 "$TINY" | tail -n +2 > words
    for metric in cosine euclidean cityblock cosmul; do
        "$WTE" nearest -m "$TINY" --metric "$metric" -k 3 --tsv - < words > got
        { head -n 1 got
          while read -r word; do "$WTE" nearest -m "$TINY" --metric "$metric" -k 3 --tsv "$word" | tail -n +2
          done < words; } > want
        diff want got
    done
}

@test "an answer comes before the next question" {
    mkfifo queries answers
    "$WTE" similarity -m "$TINY" --tsv - < queries > answers &
    exec 7> queries 8< answers
    printf 'king\tqueen\n' >&7
    read -r -t 10 line <&8
    read -r -t 10 line <&8
    [[ "$line" == $'king\tqueen\t0.5555'* ]]
    printf 'north\tsouth\n' >&7
    read -r -t 10 line <&8
    [[ "$line" == $'north\tsouth\t-1'* ]]
    exec 7>&- 8<&-
    wait $!
}

@test "a million queries cost one start" {
    yes $'king\tqueen\nnorth\tsouth' | head -n 1000000 > pairs
    "$WTE" similarity -m "$TINY" --tsv - < pairs > got
    [ "$(wc -l < got)" -eq 1000001 ]
    [ "$(tail -n +2 got | sort -u | wc -l)" -eq 2 ]
}

@test "many neighbours in one run" {
    yes $'king\nbread\nnorth' | head -n 30000 > words
    "$WTE" nearest -m "$TINY" -k 2 --json - < words > got
    [ "$(wc -l < got)" -eq 30000 ]
    [ "$(sort -u got | wc -l)" -eq 3 ]
}

@test "SIGTERM ends a run that waits for queries" {
    mkfifo queries
    "$WTE" nearest -m "$TINY" - < queries 7>&- &
    pid=$!
    exec 7> queries
    sleep 0.3
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    exec 7>&-
    [ "$status" -eq 143 ]
}

@test "words of any bytes are exact in JSON, visible in tables, escaped in TSV" {
    # \xFF is no UTF-8; café is; a tab and a backslash need escapes
    printf '4 2\n\xff\x41 1 0\ncaf\xc3\xa9 1 0.1\na\x01b 1 0.2\nb\\c 1 0.3\n' > odd.txt
    wte nearest -m odd.txt café --json -k 3
    answered
    json '[.neighbors[] | select(.token == "\ufffdA") | .bytes] == [[255, 65]]'
    json '[.neighbors[] | select(.token == "b\\c") | has("bytes")] == [false]'
    json '[.neighbors[] | select(.token == "a\u0001b")] | length == 1'
    wte nearest -m odd.txt café -k 3
    [[ "$output" == *'\xFFA'* ]]
    [[ "$output" == *'a\x01b'* ]]
    wte nearest -m odd.txt café --tsv -k 3
    [[ "$output" == *'b\\c'* ]]
    wte vector -m odd.txt $'\xffA' --json
    answered
    json '.bytes == [255, 65]'
}

@test "numbers have the digits that restore the float32, and no more" {
    printf '1 6\nw 0.1 0.333333343 1e-45 3.4028235e38 -0 16777216\n' > numbers.txt
    wte vector -m numbers.txt w --json
    answered
    prints '{"token":"w","id":0,"shape":[6],"data":[0.1,0.33333334,1.4013e-45,3.4028235e+38,-0,16777216]}'
}

@test "numbers that are not finite are null in JSON and named in TSV" {
    printf '2 3\nw nan inf -inf\nv 1 2 3\n' > numbers.txt
    wte vector -m numbers.txt w --json
    [ "$status" -eq 0 ]
    json '.data == [null, null, null]'
    wte vector -m numbers.txt w --tsv
    [ "${lines[1]}" = $'w\tnan\tinf\t-inf' ]
}

@test "wide characters keep columns aligned" {
    printf '3 2\n日本 1 0\nab 1 0.1\nxyz 1 0.2\n' > wide.txt
    wte matrix -m wide.txt 日本 ab xyz
    answered
    [ "${lines[2]}" = "日本  1.0000  0.9950  0.9806" ]
    [ "${lines[3]}" = "ab    0.9950  1.0000  0.9952" ]
}

@test "colour on a terminal only, and never with NO_COLOR" {
    script -qec true /dev/null >/dev/null 2>&1 || skip "no script, or no terminal to be had"
    esc=$'\033'
    unset NO_COLOR
    TERM=xterm run script -qec "'$WTE' nearest -m '$TINY' king -k 1" /dev/null
    [[ "$output" == *"$esc["* ]]
    TERM=xterm NO_COLOR=1 run script -qec "'$WTE' nearest -m '$TINY' king -k 1" /dev/null
    [[ "$output" != *"$esc["* ]]
    TERM=dumb run script -qec "'$WTE' nearest -m '$TINY' king -k 1" /dev/null
    [[ "$output" != *"$esc["* ]]
    wte nearest -m "$TINY" king -k 1
    [[ "$output" != *"$esc["* ]]
}

@test "threads do not change the answer" {
    wte nearest king -k 20 --json --threads 1
    one=$output
    wte nearest king -k 20 --json --threads 4
    prints "$one"
}

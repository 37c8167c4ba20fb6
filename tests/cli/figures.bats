# SPDX-License-Identifier: MIT
# figures.bats - --plot, replay and --as-python of the commands
#
# What a figure looks like is tested where it is drawn (test_plot.c); here each command must give a
# figure that holds its words, in each kind of file, and say what is wrong where it cannot.

load helpers

setup_file() {
    export GPT2="$WTE_ROOT/tests/golden/models/gpt2" BERT="$WTE_ROOT/tests/golden/models/bert"
}

# The SVG in file $1 has a text that is exactly $2.
shows() {
    grep -qF ">$2<" "$1" || { echo "$1 shows no '$2'"; grep -o '<text[^>]*>[^<]*' "$1"; return 1; }
}

@test "matrix --plot: the words, their numbers and the bar" {
    wte matrix -m "$TINY" king queen man --plot m.svg
    answered
    [[ "$output" == *"cosine similarity in tiny"* ]]
    shows m.svg king
    shows m.svg queen
    shows m.svg 0.56
    shows m.svg "cosine similarity"
}

@test "figures as SVG, PDF and PNG are what their names say" {
    for kind in svg pdf png; do
        wte matrix -m "$TINY" king queen man --plot "m.$kind" --json
        answered
    done
    head -c 100 m.svg | grep -q "<?xml"
    [ "$(head -c 5 m.pdf)" = "%PDF-" ]
    [ "$(head -c 8 m.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]
}

@test "the other commands of a space draw" {
    wte project -m "$TINY" king queen man woman north --plot p.svg
    answered
    shows p.svg north
    grep -q "principal component 2" p.svg
    wte vector -m "$TINY" king queen --plot v.svg
    answered
    shows v.svg queen
    wte nearest -m "$TINY" --each king queen -k 3 --plot n.svg
    answered
    shows n.svg "A)"
    shows n.svg prince
    printf 'king\tqueen\nnorth\tsouth\n' > pairs
    run --separate-stderr bash -c '"$WTE" similarity -m "$1" - --plot s.svg < pairs' - "$TINY"
    answered
    shows s.svg "north – south"
    shows s.svg "random pairs"
    printf ': family\nking man queen woman\nking man prince boy\n' > questions
    wte eval analogies -m "$TINY" questions --plot e.svg
    [ "$status" -eq 0 ]
    shows e.svg family
    printf 'king\tqueen\t9\nking\tman\t7\nnorth\tsouth\t1\n' > judged
    wte eval pairs -m "$TINY" judged --plot j.svg
    answered
    shows j.svg "king – queen"
    grep -q "Spearman" j.svg
}

@test "the commands of a network draw" {
    wte next -m "$GPT2" -k 4 "the theory" --plot n.svg
    answered
    shows n.svg probability
    wte lens -m "$GPT2" "the theory" --plot l.svg
    answered
    shows l.svg layer
    wte attention -m "$GPT2" --layer 0 "the theory" --plot a.svg
    answered
    shows a.svg "head 1"
    wte generate -m "$GPT2" the --num-beams 3 --max-new-tokens 3 --plot t.svg --json
    answered
    shows t.svg prompt
}

@test "sizes, colours, title and limits are the figure's" {
    wte matrix -m "$TINY" king queen --plot m.png --width 4 --height 3 --dpi 100
    answered
    [ "$(head -c 24 m.png | tail -c 8 | od -An -tu1 | tr -s ' ')" = " 0 0 1 144 0 0 1 44" ]
    wte matrix -m "$TINY" king queen --plot m.svg --title 'A & B <x>' --limits -1,1 --dark
    answered
    shows m.svg "A &amp; B &lt;x&gt;"
    wte matrix -m "$TINY" king queen --plot other.svg --colormap viridis
    answered
    ! cmp -s m.svg other.svg
}

@test "figures that cannot be drawn say why" {
    wte matrix -m "$TINY" king queen --plot m.gif
    refused 2 ".svg .pdf .png"
    wte matrix -m "$TINY" king queen --plot nowhere/m.svg
    refused 1 "nowhere/m.svg"
    wte matrix -m "$TINY" king queen --title x
    refused 2 "--plot"
    wte matrix -m "$TINY" king queen --plot m.svg --limits 1,-1
    refused 2 "--limits"
    wte project -m "$TINY" -d 1 king queen man --plot p.svg
    refused 2 "two components"
    wte next -m "$GPT2" --distribution the --plot n.svg
    refused 2 "--distribution"
    [ ! -e m.svg ] && [ ! -e p.svg ]
}

@test "replay makes the same figure again, byte for byte" {
    for kind in svg pdf png; do
        "$WTE" matrix -m "$TINY" king queen 'no"such' man --plot "m.$kind" 2>/dev/null && return 1
        "$WTE" matrix -m "$TINY" king queen man --title "it's" --plot "m.$kind" > /dev/null
        cp "m.$kind" before
        wte replay "m.$kind"
        [ "$status" -eq 0 ]
        [[ "$stderr" == *"--title 'it'\\''s'"* ]]
        [[ "$stderr" == *"the same, byte for byte"* ]]
        cmp before "m.$kind"
        wte replay --dry-run "m.$kind"
        answered
        [[ "$output" == "wte matrix -m "* ]]
    done
    wte replay m.svg --to other.pdf
    [ "$status" -eq 0 ]
    [ "$(head -c 5 other.pdf)" = "%PDF-" ]
}

@test "replay tells what has changed" {
    cp "$TINY" mine.txt
    "$WTE" matrix -m mine.txt king queen man --plot m.svg > /dev/null
    sed -i 's/^king 1 /king 2 /; s/^king \([0-9]\) /king 9 /' mine.txt
    wte replay m.svg
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"not the same as before"* ]]
    [[ "$stderr" == *"mine.txt is not the file that the figure was made of"* ]]
}

@test "replay runs no command that writes other files, and no figure of others" {
    "$WTE" matrix -m "$TINY" king queen --plot m.svg -o m.npy
    rm m.npy
    wte replay m.svg
    refused 1 "also writes files (-o)"
    [ ! -e m.npy ]
    echo '<svg xmlns="http://www.w3.org/2000/svg"/>' > other.svg
    wte replay other.svg
    refused 1 other.svg
    wte replay missing.svg
    refused 1 missing.svg
    wte replay
    refused 2 FIGURE
}

@test "--as-python is the same in Python" {
    wte nearest -m "$TINY" king -n man -k 3 --as-python
    answered
    [[ "$output" == *"kv.most_similar(positive=[\"king\"], negative=[\"man\"], topn=3, restrict_vocab=None)"* ]]
    printf 'king 1 2\nqueen 2 1\n' > glove.txt
    wte similarity -m glove.txt king queen --as-python
    answered
    [[ "$output" == *'load_word2vec_format("'*'glove.txt", no_header=True)'* ]]
    "$WTE" convert -q -m "$TINY" -o layout.safetensors
    wte similarity -m layout.safetensors king queen --as-python
    refused 1 "wte convert -o FILE.bin"
    wte embedding --vocab 5 --dim 3 --seed 7 --ids 1,2 --as-python
    answered
    [[ "$output" == *"torch.nn.Embedding(5, 3)"*"torch.tensor([1,2])"* ]]
    wte generate -m "$GPT2" 'say "hi"' --num-beams 3 --do-sample --seed 4 --as-python
    answered
    [[ "$output" == *'text = "say \"hi\""'* ]]
    [[ "$output" == *"num_beams=3, do_sample=True)"* ]]
    for command in vector similarity distance analogy odd matrix project tokenize hidden \
        attention logits next perplexity lens; do
        wte $command -m "$GPT2" the theory of --as-python
        answered
        [[ "$output" == *from_pretrained* ]]
        [ -z "$(command -v python3)" ] || python3 -c 'import ast, sys; ast.parse(sys.stdin.read())' \
            <<<"$output"
    done
    wte fill -m "$BERT" "the [MASK]" --as-python
    answered
    [[ "$output" == *AutoModelForMaskedLM* ]]
}

# SPDX-License-Identifier: MIT
# install.bats - what `cmake --install` puts down works where it is put

load helpers

installed() {
    build=$(dirname "$WTE")
    [ -e "$build/cmake_install.cmake" ] || skip "$WTE is not in a build folder"
    command -v cmake >/dev/null || skip "no cmake"
    cmake --install "$build" --prefix "$PWD/usr" > log 2>&1 || { cat log; return 1; }
}

@test "the installed command finds the model that ships with it, also when moved" {
    installed
    mv usr elsewhere
    run --separate-stderr elsewhere/bin/wte info --json
    answered
    json '.name == "demo"'
    json ".path | startswith(\"$PWD/elsewhere/\")"
}

@test "man pages, completions, headers and libraries are there" {
    installed
    for file in share/man/man1/wte.1 share/man/man1/wte-nearest.1 include/wte/wte.h \
        share/bash-completion/completions/wte share/zsh/site-functions/_wte \
        share/fish/vendor_completions.d/wte.fish; do
        [ -s "usr/$file" ] || { echo "no $file"; return 1; }
    done
    find usr -name libwte.a | grep -q .
    find usr -name 'libwte.so*' | grep -q .
}

@test "a program builds with pkg-config, shared and static" {
    command -v pkg-config >/dev/null || skip "no pkg-config"
    command -v cc >/dev/null || skip "no cc"
    installed
    grep -q '^WTE_SANITIZE:.*=.' "$build/CMakeCache.txt" && skip "built with sanitizers"
    cat > program.c <<'END'
#include <stdio.h>
#include <wte/wte.h>
int main(int argc, char **argv)
{
    wte_space *space = NULL;
    wte_error err;
    float cosine = 0;

    if (argc != 2 || wte_space_open(argv[1], NULL, &space, &err) != WTE_OK ||
        wte_similarity(space, 0, 1, &cosine, &err) != WTE_OK)
        return 1;
    printf("%.4f\n", (double)cosine);
    wte_space_free(space);
    return 0;
}
END
    pc=$(dirname "$(find "$PWD/usr" -name wte.pc)")
    export PKG_CONFIG_PATH="$pc"
    cc program.c -o shared $(pkg-config --cflags --libs wte)
    [ "$(LD_LIBRARY_PATH="$(dirname "$pc")" ./shared "$TINY")" = 0.5556 ]
    rm "$(dirname "$pc")"/libwte.so*
    cc program.c -o static $(pkg-config --static --cflags --libs wte)
    [ "$(./static "$TINY")" = 0.5556 ]
}

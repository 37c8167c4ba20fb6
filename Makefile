# A thin front: CMake does the work. `make help` says what there is.
SHELL := /bin/sh
BUILD := build/release
WTE := $(BUILD)/wte
PREFIX ?= /usr/local
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

.PHONY: build demo check check-release check-asan check-tsan bench format install setup clean help

build: setup
	@cmake -S . -B $(BUILD) -DCMAKE_BUILD_TYPE=Release -DWTE_TESTS=OFF \
	    -DCMAKE_INSTALL_PREFIX=$(PREFIX) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@env -u MAKELEVEL -u MAKEFLAGS cmake --build $(BUILD) -j$(JOBS)

setup:
	@mkdir -p build
	@tools/setup.sh build

demo: build
	@tools/demo.sh $(WTE)

check: setup-check check-release check-asan check-tsan
	@echo "all suites passed: release, address and undefined-behaviour sanitizers, thread sanitizer"

.PHONY: setup-check
setup-check:
	@mkdir -p build
	@tools/setup.sh check

# The suite in three builds: as users get it, under ASan+UBSan, and what has threads under TSan.
check-release: setup-check
	@tools/run-suite.sh release Release ""
check-asan: setup-check
	@tools/run-suite.sh asan RelWithDebInfo address,undefined
check-tsan: setup-check
	@tools/run-suite.sh tsan RelWithDebInfo thread

bench: build
	@bench/run.sh
	@bench/tokenizers/run.sh
	@bench/network/run.sh
	@bench/generate/run.sh
	@bench/compare/run.sh

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

install: build
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build

help:
	@echo "make            build the command and the libraries into $(BUILD)"
	@echo "make demo       build, then show what wte does with the vectors that ship with it"
	@echo "make check      build and run every test, also under the sanitizers"
	@echo "make bench      time wte against gensim, other tokenizers, llama.cpp and torch, on files of real size"
	@echo "make install    install below PREFIX ($(PREFIX))"
	@echo "make format     format the sources with clang-format"
	@echo "make clean      delete build/"
	@echo "All of them install the Debian packages that are missing; elsewhere they name them."

# What a newcomer and the continuous integration both type. Each target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find native -name '*.[chi][pn][pl]')
SOUNDFONT := /usr/share/sounds/sf3/MuseScore_General_Lite.sf3

NPM := PATH=$(abspath $(BIN)):$$PATH npm --prefix web
NODE_MODULES := web/node_modules/.package-lock.json
# Two at most: each needs up to 2 GB of memory. See tests/support/scheduling.py.
# A process that crashes ends the run, since xdist may wait for ever for what it had left to do.
TWO_PROCESSES := --numprocesses logical --maxprocesses 2 --max-worker-restart 0 \
	--dist loadfile --no-loadscope-reorder
PAGE := src/timbrel/web/static/timbre-maps.json
PAGE_SOURCES := $(shell find web/src web/public -type f) $(wildcard web/*.json web/*.ts web/*.js web/*.html) \
	$(NATIVE) native/wasm/wavenet.mjs tools/build_wasm.py

.PHONY: demo test docs man page wheel sanitize wasm arm lint format bench fuzz clean help

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.runtime  ## Render the bundled MIDI files to out/
	$(BIN)/timbrel render src/timbrel/examples/prelude.mid src/timbrel/examples/duet.mid \
		-o out/ --force
	$(BIN)/timbrel render src/timbrel/examples/prelude.mid -o out/prelude-morph.wav --force \
		--timbre "0s grand piano; 20s church organ:0.6, harp:0.4; 40s vibraphone"

test: $(VENV)/.dev system $(PAGE)  ## Run all tests
	$(NPM) test
	$(BIN)/pytest $(TWO_PROCESSES)

page: $(PAGE)  ## Build the page into src/timbrel/web/static/

wheel: $(PAGE)  ## Build a wheel that holds the page into dist/, and test it in an environment of its own
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps -w dist .
	rm -rf build/wheel-test
	$(PYTHON) -m venv build/wheel-test
	build/wheel-test/bin/pip install --quiet dist/*.whl
	cd build && wheel-test/bin/python ../tools/check_wheel.py --page
	cd build && ../tools/without-network wheel-test/bin/python ../tools/check_wheel.py --only-page \
		|| [ $$? -eq 77 ]

docs: $(VENV)/.docs  ## Build the documentation's site into build/site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

man: $(VENV)/.runtime  ## Write a man page for each command into build/man/
	$(BIN)/python tools/make_man_pages.py build/man

sanitize: $(VENV)/.dev  ## Run the engine's C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(BIN)/cmake -S . -B build/sanitize -DTIMBREL_TESTS=ON -DTIMBREL_SANITIZE=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo
	$(BIN)/cmake --build build/sanitize --parallel 2
	build/sanitize/test_wavenet

wasm: $(VENV)/.dev  ## Build the engine as WebAssembly into build/wasm/ and test it in Node and Chromium
	@tools/install-system-packages wasm
	$(BIN)/python tools/build_wasm.py build/wasm
	$(BIN)/pytest tests/engine/test_wasm.py

arm: $(VENV)/.dev  ## Compile the engine for 64-bit ARM and run its C++ tests in an emulator
	@tools/install-system-packages arm
	$(BIN)/cmake -S . -B build/arm -DTIMBREL_TESTS=ON -DCMAKE_SYSTEM_NAME=Linux \
		-DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
	$(BIN)/cmake --build build/arm --parallel 2
	qemu-aarch64-static -L /usr/aarch64-linux-gnu build/arm/test_wavenet
	qemu-aarch64-static -cpu cortex-a53 -L /usr/aarch64-linux-gnu build/arm/test_wavenet

lint: $(VENV)/.dev $(NODE_MODULES)  ## Check style, types and that nothing is written twice
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $(NATIVE)
	$(BIN)/mypy
	$(BIN)/pylint --score=no --disable=all --enable=duplicate-code --min-similarity-lines=13 src/timbrel
	$(NPM) run check

format: $(VENV)/.dev $(NODE_MODULES)  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(NATIVE)
	$(NPM) run format

bench: $(VENV)/.dev system $(PAGE)  ## Measure speed and memory (some minutes); writes docs/bench/
	$(BIN)/python benchmarks/startup.py --output docs/bench/startup.json
	$(BIN)/python benchmarks/render.py --output docs/bench/render.json
	$(BIN)/python benchmarks/vocoders.py --output docs/bench/vocoders.json
	$(BIN)/python benchmarks/page.py --output docs/bench/page.json
	$(BIN)/python benchmarks/memory.py --output docs/bench/memory.json
	$(BIN)/python benchmarks/voices.py --output docs/bench/voices.json
	$(BIN)/python benchmarks/songs.py --output docs/bench/songs.json
	$(BIN)/timbrel bench wavenet --json > docs/bench/wavenet.json
	$(BIN)/python tools/update_readme.py

fuzz: $(VENV)/.dev  ## Feed ten thousand damaged files, and large ones, to the MIDI reader
	FUZZ_CASES=10000 $(BIN)/pytest tests/score/test_fuzz.py

.PHONY: system
system:
	@tools/install-system-packages

.PHONY: compiler
compiler:
	@tools/install-system-packages compiler

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# What the compiler makes of the engine is part of the installation.
$(VENV)/.runtime: pyproject.toml CMakeLists.txt $(NATIVE) | $(VENV)/bin/python compiler
	$(BIN)/pip install --quiet -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt CMakeLists.txt $(NATIVE) | $(VENV)/bin/python compiler
	$(BIN)/pip install --quiet -c constraints.txt -e '.[train,evaluate,cluster,dev,page,wasm]'
	$(BIN)/pip install --quiet --no-deps 'basic-pitch>=0.4,<0.5'
	@touch $@ $(VENV)/.runtime

$(VENV)/.docs: pyproject.toml | $(VENV)/.dev
	$(BIN)/pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

# The packages of the page's build, as the lock file says.
$(NODE_MODULES): web/package.json web/package-lock.json | $(VENV)/.dev
	$(NPM) ci
	@touch $@

$(PAGE): $(PAGE_SOURCES) tools/build_page.py $(wildcard src/timbrel/models/mel2mel*/SHA256SUMS) $(NODE_MODULES)
	$(BIN)/python tools/build_page.py

clean:  ## Remove what the targets made
	rm -rf web/node_modules src/timbrel/web/static $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

MIDI ?= ../shared/data/midi/piano-midi.de

NOTES ?= data/notes
NOTES_RUNS ?= runs/notes runs/notes-baseline runs/notes-classifier

.PHONY: results notes-results media
results: $(VENV)/.dev system  ## Measure the shipped models on MIDI=… (piano-midi.de); writes docs/
	$(BIN)/timbrel evaluate synthesis --midi $(MIDI) --soundfont $(SOUNDFONT) -o out/report \
		--vocoder parallel --vocoder griffin-lim --cache out/evaluation
	cp out/report/results.md out/report/results.json docs/
	$(BIN)/python tools/without_post_filter.py wavenet out/wavenet-alone
	$(BIN)/timbrel evaluate synthesis --midi $(MIDI) --soundfont $(SOUNDFONT) -o out/report-wavenet \
		--model mel2mel --vocoder wavenet --vocoder out/wavenet-alone --judge basic-pitch \
		--cache out/evaluation
	cp out/report-wavenet/results.md docs/results-wavenet.md
	$(BIN)/python tools/picture_report.py
	$(BIN)/python tools/picture_vocoder.py $(MIDI) $(SOUNDFONT) out/evaluation
	$(BIN)/python tools/update_readme.py

notes-results: $(VENV)/.dev  ## Measure the shipped models of notes on NOTES=… ('timbrel notes prepare')
	$(BIN)/timbrel notes evaluate $(NOTES) -o out/notes
	cp out/notes/notes.md docs/notes-results.md
	cp out/notes/notes.json docs/notes-results.json
	$(BIN)/python tools/picture_notes.py $(NOTES) out/notes $(NOTES_RUNS)

media: $(VENV)/.dev  ## Render the README's sounds and its picture
	$(BIN)/python tools/make_media.py

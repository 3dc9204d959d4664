# Thin: each target is one thing a person types.
.PHONY: run ui test test-ui test-desktop soak bench bench-micro counts bench-views bench-years bench-scroll fuzz fuzz-steps lint deny package test-package footprint setup

CARGO ?= cargo

run: ui ## build and start Tollgate: its window, or without a display `serve`
	sh tests/run.sh $(CARGO)

ui: ui/dist/index.html ## the pages, as the program embeds them

# Not `npm ci`: the lock file knows the compilers of the platforms it was made on only.
ui/node_modules/installed: ui/package-lock.json
	cd ui && npm install --no-save --silent --no-audit --no-fund
	touch $@

ui/dist/index.html: ui/node_modules/installed $(shell find ui/src ui/public ui/index.html ui/*.ts ui/*.js ui/*.mjs -type f)
	cd ui && npm run --silent build
	touch $@

setup: ## what tests need beyond Rust (Debian/Ubuntu, macOS)
	sh tests/setup.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Without network: make deny CHECKS="bans licenses sources".
deny: ## licences, sources, banned crates and known holes of everything that is linked (needs cargo-deny)
	$(CARGO) deny --locked --all-features check --hide-inclusion-graph $(CHECKS)

test: setup ui lint ## everything
	$(CARGO) build --locked --workspace --all-targets
	TOLLGATE_REQUIRE_SDKS=1 $(CARGO) test --locked --workspace
	$(MAKE) test-ui
ifeq ($(shell uname),Linux)
	$(MAKE) test-desktop
endif

test-ui: ui ## the pages in a real browser, against the program as it was built last
	cd ui && npm run --silent check && npm run --silent test
	cd tests/browser && npm test --silent

test-desktop: ui ## the window and the tray under a virtual display
	$(CARGO) clippy --locked --features desktop -- -D warnings
	$(CARGO) build --locked --features desktop
	sh tests/desktop/run.sh $(or $(CARGO_TARGET_DIR),target)/debug/tollgate

package: setup ui ## the app for this system, with checksums and what is in it, in target/package
	CARGO="$(CARGO)" sh package/make.sh

test-package: ## the .deb on a clean system: install, use, start at login, remove (minutes, root, Debian's archive)
	sh tests/desktop/package.sh target/package/*.deb

footprint: setup ui ## what the app costs in the tray (five idle minutes) and beside a bare Tauri window
	$(CARGO) build --release --locked --features desktop --bin tollgate --example bare
	sh tests/desktop/session.sh footprint.py $(or $(CARGO_TARGET_DIR),target)/release/tollgate $(or $(CARGO_TARGET_DIR),target)/release/examples/bare

# One fault alone: make soak FAULT=clock (docs/endurance.md lists them).
soak: ## every fault, for as long as it takes: about half an hour
	TOLLGATE_SOAK=1 $(CARGO) test --locked --test it -- --nocapture --test-threads 1 soak::$(FAULT)

bench: ## a table against named baselines; ARGS="--anyway" measures on a loaded machine too
	$(CARGO) run --release --locked -p bench -- $(ARGS)
	$(MAKE) bench-micro

bench-micro: ## what each format costs to read, by the megabyte and by the stream; rating; recording
	$(CARGO) run --release --locked -p bench --bin micro

counts: ## the same, and writes its counts into tests/bench/COUNTS.md (needs valgrind)
	$(CARGO) run --release --locked -p bench --bin micro -- --keep

bench-views: ## how long every question of the pages takes on a year of 1,000,000 receipts
	$(CARGO) run --release --locked -p bench --bin views

YEARS ?= target/years
bench-years: ## three years of 10,000,000 receipts (2.4 GB in YEARS): every question, writing, copying, export
	$(CARGO) build --release --locked -p bench
	test -e $(YEARS)/ledger.db || target/release/ledger $(YEARS) --receipts 10000000 --days 1095
	target/release/views $(YEARS)
	target/release/years $(YEARS)
	target/release/csv $(YEARS)

bench-scroll: ui ## how smoothly the log of 1,000,000 requests scrolls, by the browser's own trace
	$(CARGO) build --locked --bin tollgate
	$(CARGO) build --locked -p bench --bin ledger
	node tests/browser/scroll.mjs

fuzz: ## attacks every reader of outside bytes for FUZZ_SECONDS (default 60)
	$(CARGO) run --release --locked --manifest-path tests/fuzz/Cargo.toml

fuzz-steps: ## counts instructions for inputs and for ones twice as long (needs valgrind)
	$(CARGO) run --release --locked --manifest-path tests/fuzz/Cargo.toml --bin steps

# Thin: each target is one thing a person types.
.PHONY: run test soak bench fuzz lint package setup

CARGO ?= cargo

run: ## build and start Tollgate; prints its addresses
	$(CARGO) run --release --locked -- serve

setup: ## what tests need beyond Rust (Debian/Ubuntu, macOS)
	sh tests/setup.sh

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

test: setup lint ## everything
	$(CARGO) build --locked --workspace --all-targets
	TOLLGATE_REQUIRE_SDKS=1 $(CARGO) test --locked --workspace

soak: setup ## what takes longer: a hundred kills, half a gigabyte up
	TOLLGATE_SOAK=1 $(CARGO) test --locked --test it -- --nocapture soak

bench: ## a table against named baselines
	$(CARGO) run --release --locked -p bench

fuzz: ## attacks every reader of outside bytes for FUZZ_SECONDS (default 60)
	$(CARGO) run --release --locked --manifest-path tests/fuzz/Cargo.toml

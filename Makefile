.PHONY: help demo test check goals bench instructions test-attacks test-faults test-cluster test-schema test-openapi test-axe test-examples deny sbom

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

demo: ## the service and a local Plivo in one process: no Redis, no Plivo account
	@command -v cargo >/dev/null || { echo "make demo needs Rust: install it from https://rustup.rs, then try again" >&2; exit 1; }
	@scripts/need cc
	@echo "Builds the service (the first time about four minutes on two cores), runs it with a local Plivo, and prints the page to open."
	cargo run --locked -- demo

test: ## all tests; installs redis-server if it is missing; uses the SDKs of Plivo and Twilio if there are python3, node and npm; SEED=2 for other random inputs
	@scripts/need cc redis-server
	@scripts/sdk >/dev/null || true
	@scripts/sdk-node >/dev/null || true
	PROPTEST_RNG_SEED=$(or $(SEED),1) cargo test --locked

check: test ## the checks of CI before it builds the image (.ci/run)
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

goals: ## results of the adaptive policy on the training trace, next to its requirements and targets
	@scripts/need cc
	cargo test --locked --quiet --test replay goals:: -- --nocapture

bench: ## a decision with its allocations, commits a second, and the service beside a minimal handler and OTHER=name=http://host:port
	@scripts/need cc redis-server
	cargo bench --locked --bench decide --bench store --bench service

instructions: ## instructions of a creation and of a check, compared with tests/data/instructions.txt; PROFILE=release, BLESS=1 to record
	@scripts/need cc python3 redis-server valgrind
	scripts/instructions

test-attacks: ## the attacks in tests/attacks at full size, with figures; PROFILE=fast for comparable figures, ATTACKED=cluster for a Redis Cluster
	@scripts/need cc redis-server
	cargo test --locked --profile $(or $(PROFILE),dev) --test attacks -- --ignored --skip failovers:: --nocapture --test-threads=1

test-faults: ## twenty failovers of Sentinel and of a Cluster, planned, killed and frozen, under load, with figures; FAILOVERS=3 for fewer
	@scripts/need cc redis-server
	cargo test --locked --profile $(or $(PROFILE),dev) --test attacks failovers:: -- --ignored --nocapture --test-threads=1

test-cluster: ## deploy/cluster.yml and deploy/sentinel.yml under load, with a Redis primary and a replica of the service killed; needs Docker
	@scripts/need python3
	scripts/cluster

test-schema: ## valid and invalid requests generated from the OpenAPI document by schemathesis; EXAMPLES=1000 for more
	@scripts/need cc python3 python3-venv
	scripts/schema $(EXAMPLES)

test-openapi: ## validates and lints the OpenAPI documents; generated clients for TypeScript and Python drive a verification
	@scripts/need cc node npm python3 python3-venv
	scripts/openapi

test-axe: ## axe on the pages in tests/axe/pages.txt, in light, dark and on a phone; needs Chromium (CHROMIUM=… names one), Node and npm
	@scripts/need cc node npm
	scripts/axe

test-examples: ## starts each of examples/ against a demo, and signs up and in with it
	@scripts/need cc curl node npm python3 python3-venv
	scripts/examples

deny: ## checks licences, sources, bans and security advisories of all dependencies (deny.toml)
	@scripts/need cc
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	scripts/deny

sbom: ## a list of all dependencies in CycloneDX: target/phlo-2fa.cdx.json
	@scripts/need cc
	@command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx
	scripts/sbom

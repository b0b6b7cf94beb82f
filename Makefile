.PHONY: help demo test check goals bench test-attacks test-schema deny sbom

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1	\2/p' Makefile

demo: ## everything in one process: no Redis, no Plivo account
	@scripts/need cc
	cargo run --locked -- demo

test: ## all tests; what they need (redis-server) is installed when it is missing; Plivo's own SDK is tried where python3 is; SEED=2 for other inputs
	@scripts/need cc redis-server
	@scripts/sdk >/dev/null || true
	PROPTEST_RNG_SEED=$(or $(SEED),1) cargo test --locked

check: test ## what CI runs before it tries the image (.ci/run)
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

goals: ## what the adaptive policy reaches on the training trace, beside what it must and what it aims at
	@scripts/need cc
	cargo test --locked --quiet --test goals -- --nocapture

bench: ## what one decision, one event, one node and a replay cost
	@scripts/need cc
	cargo bench --locked --bench decide

test-attacks: ## the attacks of tests/attacks at full size, with their figures; PROFILE=fast for figures worth comparing, ATTACKED=cluster for a Redis Cluster
	@scripts/need cc redis-server
	cargo test --locked --profile $(or $(PROFILE),dev) --test attacks -- --ignored --nocapture --test-threads=1

test-schema: ## requests made from the API document, good and bad, by schemathesis; EXAMPLES=1000 for more
	@scripts/need cc python3 python3-venv
	scripts/schema $(EXAMPLES)

deny: ## licences, sources, bans and known advisories of all dependencies (deny.toml)
	@scripts/need cc
	@command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	scripts/deny

sbom: ## what the program is built of, as CycloneDX: target/phlo-2fa.cdx.json
	@scripts/need cc
	@command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx
	scripts/sbom

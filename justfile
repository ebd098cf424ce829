# Shortcuts for people who work on Packshot. Nothing here is needed to use it.

# Lint, types and unit tests: under two minutes.
quick:
    bin/test quick

# Everything that continuous integration runs.
check:
    bin/test

# Kill real processes, bounded.
chaos:
    bin/install main test
    .venv/bin/python -m pytest -q tests/chaos -m "not nightly"

# The long sweeps.
nightly:
    bin/install main test
    .venv/bin/python -m pytest -q tests -m nightly --timeout 3600

# Twelve bugs that cost money, planted one by one: each must turn tests red.
seeded-bugs *words:
    bin/install main test
    .venv/bin/python -m tests.seeded_bugs {{words}}

# Unit, contract and integration tests with a report of what they reach.
coverage:
    bin/install main test
    .venv/bin/python -m pytest -q -n 2 --cov --cov-report=term-missing:skip-covered tests/unit tests/contract tests/integration

# Format and mend what can be mended.
tidy:
    .venv/bin/ruff format .
    .venv/bin/ruff check --fix .

# Every benchmark; each prints one JSON line a figure and fails when a target is missed.
benchmarks:
    bin/install main test bench
    for file in $(grep -l "__main__" benchmarks/*.py); do .venv/bin/python "$file" || failed=1; done; [ -z "${failed:-}" ]

# Compile requirements/*.in to locked, hashed lists that name no index.
lock:
    bin/install main test
    for name in bootstrap main test dev bench; do .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "just lock" requirements/$name.in -o requirements/$name.txt; done

# The changelog of a release from the fragments in changes/.
changelog version:
    .venv/bin/uv tool run towncrier build --version {{version}} --yes

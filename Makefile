# Plain words for everything; each works on a fresh machine with Python 3.11 or later and make.

PYTHON ?= python3
BIN := .venv/bin
BASE := .venv/.base
READY := .venv/.ready
CODE := src tests bench scripts examples
SIM_SECONDS ?= 3600

.PHONY: conformance outages guard matrix chaos faults setup demo demo-proxy test unit lint fmt types cov fuzz sim mutants peers bench compiled protocol-docs clean

setup: $(READY)

$(BASE): pyproject.toml constraints.txt scripts/setup.sh
	PYTHON=$(PYTHON) bash scripts/setup.sh base
	@touch $(BASE)

$(READY): $(BASE)
	bash scripts/setup.sh programs
	@touch $(READY)

# The first half of setup does for it: nobody waits for a browser to see a demo.
demo: $(BASE)
	$(BIN)/python -m scripts.demo

demo-proxy: $(BASE)
	$(BIN)/python -m scripts.demo_proxy

test: setup
	$(BIN)/python -m pytest

unit: setup
	$(BIN)/python -m pytest tests/unit

lint: $(BASE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

fmt: $(BASE)
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

types: $(BASE)
	$(BIN)/mypy

cov: setup
	$(BIN)/python -m pytest --cov=underpass --cov-branch --cov-report=term tests/unit tests/house tests/malformed tests/spellings

fuzz: SECONDS ?= 60
fuzz: setup
	$(BIN)/python -m tests.fuzz.fuzz_http --seconds $(SECONDS)

# Two sessions and the worst of networks: SEEDS of them over all processors, within SIM_SECONDS.
sim: SEEDS ?= 10000
sim: setup
	$(BIN)/python -m tests.simulation.run --seeds $(SEEDS) --seconds $(SIM_SECONDS)

# Seeded defects, one after the other: do the tests tell? About ten minutes.
mutants: setup
	$(BIN)/python -m tests.mutants.run

# BYTES each way at once over each carrier, hashed at either end. A quarter of an hour, most of it `get`.
conformance: BYTES ?= 1000000000
conformance: setup
	$(BIN)/python -m tests.conformance.run --bytes $(BYTES)

# Every carrier through every hostile box; writes docs/middleboxes.md.
matrix: setup
	$(BIN)/python -m tests.matrix.run

# Every carrier cut every 2 s, under streams whose every byte is checked, for SECONDS in all.
chaos: SECONDS ?= 600
chaos: setup
	$(BIN)/python -m tests.chaos.run --seconds $(SECONDS)

# Clients suspended, networks gone, addresses changed, servers reloaded: for SECONDS each.
outages: SECONDS ?= 60
outages: setup
	$(BIN)/python -m tests.chaos.outages --seconds $(SECONDS)

# SEEDS schedules of faults for each carrier.
faults: SEEDS ?= 1000
faults: setup
	$(BIN)/python -m tests.chaos.faults --seeds $(SEEDS)

peers: setup
	$(BIN)/python -m bench.peers install

# All scenarios, with the core that an ordinary install brings. A peer that can't be had is left out,
# and the run says so. About an hour; it ends with docs/performance.md and its pictures.
# underpass is measured as an ordinary install brings it: compiled where there is a C compiler.
bench: setup
	-$(BIN)/python -m bench.peers install
	-$(BIN)/python -m scripts.compile_core
	PYTHONPATH=$(CURDIR)/build/compiled $(BIN)/python -m bench.run

# Has it become slower? Ratios to a bare relay of the same minute; half a minute.
guard: setup
	$(BIN)/python -m bench.guard

# The session core as an ordinary install brings it (docs/decisions/007), and its tests on it: those
# of make test run on the sources. Left out is tests/simulation/test_broken.py: it puts functions in
# the place of others, which compiled code does not look for.
compiled: setup
	$(BIN)/python -m scripts.compile_core
	PYTHONPATH=build/compiled $(BIN)/python -m pytest tests/unit/protocol tests/simulation/test_simulation.py \
		--ignore=tests/unit/protocol/http

# The tables of states in docs/protocol.md, from the code.
protocol-docs: $(BASE)
	$(BIN)/python -m scripts.protocol_docs

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis bench/bin bench/peers

# `make demo` and `make test` do all set-up themselves; the only needs are Python 3.11+ and make.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Real repositories that `make test` loads; `make realworld` loads them all.
GATE_REPOSITORIES := internlm2 tinytimemixer nicheformer
# Loading is timed and compared bit for bit: one thread, and nothing that asks the network.
RUN := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_DISABLE_TELEMETRY=1

.PHONY: setup demo test check realworld reach attack bench bench-hashing interop mutate test-matrix fuzz fuzz-worker worker-loads processes launch-ray attack-kernel build clean

setup: $(READY)

$(READY): pyproject.toml requirements-test.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet -r requirements-test.txt
	$(BIN)/python -m pip install --quiet -e .
	$(BIN)/python tests/realworld/run.py --assemble-only $(GATE_REPOSITORIES)
	@touch $@

demo: $(READY)
	@$(RUN) $(BIN)/python -m demo

check: $(READY)
	$(BIN)/ruff check safe_remote_code tests demo benchmarks tools
	$(BIN)/ruff format --check safe_remote_code demo benchmarks tools
	$(BIN)/mypy

test: check
	$(RUN) HF_HUB_OFFLINE=1 $(BIN)/python -m pytest tests

realworld: $(READY)
	$(RUN) $(BIN)/python tests/realworld/run.py --audit

# The crawler over everything that guarded code can reach; part of `make test` too.
reach: $(READY)
	$(RUN) $(BIN)/python -m pytest tests/reach

attack: $(READY)
	$(RUN) $(BIN)/python -m tests.attack.run

bench: $(READY)
	$(RUN) $(BIN)/python -m benchmarks

# Hashing of whole models against `find | xargs -P sha256sum`, on files in the page cache.
bench-hashing: $(READY)
	$(BIN)/python -m benchmarks.hashing

# Model signatures both ways with the tool of the OpenSSF; pyOpenSSL is a dependency that it forgets to name.
interop: $(READY)
	test -x .venv-oms/bin/model_signing || { $(PYTHON) -m venv .venv-oms && \
		.venv-oms/bin/python -m pip install --quiet model-signing==1.1.1 pyOpenSSL==26.4.0; }
	cd tests && PYTHONPATH=..:. ../$(BIN)/python -m signing.interop ../.venv-oms/bin/model_signing

# Mutation testing of identity and trust; an hour or more. `.venv-mutate/bin/mutmut results` lists what survived.
mutate: $(READY)
	test -x .venv-mutate/bin/mutmut || { $(PYTHON) -m venv .venv-mutate && \
		.venv-mutate/bin/python -m pip install --quiet mutmut==3.8.1 pytest==9.2.0 hypothesis jsonschema . ; }
	.venv-mutate/bin/mutmut run

test-matrix:
	PYTHON="$(PYTHON)" tools/test_matrix.sh

fuzz: $(READY)
	$(BIN)/python -m tests.property.fuzz

# A hostile worker that says anything, 100,000 times.
fuzz-worker: $(READY)
	$(RUN) HF_HUB_OFFLINE=1 $(BIN)/python -W ignore -m tests.worker.fuzz --messages 100000

# 200 models loaded in a worker and dropped, without a process, descriptor, memory file or folder too many.
worker-loads: $(READY)
	$(RUN) HF_HUB_OFFLINE=1 WORKER_LOADS=200 $(BIN)/python -m pytest tests/worker/test_faults.py -k loads_and_unloads

# 32 processes that load the same repository at once, in place and in a worker each, on a cold and on a read-only cache.
processes: $(READY)
	$(RUN) HF_HUB_OFFLINE=1 PROCESSES=32 $(BIN)/python -m pytest tests/integration/test_concurrency.py tests/worker/test_faults.py -k together

# Ray under the launcher; its libraries stay out of the environment of the other tests.
launch-ray: $(READY)
	test -d build/ray || $(BIN)/python -m pip install --quiet --target build/ray ray==2.60.0
	PYTHONPATH=build/ray $(BIN)/python -m pytest tests/launch -k tasks_of_ray

# The attack body with no wall but the kernel, under the launcher and in a worker, and without that too; some seconds a fixture.
attack-kernel: $(READY)
	$(RUN) $(BIN)/python -m tests.attack.run --mode guarded --settings none launcher worker

build: $(READY)
	$(BIN)/python -m pip wheel --quiet --no-deps -w dist .

clean:
	rm -rf $(VENV) build dist

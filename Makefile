# demo · test · test-slow · test-cluster · bench · storm · rollouts · images · screenshots · generate · lint
#
# Each sets up what it needs in .venv, once.
#
#   PYTHON=python3.12 make demo      another Python (3.11 or newer)
#   TORCH_INDEX=URL make demo        take PyTorch from this index: without an NVIDIA GPU, PyTorch's CPU index (see README)
#   MYNAH_TEST_CONTEXT=… make test-cluster    which cluster to test on (see tests/cluster/with-cluster)
#   make bench PART=startup          how soon the command is there, beside what it cannot do without
#   make bench PART=listening        how well and how fast sources are read, beside the libraries they rest on
#   make bench PART=datasets         how fast texts become a dataset, beside datasketch
#   make bench PART=speaking         how fast the model server writes, beside other libraries
#   make bench PART=seeds            what a request with a seed costs, and how soon a bot of a pool answers
#   make bench PART=fleet            what 200 bots ask of a cluster, in each way to serve them
#   make bench PART=playing          how light the Play page is, how soon known and new prompts are answered
#   make bench PART=posting          how soon a text is posted, and how soon Postgres answers with 100,000 tweets
#   make bench PART=sentiment        how well the sentiment of texts is told, beside VADER
#   make bench PART=learning         how fast and how well models learn, beside transformers' Trainer
#   make bench PART=training_memory  the memory that a training and an export take at the most
#   make bench PART=prefer           what three made curators like, before and after `mynah prefer`
#   make bench PART=ranking          how soon the list of candidates shows what curators like
#   make bench PART=toxicity         how well coarse texts are told, and how many names are taken for such
#   make bench PART=recitation       how many copied texts are found, how many new ones are taken for such
#   make storm N=1000 SERVICE=x      posters that are killed, while X (mastodon, bluesky; all three) is at its worst
#   make rollouts N=20               new models on a cluster under load: how many requests are lost

PYTHON      ?= $(shell command -v python3.11 || command -v python3)
TORCH_INDEX ?=
VENV        := .venv
BIN         := $(VENV)/bin
# Most of what is installed is never imported; what is, is compiled then, and must be kept.
PIP         := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
LOCKED      := pyproject.toml constraints.txt requirements-no-deps.txt
# Docker where its engine answers, else buildah.
BUILDER      = $(shell docker version >/dev/null 2>&1 && echo docker || echo buildah)
BENCHES      = startup listening datasets speaking seeds fleet playing sentiment prefer training_memory toxicity recitation \
               ranking posting learning
VERSION      = $(shell sed -n 's/^appVersion: *//p' charts/mynah/Chart.yaml)

unexport PYTHONDONTWRITEBYTECODE
export OMP_NUM_THREADS ?= $(shell getconf _NPROCESSORS_ONLN)

.PHONY: demo test test-slow test-cluster cluster-tests bench storm rollouts images screenshots generate lint check-python clean

demo: $(VENV)/all.stamp
	@$(BIN)/mynah run bots/fortune.yaml

# On several cores, a thread for each; a file's tests stay together, with what they share.
test: $(VENV)/dev.stamp
	@$(MAKE) --no-print-directory lint
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -m 'not slow' --ignore tests/cluster -n logical --maxprocesses 4 --dist loadfile

# What is killed at random moments, and small forms of the storm.
test-slow: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest tests -m slow --ignore tests/cluster

bench: $(VENV)/dev.stamp $(if $(filter speaking,$(PART)),$(VENV)/peers.stamp)
	@test -f "tests/bench/$(PART).py" || { echo "make bench PART=…; there are: $(BENCHES)" >&2; exit 2; }
	@PYTHONPATH=$(VENV)/peers $(BIN)/python -m tests.bench.$(PART)

storm: $(VENV)/dev.stamp
	@$(BIN)/python -c 'from tests.bench.storm import main; main()' $(or $(N),1000) $(SERVICE)

rollouts: $(VENV)/dev.stamp
	@MYNAH_TEST_ROLLOUTS=$(or $(N),20) tests/cluster/with-cluster $(BIN)/python -m pytest tests/cluster/test_6_promotion.py -k rollouts --timeout 7200

# On a real cluster, which with-cluster starts and ends; says so and does nothing where there is none.
test-cluster:
	@tests/cluster/with-cluster $(MAKE) --no-print-directory cluster-tests

cluster-tests: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest tests/cluster --timeout 1800 --durations 0 --durations-min 1

# As the chart asks for them by default.
images:
	@set -e; builder=$(BUILDER); for part in jobs training serving; do \
	  BUILDAH_LAYERS=true $$builder build $(if $(TORCH_INDEX),--build-arg TORCH_INDEX=$(TORCH_INDEX)) --target $$part -t mynah/$$part:$(VERSION) .; \
	done; \
	for part in jobs training serving; do \
	  echo "mynah/$$part:$(VERSION)  $$($$builder images --format '{{.Size}}' mynah/$$part:$(VERSION) | head -1)"; \
	done

# The pictures of the Play page in docs/images; needs chromium and the typeface Inter (Debian: chromium, fonts-inter).
screenshots: $(VENV)/dev.stamp
	@$(BIN)/python -m tests.serving.tweets.screenshots

# What is made from mynah/bot/: the chart's schema and defaults, the bot file's reference and its schema for editors.
generate: $(VENV)/dev.stamp
	@$(BIN)/python -m mynah.bot.generated

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/helm lint --quiet charts/mynah -f bots/fortune.yaml

$(VENV)/all.stamp $(VENV)/dev.stamp: $(VENV)/%.stamp: $(LOCKED) | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing mynah[$*] into $(VENV) (once; a few minutes, 2.5 GB on disk, 6 GB with CUDA)"
	@$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	@$(PIP) -c constraints.txt -e '.[$*]'
	@$(PIP) --no-deps -r requirements-no-deps.txt
	@touch $@

$(VENV)/peers.stamp: tests/bench/peers.txt $(VENV)/dev.stamp
	@$(PIP) --no-deps --upgrade --target $(VENV)/peers -r tests/bench/peers.txt
	@touch $@

check-python:
	@test -n "$(PYTHON)" || { echo "mynah needs Python 3.11 or newer: install it, or set PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "mynah needs Python 3.11 or newer, and $(PYTHON) is older: set PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
	  || { echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }

clean:
	rm -rf $(VENV) .mynah

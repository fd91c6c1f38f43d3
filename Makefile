# Every command that a person or CI types. `make` sets up .venv and runs the pipeline; `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := pipeline
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
unexport PYTHONPATH PYTHONHOME

CODE := src api deploy tests benchmarks

.PHONY: pipeline setup setup-test test test-fast check format lock plots serve compare sweep notebook mlflow wandb promote image verify release-model push-image report gate lock-check lock-rebuild ci-data ci-packages ci-result bench clean help

pipeline: setup  ## set up .venv, run the pipeline, show the result
	@mlops params check
	dvc repro
	@dvc plots show --quiet >/dev/null
	@mlops metrics

setup: $(VENV)/.installed  ## only set up .venv

setup-test: $(VENV)/.installed-test  ## set up what tests and checks need too

$(VENV)/.installed: requirements.txt pyproject.toml .ci/install
	@.ci/install $(VENV) requirements.txt
	@python -m mlops.plots_page
	@if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then mlops merge-driver install --quiet; fi
	@touch $@

$(VENV)/.installed-test: tests/requirements.txt $(VENV)/.installed
	@.ci/install $(VENV) tests/requirements.txt
	@touch $@

$(VENV)/.installed-notebook: deploy/project/notebook.txt $(VENV)/.installed
	@.ci/install $(VENV) deploy/project/notebook.txt
	@jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements 2>/dev/null  # it would ask the network
	@touch $@

$(VENV)/.installed-mlflow $(VENV)/.installed-wandb: $(VENV)/.installed-%: deploy/trackers/%.txt $(VENV)/.installed
	@.ci/install $(VENV) deploy/trackers/$*.txt
	@touch $@

test: setup-test  ## all tests
	pytest -n auto --dist loadfile --no-loadscope-reorder

test-fast: setup-test  ## tests without whole pipelines
	pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow"

check: setup-test  ## style, types, locks, workflows
	ruff check $(CODE)
	ruff format --check $(CODE)
	mypy
	.ci/locks
	actionlint -shellcheck= -pyflakes=
	zizmor --offline --quiet .github
	check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	check-jsonschema --quiet --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml

format: setup-test  ## mend style
	ruff check --fix $(CODE)
	ruff format $(CODE)

lock: setup  ## write every lock anew from pyproject.toml and the .in files (needs uv)
	.ci/locks --write

plots: setup  ## write dvc_plots/index.html
	dvc plots show

compare: setup  ## all experiments, the best first
	@mlops compare

sweep: setup  ## try settings, TRIALS of them (100), and learn from each where to look next
	@mlops sweep --trials "$${TRIALS:-100}"

notebook: setup $(VENV)/.installed-notebook  ## open notebooks/quickstart.ipynb in JupyterLab (PORT), once the pipeline has run
	@[ -e data/features/test.parquet ] || dvc repro
	jupyter lab --ip=127.0.0.1 --port="$${PORT:-8888}" --ServerApp.root_dir="$(CURDIR)" $$([ "$$(id -u)" != 0 ] || echo --allow-root) \
	  --LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb

mlflow: setup $(VENV)/.installed-mlflow  ## all experiments and versions in MLflow's own UI, on http://127.0.0.1:5000 (PORT)
	@deploy/trackers/install .venv-mlflow deploy/trackers/mlflow-server.txt
	@mlops export mlflow --serve --watch 30 --port "$${PORT:-5000}"

wandb: setup $(VENV)/.installed-wandb  ## all experiments as offline runs of Weights & Biases
	@mlops export wandb

promote: setup  ## promote the best experiment by policy.yaml's metric, if the gate lets it
	mlops promote --best

serve: setup  ## run the API on http://127.0.0.1:8000, following the tags (settings: docs/service.md)
	mlops sync --watch 2 --run python -m api

image: setup  ## build the API's container image (IMAGE, VERSION, SOURCE), the model baked in, labelled with commit and model digest
	digest=$$(python deploy/bake.py models) && DOCKER_BUILDKIT=1 docker build -f api/Dockerfile -t "$${IMAGE:-churn-api}" \
	  --build-arg COMMIT="$$(git describe --always --abbrev=40 --dirty --exclude='*')" --build-arg MODEL_DIGEST="$$digest" \
	  --build-arg VERSION="$${VERSION:-unknown}" --build-arg SOURCE="$${SOURCE:-}" .

verify: setup  ## rebuild VERSION and compare; fails unless all its numbers come out again, to 1e-6
	mlops verify "$$VERSION" || [ $$? -eq 3 ]

release-model: setup  ## put the model of STAGE where the image takes it from: out of the DVC remote, else made again
	mlops sync --stages "$$STAGE" || { dvc repro && mlops sync --stages "$$STAGE"; }

push-image:  ## push IMAGE (a name with a registry and a tag), and say how to deploy just that
	@.ci/push "$$IMAGE"

report: setup  ## is this branch better than main? what its pull request will say
	@mlops report

gate: setup  ## may this branch be merged into main? by policy.yaml
	@mlops gate

lock-check: setup  ## does dvc.lock belong to the commit's code, params and data? from Git alone
	@mlops lock check

lock-rebuild: setup  ## does the commit's code make what dvc.lock says? runs the pipeline in an empty folder
	@mlops lock check --rebuild

ci-data: setup  ## what HEAD and its merge base made: from DVC's cache or remote, else made again
	@mlops lock fetch || [ $$? -eq 2 ]  # the report says what that means

ci-packages:  ## install the programs that tests start (Debian, as root)
	@.ci/packages

ci-result:  ## fail unless every one of RESULTS is success
	@.ci/result "$$RESULTS"

bench: setup-test  ## measure; see docs/benchmarks.md
	python -m benchmarks

clean:  ## remove .venv and what tools cached; data and models stay
	rm -rf $(VENV) .venv-clients .venv-mlflow dvc_plots .mypy_cache .pytest_cache .ruff_cache .hypothesis

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

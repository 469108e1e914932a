# Every command of the project. `make help` lists them; STACK=local unless given.
STACK  ?= local
PYTHON ?= python3
Q      ?=
TEXT   ?=
LINES  ?= 40

venv   := .venv/bin/python
stack  := $(venv) -m tools.stack --stack $(STACK)

.DEFAULT_GOAL := help
.PHONY: help environment up preview refresh down destroy clean outputs ask say logs test test-bootstrap bench bench-cold lint format lock

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: ## Set up what the other commands need (they call it themselves)
	@$(PYTHON) tools/bootstrap/__main__.py --also "model=.venv/bin/python -m app.models"

up: environment ## Deploy the stack, ask it a question, try a task
	@$(stack) up

preview: environment ## Show what an up would change
	@$(stack) preview

refresh: environment ## See what is really there: dead, changed or unhealthy parts
	@$(stack) refresh

down: environment ## Remove all that the stack made
	@$(stack) down

destroy: down

clean: ## Remove the stack too, its passphrase and the virtual environment
	@if [ -x $(venv) ]; then $(stack) clean; fi
	@rm -rf .venv .state *.egg-info
	@echo "Clean. The shared cache stays: $${XDG_CACHE_HOME:-~/.cache}/assistant-stack"

outputs: environment ## The stack's outputs as JSON (SECRETS=1 shows the secrets)
	@$(stack) outputs $(if $(SECRETS),--secrets)

ask: environment ## Ask a question: make ask Q="What is the capital of France?"
	@$(stack) ask "$$QUESTION"

say: environment ## Send a signed event and show its way: make say TEXT="创建一个周会的日程在2026-12-01"
	@$(stack) say "$$SENTENCE"

logs: environment ## The last lines of each process (LINES=40; FOLLOW=1 goes on)
	@$(stack) logs --lines $(LINES) $(if $(FOLLOW),--follow)

test: environment ## All tests, lint included; seconds of each suite, and a closing table
	@$(venv) -m tools.suites $(SUITES)

test-bootstrap: environment ## The set-up from nothing: empty HOME, cache and PATH (up to 10 minutes)
	@$(venv) -m pytest -q tests/bootstrap -m bootstrap

bench: environment ## Speed and memory, side by side, into docs/performance.md
	@$(venv) -m tests.bench

bench-cold: ## Clone to first answer, with the CLI cached and with nothing but the registries
	@$(PYTHON) tests/bench/cold.py

lint: environment ## ruff and mypy
	@$(venv) -m tools.suites lint

format: environment ## Format the code and sort the imports
	@$(venv) -m ruff check --fix --quiet . ; $(venv) -m ruff format .

lock: environment ## Write requirements/*.lock anew from pyproject.toml
	@$(venv) tools/lock.py

# Handed over through the environment: quotes, dollar signs and backticks in a sentence stay text.
ask: export QUESTION = $(value Q)
say: export SENTENCE = $(value TEXT)

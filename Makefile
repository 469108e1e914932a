# Every command of the project. `make help` lists them; STACK=local unless given.
STACK  ?= local
PYTHON ?= python3
Q      ?=
TEXT   ?=
ROTATE ?=
MODEL  ?=
BASE   ?= origin/main
LABELS ?=
REVIEWS ?= .state/reviews
REPORTS ?= .state/reviews
LINES   = 40
KEY    ?=
VALUE  ?=

venv   := .venv/bin/python
stack  := $(venv) -m tools.stack --stack $(STACK)
aws    := $(venv) -m tools.aws --stack $(STACK)
operate := $(venv) -m tools.operate --stack $(STACK)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help environment up preview refresh down destroy clean outputs set ask say logs forward cluster cluster-down images compose-up \
        compose-down bootstrap preflight costs secrets model-pin orphans evidence export rehearse review review-comment drift drift-issue deploy \
        dead-letters audit-verify doctor connect demo \
        test test-cluster test-cloud test-bootstrap compare-policies mutate-policies bench bench-cold lint lint-workflows format lock

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

environment: ## Set up what the other commands need (they call it themselves)
	@$(PYTHON) tools/bootstrap/__main__.py --also "model=.venv/bin/python -m app.models"

up: environment ## Deploy the stack, ask it a question, try a task (UNPROTECT=1 lets the protection be taken off, before a down)
	@$(stack) up $(if $(filter 1,$(UNPROTECT)),--unprotect)

preview: environment ## Show what an up would change (STRICT=1: a grave rule's doubt fails it too)
	@$(stack) preview $(if $(filter 1,$(STRICT)),--strict)

refresh: environment ## See what is really there: dead, changed or unhealthy parts
	@$(stack) refresh

down: environment ## Remove all that the stack made
	@$(stack) down

destroy: down

clean: environment ## That, the stack itself and, with the last one, its passphrase and the virtual environment
	@$(stack) clean

outputs: environment ## The stack's outputs as JSON (SECRETS=1 shows the secrets)
	@$(stack) outputs $(if $(filter 1,$(SECRETS)),--secrets)

ask: environment ## Ask a question: make ask Q="What is the capital of France?"
	@$(stack) ask -- "$$QUESTION"

say: environment ## Send a signed event and show its way: make say TEXT="创建一个周会的日程在2026-12-01"
	@$(stack) say -- "$$SENTENCE"

set: environment ## Change a setting: make set KEY=ports.gateway VALUE=9443 (docs/configuration.md)
	@$(stack) set -- "$$SETTING" "$$WANTED"

logs: environment ## The last lines of each process (LINES=40; FOLLOW=1 goes on)
	@$(stack) logs --lines $(LINES) $(if $(filter 1,$(FOLLOW)),--follow)

dead-letters: environment ## What waits for a person (KEY=… shows one, REPLAY=… queues it again, DISCARD=… forgets it)
	@$(operate) dead-letters --key="$$ASIDE_KEY" --replay="$$ASIDE_REPLAY" --discard="$$ASIDE_DISCARD" \
	  $(if $(STATE),--state='$(STATE)') $(if $(LIMIT),--limit='$(LIMIT)') $(if $(filter 1,$(JSON)),--json)

audit-verify: environment ## Is the audit log whole? Names what was edited, deleted, reordered or cut off (docs/audit.md)
	@$(operate) audit-verify

doctor: environment ## What is wrong with the stack, and what to do (ONLY=queue one check; ALL=1 shows what is well too; JSON=1)
	@$(venv) -m tools.doctor --stack $(STACK) $(if $(ONLY),--only '$(ONLY)') $(if $(filter 1,$(ALL)),--all) $(if $(filter 1,$(JSON)),--json)

connect: environment ## Connect Slack, Feishu or Lark, step by step: make connect PLATFORM=slack (docs/platforms/README.md)
	@$(venv) -m tools.connect --stack $(STACK) --platform="$$CONNECT_PLATFORM" --transport="$$CONNECT_TRANSPORT" --to="$$CONNECT_TO" \
	  $(if $(filter 1,$(UP)),--up) $(if $(filter 1,$(TRY)),--try) $(if $(WAIT),--wait '$(WAIT)')

demo: environment ## Watch a conversation, the platform played: make demo PLATFORM=feishu (STAY=1 takes what you type)
	@$(venv) -m tools.demo "$$DEMO_PLATFORM" $(if $(filter 1,$(STAY)),--stay) $(if $(filter 1,$(PLAYED)),--played)

forward: environment ## Keep a cluster's gateway reachable at https://localhost:8443 until ^C (STACK=cluster; PORT=… another)
	@$(stack) forward $(if $(PORT),--port $(PORT))

cluster: environment ## A real Kubernetes on this machine (kind, or from Go modules and Debian packages), for trying and for tests
	@$(venv) -m tools.kubernetes up

cluster-down: environment ## Remove it, and all that it left on this machine
	@$(venv) -m tools.kubernetes down

bootstrap: environment ## On AWS: a bucket and a KMS key for the stack's state (STACK=prod); again makes what is missing
	@$(aws) bootstrap

costs: environment ## On AWS: what the stack is going to cost a month, line by line (STACK=prod)
	@$(aws) costs

preflight: environment ## On AWS: what an up presupposes (account, zone, quotas, versions), and whether it is there
	@$(aws) preflight

secrets: environment ## On AWS: give each secret that has none a value (ROTATE=api_key,… a new one; SHOW=1 shows the platform's)
	@$(aws) secrets $(if $(ROTATE),--rotate '$(ROTATE)') $(if $(filter 1,$(SHOW)),--show)

model-pin: environment ## Write revision and digest of the hub's model into the stack's file (MODEL=hf:owner/repository#file.gguf another)
	@$(aws) model-pin $(if $(value MODEL),--source "$$PINNED_MODEL")

orphans: environment ## On AWS: what a destroyed stack has left in the account
	@$(aws) orphans

review: environment ## What this change would do to a stack: make review STACK=prod BASE=origin/main LABELS="…" (docs/ci.md)
	@$(venv) -m tools.review --stack $(STACK) review --base "$$REVIEW_BASE" --labels "$$REVIEW_LABELS"

drift: environment ## Whether what a stack has made is still as its state says; changes nothing
	@$(venv) -m tools.review --stack $(STACK) drift

review-comment: ## In CI: the reviews in a folder as comments on a pull request, by gh (REVIEWS=… PULL_REQUEST=…)
	@$(PYTHON) -m tools.review.posting comment "$(REVIEWS)"

drift-issue: ## In CI: the reports of drift in a folder as issues, by gh (REPORTS=…)
	@$(PYTHON) -m tools.review.posting issue "$(REPORTS)"

deploy: preflight up ## On AWS, for pipelines: what an up presupposes, the up itself, a question and a task (STACK=prod)

evidence: environment ## What an auditor wants of the stack, from a preview or STATE=exported.json (docs/evidence.md)
	@$(venv) -m policies.evidence --stack $(STACK) $(if $(STATE),--state '$(STATE)')

export: environment ## The stack's state into a file, its secrets encrypted: make export STACK=prod FILE=state.json
	@$(stack) export --file '$(or $(FILE),.state/exported/$(STACK).json)'

rehearse: environment ## The whole life of an AWS stack without an account (STACK=prod), and a report of it
	@$(venv) -m tools.rehearsal --stack $(STACK)

images: environment ## Build the container images (TARGET=gateway builds one)
	@$(venv) -m tools.images build $(if $(TARGET),--target $(TARGET))

compose-up: environment ## The assistant in containers on this machine, by app/compose.yaml (docs/images.md)
	@$(venv) -m tools.compose up

compose-down: environment ## Stop them (VOLUMES=1 forgets the model, the queue and the certificate as well)
	@$(venv) -m tools.compose down $(if $(filter 1,$(VOLUMES)),--volumes)

test: environment ## All tests that need neither root nor a cluster, lint included; seconds of each suite, and a closing table
	@$(venv) -m tools.suites $(SUITES)

test-cluster: environment ## The stack on a real Kubernetes, and compose.yaml: root, about 8 minutes once all is built
	@$(venv) -m tools.images engine --install
	@$(venv) -m tools.images build > /dev/null
	@$(venv) -m tools.suites "api server" cluster "plugin and compose"

test-cloud: environment ## The AWS stacks through their lives, by stand-ins (ALL=1: failing at every resource; SEED=… at others)
	@$(venv) -m tools.suites cloud

test-bootstrap: environment ## The set-up from nothing: empty HOME, cache and PATH (up to 10 minutes)
	@$(venv) -m pytest -q tests/bootstrap -m bootstrap

compare-policies: environment ## The policy pack beside Checkov, on the same stacks, into docs/policies-and-checkov.md (needs PyPI)
	@$(venv) tests/peers/rendered.py .state/rendered
	@$(venv) -m tools.peers.checkov $(foreach stack,prod serverless cluster,.state/rendered/$(stack).json)

mutate-policies: environment ## Change the policy rules one by one: do their tests notice? (ONLY="iam pods"; SAMPLE=200 SEED=1)
	@$(venv) -m tools.mutation $(ONLY) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

bench: environment ## Speed and memory, side by side, into docs/performance.md
	@$(venv) -m tests.bench

bench-cold: environment ## Clone to first answer, with the CLI cached and with nothing but the registries
	@$(PYTHON) tests/bench/cold.py

lint: environment ## ruff, mypy, and what is wrong with the workflows of continuous integration
	@$(venv) -m tools.suites lint

lint-workflows: environment ## The workflows alone, and by actionlint where it or Go is there
	@$(venv) -m tools.workflows --thorough

format: environment ## Format the code and sort the imports
	@$(venv) -m ruff check --fix --quiet . ; $(venv) -m ruff format .

lock: environment ## Write requirements/*.lock anew from pyproject.toml
	@$(venv) tools/lock.py

# Images and runners set it, and then each command compiles the SDKs anew: seconds, every time.
unexport PYTHONDONTWRITEBYTECODE
# Handed over through the environment, as they are: quotes, dollar signs and backticks in a sentence stay text.
unexport Q TEXT KEY VALUE MODEL BASE LABELS
ask: export QUESTION = $(value Q)
say: export SENTENCE = $(value TEXT)
review: export REVIEW_BASE = $(value BASE)
review: export REVIEW_LABELS = $(value LABELS)
unexport REPLAY DISCARD
dead-letters: export ASIDE_KEY = $(value KEY)
dead-letters: export ASIDE_REPLAY = $(value REPLAY)
dead-letters: export ASIDE_DISCARD = $(value DISCARD)
unexport PLATFORM TRANSPORT CHANNEL CHAT
connect: export CONNECT_PLATFORM = $(value PLATFORM)
connect: export CONNECT_TRANSPORT = $(value TRANSPORT)
connect: export CONNECT_TO = $(or $(value CHANNEL),$(value CHAT))
demo: export DEMO_PLATFORM = $(value PLATFORM)
set: export SETTING = $(value KEY)
set: export WANTED = $(value VALUE)
model-pin: export PINNED_MODEL = $(value MODEL)
test-cloud: export ASSISTANT_CLOUD_ALL = $(ALL)
test-cloud: export ASSISTANT_CLOUD_SEED = $(value SEED)

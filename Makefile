# Everything a person or CI does here is a target of this file; each calls one script.
#
#   CONTEXT=name   images, install, demo: use this context of your kubeconfig instead of the test
#                  cluster. Images then need IMAGE_REPOSITORY or IMAGE_LOAD: deploy/scripts/images.sh.
#   HELM_OPTIONS   install: more options for helm, as `--set kubeletDir=/data/kubelet`

# Outside the checkout: every checkout of this machine, and CI, share what is compiled.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/dlf/target
export CONTEXT IMAGE_REPOSITORY IMAGE_LOAD IMAGE_BUILDER PROFILE

.DEFAULT_GOAL := help
.PHONY: help cluster cluster-down images install demo tools test test-long bench fmt lint clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

cluster: ## Start the test cluster: two nodes, S3 and NFS, on this machine (changes nothing if it runs)
	tests/cluster/up.sh

cluster-down: ## Stop the test cluster and leave nothing of it
	tests/cluster/down.sh

images: ## Build programs and images of the working tree and bring them to the cluster
	deploy/scripts/images.sh

install: ## Install or upgrade the working tree on the cluster
	deploy/scripts/install.sh $(HELM_OPTIONS)

demo: ## From nothing to a Job that reads a data set by name
	tests/demo/demo.sh

tools: ## What the tests need beside Rust and Go, once per machine (`make test` gets it by itself)
	tests/tools.sh

test: ## All tests: lint, unit, control plane, end to end, faults
	tests/run.sh

test-long: ## The long forms of some tests: before a release, and where lint says that one is due
	tests/run.sh long

bench: ## Figures, side by side with what a user would pick instead (BENCH="webhook mount": these only)
	bench/run.sh $(BENCH)

fmt: ## Format the code
	cargo fmt --all

lint: ## Format, clippy, documentation, dependencies, scripts, chart
	tests/run.sh lint

clean: ## Remove what was compiled here (not the tools and images of the test cluster)
	cargo clean
	rm -rf target/images

# make demo    set up, build, run the main job
# make test    set up, build, lint, run every test, look for leaks
# make bench   compare with the peers on this machine

.PHONY: all setup build demo test lint bench clean

all: build

setup:
	scripts/setup.sh

build: setup
	cargo build --release --workspace --exclude containers-oci
	scripts/build-oci.sh
	CONTAINERS_BUILT=1 scripts/build-c.sh
	scripts/build-python.sh
	CONTAINERS_BUILT=1 scripts/build-node.sh

demo: build
	scripts/demo.sh

lint: build
	scripts/lint.sh

# The disk of tests/vm, where there is none yet, is made beside the build.
test: setup
	scripts/setup.sh peers vm
	tests/vm/run --prepare & disk=$$!; $(MAKE) --no-print-directory build && wait $$disk
	scripts/test.sh

bench: build
	scripts/setup.sh bench
	.venv/bin/python benches/compare.py

clean:
	rm -rf target .venv bindings-node/node_modules bindings-node/*.node

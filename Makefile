# Everything a developer calls. The logic is in board/*.sh, .ci/*.sh and tests/demo/; each target installs what it needs.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO := board/cargo.sh
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
ARM := aarch64-unknown-linux-gnu

# Where `make install` puts things; PROFILE=release for packages, BINARY=... for one built elsewhere (the cross build).
DESTDIR ?=
PREFIX ?= /usr
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
PROFILE ?= quick
BINARY ?= $(TARGET_DIR)/$(PROFILE)/picket

.PHONY: help setup setup-image setup-build setup-test setup-cross setup-bench setup-fleet build watch run test test-capture fleet-sim fleet-test fleet-measure chaos fuzz check fmt-check clippy deny texts unit bench eval eval-full eval-clean eval-sync instructions cross cross-test yocto-venv yocto-check yocto-crates yocto-edid yocto-kconfig yocto-build yocto-boot yocto-layers install clean image image-lock bundle boot test-image nightly

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing of all packages (Debian 12; root or sudo)
	@board/setup.sh build test cross
setup-build:
	@board/setup.sh build
setup-test:
	@board/setup.sh build test
setup-cross:
	@board/setup.sh build test cross
setup-bench:
	@board/setup.sh build test bench cross

build: setup-build ## build the daemon, optimised but quick to link ('make watch' for one that has 'picket watch' too)
	$(CARGO) build --locked --profile $(PROFILE) $(if $(FEATURES),--features $(FEATURES))

# For people's machines: boxes do not need a terminal's view of a fleet, so their image is built without.
watch: setup-build ## build with 'picket watch', a fleet in a terminal: then 'make install' installs that one
	$(CARGO) build --locked --profile $(PROFILE) --features watch
	@echo "watch a fleet:  $(TARGET_DIR)/$(PROFILE)/picket watch mqtt://BROKER"

run: setup-test build ## demo: a live stream with planted defects, a broker, and the alerts as they arrive (about a minute)
	@python3 -B tests/demo/run.py --daemon $(TARGET_DIR)/$(PROFILE)/picket --cache $(TARGET_DIR)/demo

test: setup-test ## all tests of this machine
	python3 -B -m unittest discover -q -s tests/demo
	python3 -B -m unittest discover -q -s tests/eval
	python3 -B -m unittest discover -q -s tests/capture
	python3 -B -m unittest discover -q -s tests/image
	@.ci/unit.sh
	$(CARGO) test --locked --features watch

chaos: setup-test ## 20,000 alerts for each of 10 seeds through brokers that misbehave and die, kill -9 in between; power cuts; bytes for an alert (15 minutes)
	$(CARGO) test --locked --lib -- --ignored --nocapture outbox
	$(CARGO) test --locked --test it -- --ignored --nocapture --test-threads 1 chaos

fuzz: setup-test ## spoilt bytes for every parser of what others wrote, MINUTES=60 for each of 8 targets, side by side
	FUZZ_MINUTES=$(MINUTES) $(CARGO) test --locked --test fuzz -- --nocapture --test-threads 8

test-capture: setup-test build ## Picket on real capture drivers (vivid, snd-aloop) in a virtual machine (3 minutes); SCENARIO=... for some of it
	@python3 -B tests/capture/run.py --picket $(TARGET_DIR)/$(PROFILE)/picket --cache $(TARGET_DIR)/capture $(SCENARIO)

# As optimised as tests are: a fleet of thousands costs a tenth of a core.
FLEET_SIM := $(TARGET_DIR)/debug/picket-fleet-sim
fleet-sim: setup-fleet
	$(CARGO) build --locked --features fleet-sim --bin picket-fleet-sim

fleet-test: fleet-sim ## the fleet page in Chromium, who may do what on Mosquitto, simulated devices (3 minutes; pictures in target/fleet)
	$(CARGO) test --locked --features fleet-sim --bin picket-fleet-sim
	PICKET_FLEET_SIM=$(FLEET_SIM) PICKET_FLEET_OUT=$(TARGET_DIR)/fleet python3 -B -m unittest discover -s tests/fleet

fleet-measure: fleet-sim ## 9,900 devices, each 10 s: broker, page and simulator (3 minutes; DEVICES=...)
	@python3 -B tests/fleet/measure.py --simulator $(FLEET_SIM) --out $(TARGET_DIR)/fleet $(if $(DEVICES),--devices $(DEVICES))

check: fmt-check clippy texts unit deny test ## format, clippy, scripts, systemd files, licences and advisories, tests
fmt-check: setup-build
	$(CARGO) fmt --check
clippy: setup-build
	$(CARGO) clippy --locked --all-targets --features bench,fleet-sim,watch -- -D warnings
texts: setup-test
	@.ci/texts.sh
unit: setup-test
	@.ci/unit.sh
deny: setup-test
	@.ci/deny.sh

bench: build instructions ## compare in pairs: the pass with plain reads, Picket with FFmpeg's filters, one process with stages (15 minutes)
	python3 -B tests/bench/run.py kernels filters decode staged memory --picket $(TARGET_DIR)/$(PROFILE)/picket --kernels $(TARGET_DIR)/$(PROFILE)/picket-bench-kernels --out $(TARGET_DIR)/bench
	@python3 -B tests/bench/run.py report --out $(TARGET_DIR)/bench

EVAL := $(TARGET_DIR)/eval
GENERATE := python3 -B tests/eval/generate.py --cache $(EVAL)/cache
SCORE := python3 -B tests/eval/score.py --picket $(TARGET_DIR)/$(PROFILE)/picket

eval: setup-test build ## make the small bank of labelled clips and score Picket on it, FFmpeg's filters beside it (5 minutes the first time)
	@$(GENERATE) --out $(EVAL)/small
	@$(SCORE) --bank $(EVAL)/small --baseline --floors tests/eval/floors.json --markdown $(EVAL)/small.md --details

eval-full: setup-test build ## the same on the larger bank (an hour of clips; 30 minutes)
	@$(GENERATE) --out $(EVAL)/full --full
	@$(SCORE) --bank $(EVAL)/full --baseline --markdown $(EVAL)/full.md --details

eval-sync: setup-test build ## sound against picture: pairs through encoders, line-up signals, encoders that fail on purpose (an hour)
	@python3 -B tests/eval/sync.py --picket $(TARGET_DIR)/$(PROFILE)/picket --cache $(EVAL)/cache --out $(EVAL)/sync

MINUTES ?= 60
eval-clean: setup-test build ## an hour of varied footage in which nothing is wrong (MINUTES=60): every alarm is printed, none may be major
	@$(GENERATE) --out $(EVAL)/clean --clean $(MINUTES)
	@$(SCORE) --bank $(EVAL)/clean

# Executed instructions are the same on a busy machine: the only measure of speed that CI can hold tightly.
instructions: setup-bench ## count the instructions of the pass, natively and for aarch64, and hold the floors of PERFORMANCE.md
	$(CARGO) build --locked --profile $(PROFILE) --features bench --bin picket-bench-kernels
	$(CARGO) build --locked --release --features bench --bin picket-bench-kernels --target $(ARM)
	@python3 -B tests/bench/run.py instructions --kernels $(TARGET_DIR)/$(PROFILE)/picket-bench-kernels --arm $(TARGET_DIR)/$(ARM)/release/picket-bench-kernels --out $(TARGET_DIR)/bench

cross: setup-cross ## build the stripped aarch64 daemon (fat LTO: some minutes)
	$(CARGO) build --locked --release --target $(ARM) $(if $(FEATURES),--features $(FEATURES))
	@.ci/binary.sh $(TARGET_DIR)/$(ARM)/release/picket

BOARD ?= qemu-arm64
IMAGE := $(TARGET_DIR)/image
IMAGE_VERSION ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
PICKET_ARM ?= $(TARGET_DIR)/$(ARM)/release/picket
MAKE_IMAGE = python3 -B board/image/build.py --board $(BOARD) --picket $(PICKET_ARM) --out $(IMAGE) --cache $(IMAGE)/cache --version $(IMAGE_VERSION) $(if $(NEWER),--newer)

setup-image: setup-cross
	@board/setup.sh image
image: setup-image cross ## the appliance's flashable disk image and its update bundle for BOARD=... (IMAGE_VERSION=...; NEWER=1 takes packages newer than the lock's)
	@$(MAKE_IMAGE)
# The bundle comes with the image: it holds the same root.
bundle: image
image-lock: ## renew the versions and checksums of the packages that the image is made of
	@python3 -B board/image/build.py --board qemu-arm64 --cache $(IMAGE)/cache --lock
boot: setup-image cross ## start the appliance in an emulator; events appear on a Mosquitto of this machine (BOARD=qemu-arm64; Ctrl-C ends it)
	@$(MAKE_IMAGE) --dev
	@python3 -B tests/image/boot.py --image $(IMAGE)/picket-$(BOARD)-dev-$(IMAGE_VERSION) --cache $(IMAGE)/cache
ONLY ?= start,card,update,shut
CUTS ?= 20
UEFI_IMAGE := $(IMAGE)/picket-generic-uefi-$(IMAGE_VERSION)
# Development image last: bundles are made from the tree that the last build left.
test-image: setup-image cross ## boot the image in an emulator: alerts, settings, updates (20 minutes; ONLY=... of tests/image/run.py's list, CUTS=20)
	@$(MAKE_IMAGE)
	@$(MAKE_IMAGE) --dev
	@python3 -B tests/image/run.py --image $(IMAGE)/picket-$(BOARD)-dev-$(IMAGE_VERSION) --closed $(IMAGE)/picket-$(BOARD)-$(IMAGE_VERSION) --cache $(IMAGE)/cache --out $(IMAGE)/test --only $(ONLY) --cuts $(CUTS) $(if $(wildcard $(UEFI_IMAGE)/disk.img),--uefi $(UEFI_IMAGE))
nightly: ## all that the emulator can show: every scenario, 20 pulled plugs, the image of generic-uefi
	@$(MAKE) --no-print-directory image BOARD=generic-uefi
	@$(MAKE) --no-print-directory test-image ONLY=start,card,update,shut,uefi,network,claim,provision,bundles,tries,trials,cuts

# A processor with more than NEON can change only what is chosen by processor: the kernels. Features are whole numbers of theirs.
cross-test: setup-cross ## the library's tests for aarch64 under qemu: NEON alone, then with all that qemu knows
	QEMU_CPU=cortex-a53 $(CARGO) test --locked --target $(ARM) --lib
	QEMU_CPU=max $(CARGO) test --locked --target $(ARM) --lib -- kernels features

YOCTO := $(TARGET_DIR)/yocto
yocto-venv:
	@board/setup.sh yocto
	@tests/yocto/venv.sh $(YOCTO)
yocto-check: yocto-venv ## the Yocto layers, as far as packages of PyPI go: BitBake's parser, oelint-adv, agreement with board/ (20 seconds)
	@tests/yocto/venv.sh $(YOCTO) tests/yocto/check.py $(STAGES)
yocto-crates: ## write the recipe's list of crates anew from Cargo.lock
	@python3 -B yocto/tools/crates.py
yocto-edid: ## write the EDIDs of HDMI inputs anew
	@python3 -B yocto/tools/edid.py
yocto-kconfig: setup-build ## the layers' kernel fragments against Debian's kernel source (150 MB; 5 minutes the first time)
	@board/setup.sh yocto
	@tests/yocto/kconfig.sh $(YOCTO)/kconfig
yocto-build: setup-build yocto-venv ## the recipe's sources and crates by BitBake's own fetcher, then its cargo build, without a network (15 minutes)
	@tests/yocto/venv.sh $(YOCTO) tests/yocto/build.py $(YOCTO)/build
yocto-boot: setup-cross yocto-venv ## the slots' boot script in a U-Boot with the layer's options, in an emulator (5 minutes the first time)
	@tests/yocto/venv.sh $(YOCTO) tests/yocto/uboot.py $(YOCTO)/boot
yocto-layers: ## with BITBAKE_DIR, OECORE_DIR and LAYERS set: parse, dependencies, crates, native compile, yocto-check-layer
	@tests/yocto/layers.sh $(YOCTO)/layers

# No dependency on `build`: root installs what a user has built.
install: ## install into DESTDIR: binary, systemd files, default configuration
	@[[ -f "$(BINARY)" ]] || { echo "install: $(BINARY) is not there: run 'make build' first" >&2; exit 1; }
	install -D -m 755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/picket"
	install -D -m 644 systemd/picket.service "$(DESTDIR)$(UNITDIR)/picket.service"
	install -D -m 644 -t "$(DESTDIR)$(UNITDIR)" systemd/picket-reboot.path systemd/picket-reboot.service
	install -D -m 644 systemd/picket.sysusers "$(DESTDIR)$(PREFIX)/lib/sysusers.d/picket.conf"
	install -D -m 644 systemd/picket.tmpfiles "$(DESTDIR)$(PREFIX)/lib/tmpfiles.d/picket.conf"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/picket/fleet" systemd/fleet/fleet.html
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/doc/picket/examples" systemd/fleet/mosquitto.conf systemd/fleet/mosquitto.acl systemd/fleet/telegraf.conf systemd/fleet/grafana.json systemd/led.conf
	install -d -m 755 "$(DESTDIR)$(SYSCONFDIR)/picket/conf.d"
	# A configuration that somebody has edited stays.
	[[ -e "$(DESTDIR)$(SYSCONFDIR)/picket/picket.toml" ]] || install -m 644 systemd/picket.toml "$(DESTDIR)$(SYSCONFDIR)/picket/picket.toml"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/doc/picket" LICENSE LICENSE-APACHE LICENSE-MIT $(wildcard README.md)

clean: ## remove all that was built
	rm -rf "$(TARGET_DIR)"

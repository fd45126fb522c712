# amlshim. `make` on a fresh Debian 12 or 13 builds everything below build/ (as root: it installs
# the packages that are missing); `make help` lists the targets.
#
#   V=1        show the commands
#   ARCH=arm64 for that machine, with Debian's cross compiler, in build/arm64 (on arm64: ARCH=amd64)
#   DEBUG=1    the host's gcc and libc with address and undefined sanitizers, in build/debug
#   DEBUG=thread, valgrind   the same with the thread sanitizer, with none
#   DEBUG=coverage   the release, not optimised and counted by gcov (scripts/coverage.mk)
#   BUILD=DIR  a build directory of one's own; the third-party libraries stay in build/

VERSION      := 0.1.0
BUILD        := build
DEPS_BUILD   := build
SECONDS      := 20
DESTDIR      :=
prefix       := /usr/local

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

HOST_ARCH     := $(patsubst x86_64,amd64,$(patsubst aarch64,arm64,$(shell uname -m)))
ARCH          := $(HOST_ARCH)
triplet_amd64 := x86_64-linux-gnu
triplet_arm64 := aarch64-linux-gnu
ifndef triplet_$(ARCH)
$(error ARCH=$(ARCH): amlshim is built for amd64 and arm64)
endif
CROSS := $(if $(filter-out $(HOST_ARCH),$(ARCH)),$(triplet_$(ARCH)))
TOOL  := $(addsuffix -,$(CROSS))

sanitize_thread   := -fsanitize=thread
sanitize_valgrind :=
sanitize_debug    := -fsanitize=address,undefined -fno-sanitize-recover=all

mode := $(if $(DEBUG),$(or $(filter thread valgrind coverage,$(DEBUG)),debug))
O    := $(BUILD)$(addprefix /,$(mode)$(if $(CROSS),$(ARCH)))
ifneq ($(and $(mode),$(CROSS)),)
$(error DEBUG=$(DEBUG) is for the machine that builds, ARCH=$(HOST_ARCH))
endif
ifneq ($(filter-out coverage,$(mode)),)
DEPS     := $(DEPS_BUILD)/debug/deps
CC       := gcc
LD_MODE  := -pie
OPTIMISE := -O1 -fno-omit-frame-pointer $(sanitize_$(mode))
else
DEPS     := $(DEPS_BUILD)$(addprefix /,$(if $(CROSS),$(ARCH)))/deps
CC       := $(DEPS)/bin/musl-gcc
LD_MODE  := -static-pie
# gdb reads .debug_frame, and nobody else unwinds: .eh_frame was a tenth of the binary.
OPTIMISE := -O2 -fno-asynchronous-unwind-tables -DAMLSHIM_SHED
endif

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes \
            -Wmissing-prototypes -Wformat=2 -Wvla -Wundef -Wpointer-arith -Wcast-qual \
            -Wwrite-strings
third     = -isystem $(1)/include -isystem $(1)/include/fuse3 -isystem $(1)/include/cjson
DIALECT  := -std=c11 -D_GNU_SOURCE -DAMLSHIM_VERSION='"$(VERSION)"' -Ishim
HARDEN   := -fPIE -fstack-protector-strong -ffunction-sections -fdata-sections
CFLAGS   := $(DIALECT) $(call third,$(DEPS)) $(WARNINGS) -Werror $(OPTIMISE) $(HARDEN) -g \
            -ffile-prefix-map=$(CURDIR)=.
# The linkers of arm64 learn it after Debian 12.
relr_amd64 := -Wl,-z,pack-relative-relocs
LDFLAGS  := $(LD_MODE) -Wl,-z,relro,-z,now $(relr_$(ARCH)) -Wl,--gc-sections -L$(DEPS)/lib
LIBS     := -lcurl -lbearssl -lyaml -lcjson -lfuse3 -lexpat -lpthread

FUZZ        := $(BUILD)/fuzz
FUZZ_DEPS   := $(DEPS_BUILD)/debug/deps
FUZZ_MODE   := -O1 -g -fno-omit-frame-pointer -fno-inline -fno-sanitize-recover=all
FUZZ_CFLAGS := $(DIALECT) $(call third,$(FUZZ_DEPS)) $(WARNINGS) $(FUZZ_MODE)

HOST_PACKAGES := gcc libc6-dev linux-libc-dev make dpkg-dev patch xz-utils meson ninja-build \
                 python3 ca-certificates debian-archive-keyring
CROSS_PACKAGES := gcc-$(subst _,-,$(CROSS)) linux-libc-dev-$(ARCH)-cross
LINT_PACKAGES := clang-tidy shellcheck cppcheck
FUZZ_PACKAGES := clang libclang-rt-dev llvm
BATS_PACKAGES := bats zsh groff-base
BENCH_PACKAGES := python3 curl openssl procps psmisc util-linux

main       := $(wildcard shim/main.c)
sources    := $(wildcard shim/*/*.c shim/*/*/*.c)
azsim      := $(wildcard tests/azsim/*.c)
comma      := ,
# Static: as two libraries each has a place of its own for reports.
one_runtime_debug := -static-libasan -static-libubsan
reports    := $(if $(filter debug thread,$(mode)),tests/sanitized/reports.c)
unit       := $(wildcard tests/unit/test_*.c)
unit_aid   := $(filter-out $(unit),$(wildcard tests/unit/*.c))
bats       := $(wildcard tests/*.bats)
scripts    := $(wildcard scripts/*.sh .ci/run tests/*.sh tests/*.bash tests/*/*.sh tests/*/*.bash)
bench      := $(wildcard bench/*.sh bench/*.bash)
fuzz_names := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))

objects     = $(patsubst %.c,$(O)/obj/%.o,$(1))
programs   := $(if $(main),$(O)/amlshim) $(if $(azsim),$(O)/azsim)
tests_bin  := $(patsubst %.c,$(O)/%,$(wildcard tests/bin/*.c))
tests_unit := $(unit:%.c=$(O)/%)

ifdef V
say = @:
else
Q   = @
say = @printf '  %-7s %s\n'
endif

.PHONY: all deps check-unit check-bats units valgrind-units test run bench lint lint-layers lint-style \
        lint-scripts lint-tidy fuzz man completions install clean distclean help FORCE

all: $(O)/libamlshim.a $(programs) $(tests_bin)  ## amlshim, azsim and the tests' small programs (the default)

deps: $(DEPS)/versions  ## the third-party libraries, once, from Debian's sources

check-unit: $(tests_unit)  ## unit tests (DEBUG=1: under sanitizers)
	$(Q)scripts/check-unit.sh $(tests_unit)

units: $(tests_unit)

valgrind-units:  ## the unit tests without sanitizers, for scripts/check-valgrind.sh
	$(Q)$(MAKE) DEBUG=valgrind units

check-bats: all  ## the .bats tests but those tagged "root"
	$(Q)scripts/apt-install.sh $(BATS_PACKAGES)
	$(Q)$(if $(bats),bats --filter-tags '!root' $(bats))

test: all  ## the whole test suite
	$(Q)scripts/test.sh

run: all  ## a demonstration
	$(Q)scripts/demo.sh

bench: all  ## measurements, as ratios, in under 20 minutes (not part of the tests)
	$(Q)scripts/apt-install.sh $(BENCH_PACKAGES)
	$(Q)bench/run.sh

lint: lint-layers lint-style lint-scripts lint-tidy check-cppcheck  ## layers, style, shellcheck, clang-tidy, cppcheck

lint-layers lint-style:
	$(say) LINT $(@:lint-%=%)
	$(Q)scripts/$@.sh

# Tests are functions that shellcheck does not see called: helpers set what they read, and ${{...}}
# is not the shell's.
bats_excuses := SC2015,SC2016,SC2030,SC2031,SC2034,SC2154,SC1091

lint-scripts: $(BUILD)/lint-packages
	$(say) LINT shellcheck
	$(Q)shellcheck -e SC2015 $(scripts)
	$(Q)shellcheck -e $(bats_excuses) $(bats) $(bench)

lint-tidy: $(patsubst %.c,$(O)/tidy/%.ok,$(main) $(sources))

fuzz: $(fuzz_names:%=fuzz-%)  ## each fuzzer for SECONDS=20, as many at a time as there are processors

# Printed by the program from its table of flags.
man: $(O)/amlshim.1  ## the man page, build/amlshim.1
completions: $(O)/completion-bash $(O)/completion-zsh  ## what completes its words in bash and zsh

ifdef CROSS
# They are the same for each machine, and this one runs its own.
pages := amlshim.1 completion-bash completion-zsh
$(pages:%=$(O)/%) &: $(O)/amlshim
	$(Q)$(MAKE) ARCH=$(HOST_ARCH) $(pages:%=$(BUILD)/%)
	$(Q)cp $(pages:%=$(BUILD)/%) $(O)
else
$(O)/amlshim.1: $(O)/amlshim
	$(Q)$< help man >$@

$(O)/completion-%: $(O)/amlshim
	$(Q)$< help $(@F) >$@
endif

install: $(O)/amlshim man completions  ## amlshim, man page and completions into $(DESTDIR)$(prefix)
	install -D -m 755 $< $(DESTDIR)$(prefix)/bin/amlshim
	install -D -m 644 $(O)/amlshim.1 $(DESTDIR)$(prefix)/share/man/man1/amlshim.1
	install -D -m 644 $(O)/completion-bash \
	    $(DESTDIR)$(prefix)/share/bash-completion/completions/amlshim
	install -D -m 644 $(O)/completion-zsh $(DESTDIR)$(prefix)/share/zsh/site-functions/_amlshim

clean:  ## remove what was built, but for the libraries
	$(Q)rm -rf $(foreach d,$(addprefix $(BUILD)/,. debug thread valgrind coverage amd64 arm64),$(addprefix $(d)/,\
	    obj tidy tests amlshim amlshim.debug amlshim.debug.map azsim libamlshim.a amlshim.1 \
	    completion-bash completion-zsh flags members fault linked.c)) $(FUZZ) $(CHECK) $(BUILD)/ca-bundle.pem \
	    $(BUILD)/ca_bundle.c $(BUILD)/*-packages

distclean: clean  ## remove the libraries and their sources as well
	$(Q)rm -rf $(addprefix $(BUILD)/,deps src debug thread valgrind coverage amd64 arm64)

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*##  *\(.*\)/\1	\2/p' Makefile $(wildcard scripts/*.mk) | expand -t 14

# ---- what is needed first: packages, libraries; and a trace of flags and file names --------------

$(BUILD)/%-packages: Makefile scripts/apt-install.sh
	$(Q)scripts/apt-install.sh $($(shell echo $* | tr a-z A-Z)_PACKAGES)
	$(Q)mkdir -p $(@D) && touch $@

%/deps/versions: scripts/deps.sh scripts/deps-fetch.sh $(wildcard scripts/patches/*) | $(BUILD)/host-packages $(if $(CROSS),$(BUILD)/cross-packages)
	$(Q)DEPS_SRC=$(DEPS_BUILD)/src scripts/deps.sh \
	    $(if $(filter %/debug/deps,$(@D)),debug $(@D),release $(@D) $(CROSS))

# Written only when they would change: objects depend on the flags, the archive on its members. Each
# make has a file of its own to compare with: several may run.
# Where the tree lies changes no object (-ffile-prefix-map): one that was copied with its objects is built.
$(O)/flags: words = $(CC) $(subst $(CURDIR),,$(CFLAGS)) $(LDFLAGS) $(LIBS)
$(O)/members: words = $(sources)
$(FUZZ)/flags: words = $(FUZZ_CFLAGS)
$(O)/flags $(O)/members $(FUZZ)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' $(words) >$@.$$$$; \
	    if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi

# ---- objects, archive, programs ------------------------------------------------------------------

$(O)/obj/%.o: %.c $(O)/flags $(DEPS)/versions
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/ca-bundle.pem $(BUILD)/ca_bundle.c &: scripts/ca-bundle.sh | $(BUILD)/host-packages
	$(say) GEN $(BUILD)/ca_bundle.c
	$(Q)scripts/ca-bundle.sh $(BUILD)/ca-bundle.pem $(BUILD)/ca_bundle.c

$(O)/obj/ca_bundle.o: $(BUILD)/ca_bundle.c $(O)/flags $(DEPS)/versions
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

# What amlshim tells about its libraries is what they were made of.
$(O)/linked.c: scripts/linked.sh $(DEPS)/versions | $(BUILD)/host-packages
	$(say) GEN $@
	@mkdir -p $(@D)
	$(Q)scripts/linked.sh $(CC) $(DEPS)/versions >$@

$(O)/obj/linked.o: $(O)/linked.c $(O)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c $< -o $@

$(O)/libamlshim.a: $(call objects,$(sources)) $(O)/obj/ca_bundle.o $(O)/obj/linked.o $(O)/members
	$(say) AR $@
	$(Q)rm -f $@ && $(TOOL)ar rcs $@ $(filter %.o,$^)

wrap = $(if $(reports),-Wl$(comma)--wrap=_exit $(one_runtime_$(mode)))
link = $(CC) $(CFLAGS) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -o $@

# What init needs without a plan comes first: shim/init/shed.h says why, the script looks.
shed  := shim/init/shed.c
first  = $(call objects,$(main) $(filter-out $(shed) shim/base/xml.c,$(filter shim/base/% \
             shim/init/%,$(sources))))

$(O)/amlshim.debug: $(first) $(O)/libamlshim.a $(call objects,$(reports)) scripts/check-shed.sh
	$(say) LD $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -Wl,-Map=$@.map -Wl,-u,pthread_create,-u,pthread_key_create $(wrap) $(first) -lc \
	    $(call objects,$(shed) $(reports)) $(O)/libamlshim.a $(LIBS) -o $@
	$(Q)$(if $(DEBUG),,scripts/check-shed.sh $@.map || { rm $@; exit 1; })

$(O)/amlshim: $(O)/amlshim.debug
	$(say) STRIP $@
	$(Q)$(if $(DEBUG),cp $< $@,$(TOOL)strip -o $@ $<)
	$(Q)$(if $(DEBUG),,! readelf -ldW $@ | grep -E 'INTERP|NEEDED' || { rm $@; exit 1; })

$(O)/azsim: $(call objects,$(azsim) $(reports)) $(O)/libamlshim.a
	$(say) LD $@
	$(Q)$(link) $(wrap)

# What tests/unit/denied.h can make fail.
denied := pthread_create getrandom socket socketpair listen accept4 getsockname getsockopt getpeername send \
          sendmsg poll recv fopen clock_ms mkdtemp open openat read pread write pwrite fstat fsync ftruncate rename mmap memfd_create fork pipe2

$(tests_unit): private LDFLAGS += $(denied:%=-Wl,--wrap=%)
$(tests_unit): $(O)/%: $(O)/obj/%.o $(call objects,$(unit_aid)) $(O)/libamlshim.a
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(link)

# Each stands alone.
$(tests_bin): $(O)/%: $(O)/obj/%.o
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $< -o $@

$(O)/tidy/%.ok: %.c .clang-tidy $(O)/obj/%.o | $(BUILD)/lint-packages
	$(say) TIDY $<
	@mkdir -p $(@D)
	$(Q)clang-tidy --quiet $< -- $(DIALECT) $(call third,$(DEPS)) >$@.log 2>&1 || \
	    { grep -v 'warnings generated' $@.log; exit 1; }
	@touch $@

# ---- fuzzers: clang, the host's libc -------------------------------------------------------------

$(FUZZ)/obj/%.o: %.c $(FUZZ)/flags $(FUZZ_DEPS)/versions | $(BUILD)/fuzz-packages
	$(say) CLANG $<
	@mkdir -p $(@D)
	$(Q)clang $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c $< -o $@

$(FUZZ)/obj/ca_bundle.o: $(BUILD)/ca_bundle.c | $(BUILD)/fuzz-packages
	@mkdir -p $(@D)
	$(Q)clang -c $< -o $@

$(FUZZ)/libamlshim.a: $(sources:%.c=$(FUZZ)/obj/%.o) $(FUZZ)/obj/ca_bundle.o $(O)/members
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $(filter %.o,$^)

$(FUZZ)/fuzz_%: $(FUZZ)/obj/tests/fuzz/fuzz_%.o $(FUZZ)/libamlshim.a
	$(say) LD $@
	$(Q)clang $(FUZZ_MODE) -fsanitize=fuzzer,address,undefined $^ -L$(FUZZ_DEPS)/lib $(LIBS) -o $@

# What it finds goes to build/fuzz; tests/fuzz/corpus is only read.
fuzz-%: $(FUZZ)/fuzz_%
	$(Q)scripts/fuzz.sh $* $< $(SECONDS) $(FUZZ)

# Targets with a page of their own: packages, analysis.
-include $(wildcard scripts/*.mk)

.SECONDARY:
-include $(shell test -d $(O)/obj && find $(O)/obj -name '*.d')
-include $(shell test -d $(FUZZ)/obj && find $(FUZZ)/obj -name '*.d')

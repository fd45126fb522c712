# `make check`, and its steps as targets: docs/CHECKS.md.
#
# What is slow leaves a file for each part (a source, a suite) below build/check, so that what has
# not changed since it was clean is not done again.

CHECK          := $(BUILD)/check
CHECK_SECONDS  := 1500
CHECK_PACKAGES  = valgrind $(shell sed -n 's/^PACKAGES="\(.*\)"$$/\1/p' scripts/test.sh)

.PHONY: check check-cppcheck check-analyzer check-sanitized check-thread check-valgrind check-ready

check: all  ## all analysis and the suite under sanitizers and valgrind: hours (docs/CHECKS.md)
	$(Q)scripts/check.sh

# ---- what reads the source -----------------------------------------------------------------------

check-cppcheck: $(BUILD)/lint-packages  ## cppcheck over amlshim and its tests
	$(say) CHECK cppcheck
	@mkdir -p $(CHECK)/cppcheck
	$(Q)cppcheck --quiet -j $(shell nproc) --cppcheck-build-dir=$(CHECK)/cppcheck --error-exitcode=1 \
	    --enable=warning,performance,portability,style --inline-suppr --library=posix \
	    --std=c11 --platform=unix64 --suppressions-list=scripts/check-cppcheck.txt \
	    --template='{file}:{line}: {severity} {id}: {message}' -D_GNU_SOURCE -D__x86_64__ \
	    -DAMLSHIM_VERSION='"$(VERSION)"' -Ishim -Itests/unit shim tests

check-analyzer: $(patsubst %.c,$(CHECK)/analyzer/%.ok,$(main) $(sources) $(azsim))  ## gcc -fanalyzer

$(CHECK)/analyzer/%.ok: %.c $(O)/flags $(DEPS)/versions
	$(say) ANALYZE $<
	@mkdir -p $(@D)
	$(Q)gcc $(DIALECT) $(call third,$(DEPS)) -O1 -fanalyzer -Werror -MMD -MP -MT $@ \
	    -MF $(@:.ok=.d) -c $< -o /dev/null
	@touch $@

# ---- the suites with other builds of the programs ------------------------------------------------

check-ready: all $(BUILD)/check-packages
	$(Q)scripts/npm-tools.sh && scripts/python-sdk.sh
	$(Q)$(MAKE) DEBUG=1 all
	$(Q)$(MAKE) DEBUG=valgrind all

# Each suite has the programs in a directory of its own, and their reports beside them.
$(CHECK)/sanitized/%.ok: tests/%.bats $(O)/amlshim $(O)/azsim tests/helpers.bash $(wildcard tests/lib/*) | check-ready
	$(Q)scripts/check-suite.sh sanitized $< $(CHECK_SECONDS)
	@touch $@

$(CHECK)/valgrind/%.ok: tests/%.bats $(O)/amlshim $(O)/azsim tests/helpers.bash $(wildcard tests/lib/*) | check-ready
	$(Q)scripts/check-suite.sh valgrind $< $(CHECK_SECONDS)
	@touch $@

# Under valgrind: plans, identities, mounts, copies, supervision. docs/CHECKS.md says why no more.
valgrind_suites := 20-spec 40-identity 50-mount-read 55-mount-write 57-transfer 62-broker 70-supervise

check-sanitized: $(patsubst tests/%.bats,$(CHECK)/sanitized/%.ok,$(bats))  ## the suites with address and undefined sanitizers

check-valgrind: $(valgrind_suites:%=$(CHECK)/valgrind/%.ok)  ## unit tests and some suites under valgrind
	$(Q)scripts/check-valgrind.sh

check-thread:  ## the unit tests under the thread sanitizer
	$(Q)TSAN_OPTIONS=die_after_fork=0 UNIT_SECONDS=900 $(MAKE) DEBUG=thread check-unit

-include $(shell test -d $(CHECK)/analyzer && find $(CHECK)/analyzer -name '*.d')

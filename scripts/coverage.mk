# What the tests run of shim/ (docs/COVERAGE.md): scripts/coverage.sh counts by gcov, and tests/coverage/counters.c
# says how it comes to know of processes that are killed, confined or another user's.

.PHONY: coverage coverage-units lint-coverage

coverage:  ## what the tests run of shim/: docs/COVERAGE.md, from all suites, in the time of two `make test`
	$(Q)scripts/coverage.sh

coverage-units:  ## the same of the unit tests alone, on the terminal
	$(Q)scripts/coverage.sh --units

lint: lint-coverage

lint-coverage:
	$(say) LINT docs/COVERAGE.md
	$(Q)scripts/coverage.py --check docs/COVERAGE.md

ifeq ($(mode),coverage)
# gcc would have fork() and exec write files and start anew.
gcov     := --coverage -fprofile-update=atomic -O0 -fno-builtin-fork -fno-builtin-execve
CFLAGS   += $(gcov)
counters := $(O)/obj/tests/coverage/counters.o
LDFLAGS  += $(counters) -Wl,-T,tests/coverage/counters.ld -Wl,--wrap=__gcov_exit -Wl,--build-id

$(O)/amlshim.debug $(O)/fault/amlshim $(O)/azsim $(tests_unit) $(tests_bin): | $(counters)
$(counters): CFLAGS := $(filter-out $(gcov),$(CFLAGS)) -DCOUNTERS_DIR='"$(abspath $(O)/counters)"'
endif

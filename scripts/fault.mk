# The test build whose calls fail on purpose: tests/fault/fault.h.  The same objects and libraries as amlshim's;
# its own objects come first, as what init needs does.

fault      := $(O)/fault/amlshim
fault_c    := $(wildcard tests/fault/*.c)
fault_wrap := $(shell sed -n '/define FAULT_FUNCTIONS/,/^$$/p' tests/fault/fault.h | grep -o 'F([a-z0-9_]*)' | tr -d 'F()') prctl

all: $(fault)

$(fault): $(call objects,$(fault_c)) $(first) $(O)/libamlshim.a tests/fault/fault.h
	$(say) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(fault_wrap:%=-Wl,--wrap=%) -Wl,-Map=$@.map -Wl,-u,pthread_create,-u,pthread_key_create \
	    $(call objects,$(fault_c)) $(first) -lc $(call objects,$(shed)) $(O)/libamlshim.a $(LIBS) -o $@
	$(Q)$(if $(DEBUG),,scripts/check-shed.sh $@.map || { rm $@; exit 1; })

.PHONY: faults
faults: all $(BUILD)/check-packages  ## each allocation and system call fails once, by turns: takes hours
	$(Q)FAULT_SWEEP= FAULT_LIMIT=86400 FAULT_LOG=/dev/stderr bats -f sweep tests/95-faults.bats

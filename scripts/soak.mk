# A load of many minutes: docs/SOAK.md explains it.
MINUTES := 20

.PHONY: soak
soak: all  ## MINUTES (20) of training-like load with faults: nothing fails, nothing grows
	$(Q)scripts/soak.sh $(MINUTES)

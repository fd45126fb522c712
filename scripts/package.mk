# What is passed on, and whether it is what anybody else would make of the same source.
#
#   DIST_ARCHS          of which machines (amd64 arm64)
#   SOURCE_DATE_EPOCH   the time of all files in it: that of the commit, 1980 in a tree without git
#   COMMIT              what the SBOM says about the source

DIST_ARCHS        := amd64 arm64
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),315532800)
COMMIT            ?= $(shell git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null)
dist_dir           = $(BUILD)$(addprefix /,$(filter-out $(HOST_ARCH),$(1)))

.PHONY: dist-parts dist reproducible

dist-parts: $(O)/amlshim man completions

dist:  ## tars, .debs, SBOM and checksums for amd64 and arm64, in build/dist
	$(Q)for arch in $(DIST_ARCHS); do $(MAKE) --no-print-directory ARCH=$$arch dist-parts || exit; done
	$(say) DIST $(BUILD)/dist
	$(Q)SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) COMMIT=$(COMMIT) scripts/dist.sh $(VERSION) \
	    $(DEPS_BUILD)/src $(BUILD)/dist $(foreach a,$(DIST_ARCHS),$(a)=$(call dist_dir,$(a)))

reproducible:  ## build all twice, in other places and other ways, and compare (10 minutes)
	$(Q)SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) COMMIT=$(COMMIT) scripts/reproducible.sh \
	    $(DEPS_BUILD)/src $(DIST_ARCHS)

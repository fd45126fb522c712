#!/usr/bin/env bash
# check-shed.sh MAP: the linker's map of amlshim has the tables that init needs without a plan (those of
# shim/main.c, shim/base and shim/init) before the marker of shim/init/shed.c, which unmaps the rest.
set -euo pipefail
awk '
	/^\.data\.rel\.ro/ { inside = 1 }
	/^\.dynamic/ { inside = 0 }
	!inside { next }
	/shed_marker/ { marked = 1 }
	marked && /0x[0-9a-f]+ +0x[1-9a-f]/ && /shim\/(main|base\/|init\/)/ && !/init\/shed\.o/ {
		print "needed by init, but behind the marker of shim/init/shed.c: " $0
		failed = 1
	}
	END {
		if (!marked)
			print "shim/init/shed.c has no marker among the tables"
		exit failed || !marked
	}' "$1"

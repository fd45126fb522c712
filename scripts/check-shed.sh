#!/usr/bin/env bash
# check-shed.sh MAP: the linker's map of amlshim has the tables and variables that init needs without a plan
# (those of shim/main.c, shim/base and shim/init) before the markers of shim/init/shed.c, which lets go of the rest.
# So has it the guard of the stack: on arm64 that is a variable of libc, and every function that returns looks at it.
set -euo pipefail
awk '
	/^\.data\.rel\.ro/ || /^\.bss/ { inside = 1; marked = 0 }
	/^\.dynamic/ || /^\.comment/ { inside = 0 }
	!inside { next }
	/shed_(marker|zeroes)/ { marked = 1; markers++ }
	marked && /0x[0-9a-f]+ +0x[1-9a-f]/ && /shim\/(main|base\/|init\/)|libc\.a\(__stack_chk_fail/ && !/init\/shed\.o/ {
		print "needed by init, but behind the marker of shim/init/shed.c: " $0
		failed = 1
	}
	END {
		if (markers != 2)
			print "the markers of shim/init/shed.c are not where they should be"
		exit failed || markers != 2
	}' "$1"

#!/usr/bin/env python3
"""linux_rows_test.py TABLE: every system call that the installed kernel headers number has its row, under its name."""
import re
import sys

HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"
try:
    text = open(HEADER).read()
except FileNotFoundError:
    print(f"no {HEADER}: install linux-libc-dev")
    sys.exit(77)
known = {int(nr): name for name, nr in re.findall(r"^#define __NR_(\w+)\s+(\d+)$", text, re.M)}
rows = {int(m[1]): m[2] for m in (re.match(r"(\d+)\s+(\w+)\s", line) for line in open(sys.argv[1])) if m}
wrong = [f"{nr} is {name}, the table has {rows.get(nr, 'no row')}" for nr, name in sorted(known.items()) if rows.get(nr) != name]
print(f"{len(known)} calls in the headers, {len(rows)} rows", *wrong, sep="\n")
sys.exit(bool(wrong) or len(known) < 300)

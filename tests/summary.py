#!/usr/bin/env python3
"""Prints the closing line of a test run from meson's JSON logs (one test a line); exit status 1 when any failed."""
import json
import sys

count = {"passed": 0, "failed": 0, "skipped": 0}
KIND = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped", "IGNORED": "skipped"}
bad = []
for path in sys.argv[1:]:
    try:
        lines = open(path, encoding="utf-8", errors="replace").read().splitlines()
    except FileNotFoundError:
        print(f"no test log at {path}: its tests did not run", file=sys.stderr)
        bad.append(path)
        count["failed"] += 1
        continue
    for line in lines:
        test = json.loads(line)
        kind = KIND.get(test["result"], "failed")
        count[kind] += 1
        if kind == "failed":
            bad.append(f"{test['name']} ({test['result'].lower()})")
for name in bad:
    print("failed:", name)
print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
sys.exit(1 if count["failed"] or not count["passed"] else 0)

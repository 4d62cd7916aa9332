#!/usr/bin/env python3
"""Reads meson's JSON logs of test runs (one test a line).

summary.py LOG...         prints the closing line; exit status 1 when a test failed or none passed. Beside LOG may lie
                          LOG with -again in its name: the second run of what failed, whose results count.
summary.py --failed LOG   prints the names of the tests that failed, one a line.
"""
import json
import os
import sys

KIND = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped", "IGNORED": "skipped"}


def results(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        tests = [json.loads(line) for line in log if line.strip()]
    # meson prefixes the suites when it lists a test ("suite - project:name"); its own argument is the bare name.
    return [(t["name"].rsplit(" / ", 1)[-1].split(":")[-1], KIND.get(t["result"], "failed"), t["result"].lower()) for t in tests]


def main(paths):
    count = {"passed": 0, "failed": 0, "skipped": 0}
    bad, second, skipped = [], [], []
    for path in paths:
        if not os.path.exists(path):
            print(f"no test log at {path}: its tests did not run", file=sys.stderr)
            bad.append(path)
            count["failed"] += 1
            continue
        again = path.removesuffix(".json") + "-again.json"
        retried = {name: (kind, result) for name, kind, result in results(again)} if os.path.exists(again) else {}
        for name, kind, result in results(path):
            if kind == "failed" and name in retried:
                kind, result = retried[name]
                if kind == "passed":
                    second.append(name)
            count[kind] += 1
            if kind == "failed":
                bad.append(f"{name} ({result})")
            elif kind == "skipped":
                skipped.append(name)
    if skipped:
        print("skipped:", ", ".join(skipped))
    for name in second:
        print("passed only when run again alone:", name)
    for name in bad:
        print("failed:", name)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**count))
    return 1 if count["failed"] or not count["passed"] else 0


if sys.argv[1:2] == ["--failed"]:
    print(*(name for name, kind, _ in results(sys.argv[2]) if kind == "failed"), sep="\n")
    sys.exit(0)
sys.exit(main(sys.argv[1:]))

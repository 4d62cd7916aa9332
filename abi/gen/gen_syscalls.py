#!/usr/bin/env python3
"""Generates from an ABI's syscalls.tbl: the dispatch table, the prototypes header and the compatibility page.

    gen_syscalls.py --abi linux --table syscalls.tbl --c out.c --h out.h
    gen_syscalls.py --abi linux --table syscalls.tbl --docs linux.md --sources abi/linux
    gen_syscalls.py --abi linux --table syscalls.tbl --check --sources abi/linux --tests tests/linux [--strict]
"""
import argparse
import errno
import os
import re
import sys

KINDS = ("int uint long ulong hex oct fd atfd pid uid sig size off ptr str path bufin bufout flags struct").split()
STATUS = ("full", "partial", "stub", "enosys", "eperm")
ROW_ERR = {"enosys": "ENOSYS", "eperm": "EPERM"}


class Row:
    def __init__(self, where, line, abi):
        head, bar, note = line.partition("|")
        if not bar:
            sys.exit(f"{where}: no `|`")
        cols = head.split()
        if len(cols) != 6:
            sys.exit(f"{where}: six columns expected before `|`, found {len(cols)}")
        nr, self.name, status, args, handler, test = cols
        self.nr = int(nr, 0)
        m = re.fullmatch(r"([a-z]+)(?:\((E[A-Z0-9]+)\))?", status)
        if not m or m.group(1) not in STATUS or (m.group(2) and m.group(1) not in ROW_ERR):
            sys.exit(f"{where}: bad status {status}")
        self.status = m.group(1)
        self.err = m.group(2) or ROW_ERR.get(self.status, "")
        if self.err and not hasattr(errno, self.err):
            sys.exit(f"{where}: unknown errno {self.err}")
        self.args = []
        for a in [] if args == "-" else args.split(","):
            kind, _, decoder = a.partition(":")
            if kind not in KINDS or (bool(decoder) != (kind in ("flags", "struct"))):
                sys.exit(f"{where}: bad argument {a}")
            self.args.append((kind, decoder))
        if len(self.args) > 6:
            sys.exit(f"{where}: more than six arguments")
        self.handler = {"-": None, "=": f"{abi}_{self.name.lstrip('_')}"}.get(handler, handler)
        if (self.handler is None) != (self.status in ROW_ERR):
            sys.exit(f"{where}: enosys and eperm rows have no handler, all others have one")
        self.test = None if test == "-" else test
        self.note = note.strip()


def read_table(path, abi):
    rows, seen = [], set()
    with open(path, encoding="utf-8") as f:
        for n, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            row = Row(f"{path}:{n}", line, abi)
            if row.nr in seen or row.name in (r.name for r in rows):
                sys.exit(f"{path}:{n}: {row.nr} {row.name} appears twice")
            seen.add(row.nr)
            rows.append(row)
    rows.sort(key=lambda r: r.nr)
    return rows


def c_str(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"' if s else "NULL"


def header(rows, abi):
    guard = f"SUNDOG_{abi.upper()}_SYSCALLS_GEN_H"
    yield f"/* Generated from abi/{abi}/syscalls.tbl by abi/gen/gen_syscalls.py. */"
    yield f"#ifndef {guard}"
    yield f"#define {guard}"
    yield '#include "abi/abi.h"'
    for r in rows:
        yield f"#define {abi.upper()}_NR_{r.name} {r.nr}"
    yield f"#define {abi.upper()}_NR_TABLE {rows[-1].nr + 1}"
    for h in sorted({r.handler for r in rows if r.handler}):
        yield f"sysret_t {h}(const struct syscall_args *a);"
    yield f"extern const struct syscall_desc {abi}_syscall_table[{abi.upper()}_NR_TABLE];"
    yield "#endif"


def table(rows, abi, include):
    yield f"/* Generated from abi/{abi}/syscalls.tbl by abi/gen/gen_syscalls.py. */"
    yield f'#include "{include}"'
    # Weak: a handler that is not built leaves NULL, which dispatch answers with ENOSYS.
    for h in sorted({r.handler for r in rows if r.handler}):
        yield f"#pragma weak {h}"
    yield f"const struct syscall_desc {abi}_syscall_table[{abi.upper()}_NR_TABLE] = {{"
    for r in rows:
        f = [f'.name = "{r.name}"', f".fn = {r.handler or 'NULL'}", f".status = SC_{r.status.upper()}",
             f".nargs = {len(r.args)}"]
        if r.args:
            f.append(".args = { " + ", ".join("A_" + k.upper() for k, _ in r.args) + " }")
        if any(d for _, d in r.args):
            f.append(".arg_decoder = { " + ", ".join(c_str(d) for _, d in r.args) + " }")
        if r.err:
            f.append(f".err = {r.err}")
        f.append(f".note = {c_str(r.note)}")
        f.append(f".test = {c_str(r.test)}")
        yield f"    [{r.nr}] = {{ {', '.join(f)} }},"
    yield "};"


def defined_handlers(dirs):
    found = set()
    for d in dirs:
        for root, _, files in os.walk(d):
            for name in files:
                if name.endswith(".c"):
                    with open(os.path.join(root, name), encoding="utf-8") as f:
                        text = f.read()
                    found.update(re.findall(r"^sysret_t (\w+)\(", text, re.M))
                    for macro, arg in re.findall(r"^([A-Z_]+)\((\w+)", text, re.M):
                        found.add(arg)
                        found.add("linux_" + arg)
    return found


def docs(rows, abi, built):
    count = {}
    lines = []
    for r in rows:
        status, note = r.status, r.note
        if r.handler and r.handler not in built:
            status, note = "enosys", "not built yet"
        count[status] = count.get(status, 0) + 1
        err = r.err or ("ENOSYS" if status == "enosys" else "")
        shown = f"{status} ({err})" if err and err not in ("ENOSYS", "EPERM") else status
        test = f"`{r.test}`" if r.test and status in ("full", "partial") else ""
        lines.append(f"| {r.nr} | `{r.name}` | {shown} | {note} | {test} |")
    yield f"# System calls of the {abi.capitalize()} ABI"
    yield ""
    yield f"Generated from `abi/{abi}/syscalls.tbl`; do not edit. " + ", ".join(
        f"{count.get(s, 0)} {s}" for s in STATUS if count.get(s)) + "."
    yield ""
    yield "*full*: behaves as the reference system. *partial*: the note says what differs. *enosys*, *eperm*: refused with"
    yield "that error (or the one in brackets); the note says why."
    yield f"What whole suites of others find, and what fails there with its reason: [{abi}-suites.md]({abi}-suites.md)."
    yield ""
    yield "| nr | name | status | note | test |"
    yield "|---:|---|---|---|---|"
    yield from lines


def check(rows, built, tests):
    bad = []
    for r in rows:
        if r.status in ("partial", "stub", "enosys", "eperm") and not r.note:
            bad.append(f"{r.nr} {r.name}: {r.status} without a note")
        if r.status == "full" and not r.test:
            bad.append(f"{r.nr} {r.name}: full without a test")
        if r.test and tests and not os.path.exists(os.path.join(tests, r.test + "_test.c")):
            bad.append(f"{r.nr} {r.name}: test {r.test}_test.c does not exist")
        if r.handler and built is not None and r.handler not in built:
            bad.append(f"{r.nr} {r.name}: handler {r.handler} is not defined")
    return bad


def write(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--abi", required=True)
    p.add_argument("--table", required=True)
    p.add_argument("--c")
    p.add_argument("--h")
    p.add_argument("--docs")
    p.add_argument("--check", action="store_true")
    p.add_argument("--strict", action="store_true", help="--check fails when it finds something")
    p.add_argument("--sources", action="append", default=[])
    p.add_argument("--tests")
    o = p.parse_args()
    rows = read_table(o.table, o.abi)
    if o.h:
        write(o.h, header(rows, o.abi))
    if o.c:
        write(o.c, table(rows, o.abi, os.path.basename(o.h or f"{o.abi}_syscalls.gen.h")))
    built = defined_handlers(o.sources) if o.sources else None
    if o.docs:
        write(o.docs, docs(rows, o.abi, built if built is not None else {r.handler for r in rows}))
    if o.check:
        bad = check(rows, built, o.tests)
        for b in bad:
            print(f"{o.table}: warning: {b}")
        print(f"{len(rows)} rows, {len(bad)} warnings")
        return 1 if bad and o.strict else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

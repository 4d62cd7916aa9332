#!/usr/bin/env python3
"""Costs of single operations, start-up and memory: native, each of our platforms, and the peer when it is there.

    compare.py --build BUILD [--platforms ptrace,trap] [--runsc PATH] [--md docs/performance.md] [--rounds 3]

One run, one machine: every figure of the table is the median of the rounds, the rounds of all runners interleaved.
"""
import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def run(cmd, cwd):
    out = subprocess.run(cmd, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
    rows = {}
    for line in out.stdout.splitlines():
        parts = line.split()
        if len(parts) == 2:
            rows[parts[0]] = float(parts[1])
    if not rows:
        print(f"compare: {' '.join(cmd)}: status {out.returncode}: {out.stderr.strip()[-300:]}", file=sys.stderr)
    return rows


def wall(cmd, cwd):
    t = time.monotonic()
    ok = subprocess.run(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    return (time.monotonic() - t) * 1e9 if ok else None


def resident(cmd, cwd, mark):
    """Resident memory of everything a sleeping sandbox keeps, in kB: processes that were not there before."""
    before = set(os.listdir("/proc"))
    p = subprocess.Popen(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.5)
    total = 0
    for pid in set(os.listdir("/proc")) - before:
        try:
            with open(f"/proc/{pid}/comm") as f:
                if not any(m in f.read() for m in mark):
                    continue
            with open(f"/proc/{pid}/status") as f:
                total += sum(int(l.split()[1]) for l in f if l.startswith("VmRSS:"))
        except OSError:
            pass
    p.terminate()
    p.wait()
    return total


def bare_round_trip(build):
    """A bare PTRACE_SYSEMU round trip with registers read and written, tracer and tracee on one CPU, in ns."""
    subprocess.run(["ninja", "-C", build, "tests/bench/bench-ptrace-roundtrip"], stdout=subprocess.DEVNULL, check=False)
    try:
        out = subprocess.run([os.path.join(build, "tests/bench/bench-ptrace-roundtrip")], capture_output=True, text=True, timeout=120).stdout
    except OSError:
        return None
    for line in out.splitlines():
        if line.startswith("bare SYSEMU"):
            return float(line.split()[2]) * 1000
    return None


def cell(ns, base):
    if ns is None:
        return "-"
    text = f"{ns:,.0f}"
    return f"{text} ({ns / base:.1f})" if base else text


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", required=True)
    ap.add_argument("--platforms", default="ptrace")
    ap.add_argument("--runsc")
    ap.add_argument("--md")
    ap.add_argument("--rounds", type=int, default=3)
    a = ap.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    sundog = os.path.abspath(os.path.join(a.build, "sundog"))
    work = tempfile.mkdtemp(prefix="sundog-bench-")
    ops = os.path.join(work, "ops")
    subprocess.run(["cc", "-O2", "-static", "-pthread", "-o", ops, os.path.join(here, "ops.c")], check=True)
    runners = {"native": []}
    for p in a.platforms.split(","):
        runners[p] = [sundog, "run", "--platform", p, "--"]
    if a.runsc:
        for p in ("systrap", "ptrace"):
            runners[f"runsc {p}"] = [os.path.abspath(a.runsc), "--network=none", "--ignore-cgroups", f"--platform={p}", "do", "--"]
    got = {r: {} for r in runners}
    for _ in range(a.rounds):
        for name, prefix in runners.items():
            for op, ns in run(prefix + ["./ops"], work).items():
                got[name].setdefault(op, []).append(ns)
            for _ in range(5):
                ns = wall(prefix + [ops if not prefix else "./ops", "--exit"], work)
                if ns is not None:
                    got[name].setdefault("start-up", []).append(ns)
    med = {r: {op: statistics.median(v) for op, v in rows.items()} for r, rows in got.items()}
    mem = {}
    for name, prefix in runners.items():
        if prefix:
            mem[name] = resident(prefix + ["/bin/sleep", "3"], work, ("sundog", "runsc", "exe", "gofer", "sleep"))
    names = list(runners)
    lines = ["| operation, ns (x native) | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for op in list(med["native"]):
        lines.append(f"| {op} | {med['native'][op]:,.0f} | " + " | ".join(cell(med[n].get(op), med["native"][op]) for n in names[1:]) + " |")
    lines.append("| resident while `sleep` runs, kB | - | " + " | ".join(f"{mem[n]:,}" if mem.get(n) else "-" for n in names[1:]) + " |")
    bare = bare_round_trip(a.build)
    extra = ["", f"A bare PTRACE_SYSEMU round trip with GETREGSET and SETREGSET, tracer and tracee on one CPU, same run: {bare:,.0f} ns; "
                 f"getppid on ptrace is {med['ptrace']['getppid'] / bare:.2f} of it."] if bare and "ptrace" in med else []
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "?")
    head = [
        "# Performance", "",
        f"Generated by `tests/bench/compare.py` on {datetime.date.today()}: {cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}.",
        f"Medians of {a.rounds} interleaved rounds of `tests/bench/ops.c` in one run; in brackets the ratio to native of the same run.",
        "The machine is a virtual one and noisy: compare columns, not digits of different runs.", "",
    ]
    text = "\n".join(head + lines + extra) + "\n"
    print(text)
    if a.md:
        with open(a.md, "w", encoding="utf-8") as f:
            f.write(text)
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

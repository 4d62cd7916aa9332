#!/usr/bin/env python3
"""Costs of single operations, start-up and memory: native, each of our platforms, and the peer when it is there.

    compare.py --build BUILD [--platforms ptrace,trap] [--runsc PATH] [--md docs/performance.md] [--svg PATH] [--rounds 3] [--realtime]

One run, one machine: every figure of the table is the median of the rounds, the rounds of all runners interleaved. Without
--platforms: those that `sundog doctor` finds working. --realtime: everything runs in the real-time class, so that other work
on the machine disturbs less (root).
"""
import argparse
import datetime
import html
import json
import math
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


# The bars a platform is measured against: at most this part of the peer's time in the same run.
BARS = {"getppid": 0.30, "pread4k": 0.5, "stat": 0.3, "open+close": 0.3, "epoll+pipe": 0.3, "fork+exec": 0.5, "mmap+touch": 0.5, "fault": 0.5,
        "pipe": 0.7, "futex": 0.7}
COLOURS = {"ptrace": "#8a8f98", "trap": "#1f77b4", "kvm": "#2ca02c", "runsc systrap": "#ff7f0e", "runsc ptrace": "#c49c6b"}


def svg(med, names, title):
    """Bars on a logarithmic scale: time as a multiple of native."""
    ops = [op for op in med["native"] if op != "clock_gettime"]
    runners = [n for n in names if n != "native"]
    left, width, bar, gap, top = 110, 620, 9, 10, 54
    most = max((med[n][op] / med["native"][op] for n in runners for op in ops if op in med[n]), default=10)
    decades = max(1, math.ceil(math.log10(most)))

    def x(v):
        return left + width * math.log10(max(v, 1)) / decades

    group = bar * len(runners) + gap
    height = top + group * len(ops) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 70}" height="{height}" font-family="sans-serif" font-size="11">',
           f'<rect width="100%" height="100%" fill="white"/><text x="10" y="18" font-size="13">{html.escape(title)}</text>']
    at = 10
    for n in runners:
        out.append(f'<rect x="{at}" y="28" width="10" height="10" fill="{COLOURS.get(n, "#555")}"/><text x="{at + 14}" y="37">{html.escape(n)}</text>')
        at += 30 + 7 * len(n)
    for d in range(decades + 1):
        out.append(f'<line x1="{x(10 ** d):.0f}" y1="{top - 6}" x2="{x(10 ** d):.0f}" y2="{height - 24}" stroke="#ddd"/>'
                   f'<text x="{x(10 ** d):.0f}" y="{height - 10}" text-anchor="middle">{10 ** d} x native</text>')
    for i, op in enumerate(ops):
        y = top + i * group
        out.append(f'<text x="{left - 8}" y="{y + group / 2:.0f}" text-anchor="end">{html.escape(op)}</text>')
        for k, n in enumerate(runners):
            if op not in med[n]:
                continue
            v = med[n][op] / med["native"][op]
            out.append(f'<rect x="{left}" y="{y + k * bar}" width="{max(x(v) - left, 1):.1f}" height="{bar - 1}" fill="{COLOURS.get(n, "#555")}"/>'
                       f'<text x="{max(x(v), left + 1) + 4:.0f}" y="{y + k * bar + 8}" font-size="9">{v:.2g}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def against(med, platforms):
    """Rows of the bars: time of each platform as a part of runsc's in the same run."""
    peer = med.get("runsc systrap")
    if not peer:
        return []
    lines = ["", "## Against runsc systrap, same run", "", "| operation | bar | " + " | ".join(platforms) + " |", "|---" * (len(platforms) + 2) + "|"]
    for op, bar in BARS.items():
        if op not in peer:
            continue
        cells = []
        for p in platforms:
            v = med[p].get(op)
            cells.append("-" if v is None else f"{v / peer[op]:.2f} {'met' if v / peer[op] <= bar else 'missed'}")
        lines.append(f"| {op} | {bar} | " + " | ".join(cells) + " |")
    return lines


def working(sundog):
    out = subprocess.run([sundog, "doctor", "--json"], capture_output=True, text=True, timeout=120).stdout
    return [p["name"] for p in json.loads(out)["platforms"] if p["works"]][::-1]


def load():
    return "/".join(f"{v:.1f}" for v in os.getloadavg())


def cell(ns, base):
    if ns is None:
        return "-"
    text = f"{ns:,.0f}"
    return f"{text} ({ns / base:.1f})" if base else text


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", required=True)
    ap.add_argument("--platforms")
    ap.add_argument("--runsc")
    ap.add_argument("--md")
    ap.add_argument("--svg")
    ap.add_argument("--realtime", action="store_true")
    ap.add_argument("--rounds", type=int, default=3)
    a = ap.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    sundog = os.path.abspath(os.path.join(a.build, "sundog"))
    work = tempfile.mkdtemp(prefix="sundog-bench-")
    ops = os.path.join(work, "ops")
    subprocess.run(["cc", "-O2", "-static", "-pthread", "-o", ops, os.path.join(here, "ops.c")], check=True)
    platforms = a.platforms.split(",") if a.platforms else working(sundog)
    before = load()
    runners = {"native": []}
    for p in platforms:
        runners[p] = [sundog, "run", "--platform", p, "--"]
    if a.runsc:
        for p in ("systrap", "ptrace"):
            runners[f"runsc {p}"] = [os.path.abspath(a.runsc), "--network=none", "--ignore-cgroups", f"--platform={p}", "do", "--"]
    if a.realtime:
        if subprocess.run(["chrt", "-r", "1", "true"], stderr=subprocess.DEVNULL).returncode == 0:
            runners = {n: ["chrt", "-r", "1"] + p for n, p in runners.items()}
        else:
            print("compare: no right to use the real-time class; going on without", file=sys.stderr)
            a.realtime = False
    got = {r: {} for r in runners}
    for _ in range(a.rounds):
        for name, prefix in runners.items():
            for op, ns in run(prefix + ["./ops"], work).items():
                got[name].setdefault(op, []).append(ns)
            for _ in range(5):
                ns = wall(prefix + ["./ops", "--exit"], work)
                if ns is not None:
                    got[name].setdefault("start-up", []).append(ns)
    med = {r: {op: statistics.median(v) for op, v in rows.items()} for r, rows in got.items()}
    mem = {}
    for name, prefix in runners.items():
        if name != "native":
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
        f"Load average when it began {before}, at the end {load()}"
        + (": other work ran on the machine; all runners, native too, ran in the real-time class, above it." if a.realtime else "."),
        "Compare columns, not digits of different runs.", "",
    ]
    if a.svg:
        head += [f"![The same figures as bars]({os.path.basename(a.svg)})", ""]
        with open(a.svg, "w", encoding="utf-8") as f:
            f.write(svg(med, names, f"Time as a multiple of native, {cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}"))
    text = "\n".join(head + lines + extra + against(med, platforms)) + "\n"
    print(text)
    if a.md:
        with open(a.md, "w", encoding="utf-8") as f:
            f.write(text)
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Costs of single operations, start-up and memory: native, each of our platforms, and the peer when it is there.

    compare.py --build BUILD [--platforms ptrace,trap] [--runsc PATH] [--md docs/performance.md] [--svg PATH] [--rounds 3] [--realtime]
               [--policy | --esbuild]

One run, one machine: every figure of the table is the median of the rounds, the rounds of all runners interleaved. Without
--platforms: those that `sundog doctor` finds working. --realtime: everything runs in the real-time class, so that other work
on the machine disturbs less (root).
"""
import argparse
import ctypes
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

REAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../solaris/real")
sys.path.insert(0, REAL)
import npm  # noqa: E402


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


def tree(root, word):
    """Processes descended from root, and those whose command line has the word."""
    parent, named = {}, set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                parent[int(pid)] = int(f.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as f:
                if word and word in f.read():
                    named.add(int(pid))
        except (OSError, IndexError):
            pass
    found = {root} | named
    grown = True
    while grown:
        more = {pid for pid, up in parent.items() if up in found} - found
        found |= more
        grown = bool(more)
    return found - {os.getpid()}


def memory(cmd, cwd, word=None):
    """Memory of everything that runs for a sleeping sandbox, in kB: the sum of Pss, so that what is shared counts once."""
    p = subprocess.Popen(cmd, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    total = 0
    if p.poll() is None:
        for pid in tree(p.pid, word):
            try:
                with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                    total += sum(int(l.split()[1]) for l in f if l.startswith("Pss:"))
            except OSError:
                pass
    try:
        p.wait(20)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
    return total or None


class Containers:
    """Start-up and memory of a container with static busybox: crun, runsc and each of our platforms, by the same commands."""

    def __init__(self, work, sundog, runsc, platforms):
        self.work, self.number, self.why = work, 0, None
        busybox, crun = shutil.which("busybox"), shutil.which("crun")
        self.engines = {}
        if os.geteuid() or not busybox:
            self.why = "needs root" if os.geteuid() else "busybox is not here (busybox-static)"
            return
        # crun refuses hosts with cgroup version 1 and a controller on version 2: it gets a view without the latter.
        libc = ctypes.CDLL(None, use_errno=True)
        if os.path.exists("/sys/fs/cgroup/unified") and libc.unshare(0x20000) == 0:
            subprocess.run(["mount", "--make-rprivate", "/"], check=False)
            subprocess.run(["umount", "-l", "/sys/fs/cgroup/unified"], check=False, stderr=subprocess.DEVNULL)
        state = "/dev/shm" if os.path.isdir("/dev/shm") else work
        self.roots = []

        def root(name):
            path = tempfile.mkdtemp(prefix=f"sundog-bench-{name}-", dir=state)
            self.roots.append(path)
            return path

        if crun:
            self.engines["crun"] = [crun, "--root", root("crun")]
        if runsc:
            for p in ("systrap", "ptrace"):
                self.engines[f"runsc {p}"] = [runsc, "--root", root("runsc"), "--network=none", "--ignore-cgroups", f"--platform={p}"]
        for p in platforms:
            self.engines[p] = [sundog, "--root", root("ours")]
        for name in self.engines:
            for what, args in (("true", ["/bin/true"]), ("sleep", ["/bin/sleep", "4"])):
                self.bundle(name, what, args, busybox)

    def where(self, name, what):
        return os.path.join(self.work, f"bundle-{name.replace(' ', '-')}-{what}")

    def bundle(self, name, what, args, busybox):
        at = self.where(name, what)
        for d in ("bin", "proc", "dev", "sys", "etc", "tmp"):
            os.makedirs(os.path.join(at, "rootfs", d))
        shutil.copy(busybox, os.path.join(at, "rootfs/bin/busybox"))
        for link in ("true", "sleep"):
            os.symlink("busybox", os.path.join(at, "rootfs/bin", link))
        caps = ["CAP_KILL"]
        config = {
            "ociVersion": "1.0.0", "hostname": "bench", "root": {"path": "rootfs"},
            "process": {"args": args, "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"], "noNewPrivileges": True,
                        "capabilities": {k: caps for k in ("bounding", "effective", "permitted")}},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                       {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]}],
            "linux": {"namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]},
        }
        if name in ("ptrace", "trap", "kvm"):
            config["annotations"] = {"sundog.platform": name}
        with open(os.path.join(at, "config.json"), "w", encoding="ascii") as f:
            json.dump(config, f)

    def command(self, name, what):
        self.number += 1
        ident = f"bench{os.getpid()}x{self.number}"
        return self.engines[name] + ["run", "--bundle", self.where(name, what), ident], ident

    def measure(self, rounds):
        """Start-up (median, ns) and memory while sleeping (kB) by engine."""
        times = {n: [] for n in self.engines}
        for _ in range(rounds):
            for n in self.engines:
                t = wall(self.command(n, "true")[0], self.work)
                if t is not None:
                    times[n].append(t)
        mem = {}
        for n in self.engines:
            if times[n]:
                cmd, ident = self.command(n, "sleep")
                mem[n] = memory(cmd, self.work, ident)
        for r in self.roots:
            shutil.rmtree(r, ignore_errors=True)
        return {n: statistics.median(v) for n, v in times.items() if v}, mem


def container_lines(cont, platforms, times, mem):
    lines = ["", "## Containers", ""]
    if cont.why:
        return lines + [f"Not measured: {cont.why}."]
    lines += ["`run` of a bundle with static busybox: `true` for start-up and end, `sleep` for memory (sum of Pss of every process that runs for "
              "it). Medians of interleaved rounds, without the real-time class.", "", "| | start-up, ms | memory, kB |", "|---|---|---|"]
    for n in cont.engines:
        lines.append(f"| {n} | {f'{times[n] / 1e6:.1f}' if n in times else '-'} | {f'{mem[n]:,}' if mem.get(n) else '-'} |")
    runsc = next((n for n in ("runsc systrap", "runsc ptrace") if n in times), None)
    lines += ["", "| bar | " + " | ".join(platforms) + " |", "|---" * (len(platforms) + 1) + "|"]
    for text, peer, values, bar in (("start-up at most 1.5 x crun", "crun", times, 1.5), (f"start-up at most 0.15 x {runsc or 'runsc'}", runsc, times, 0.15),
                                    (f"memory at most 0.2 x {runsc or 'runsc'}", runsc, mem, 0.2)):
        base = values.get(peer) if peer else None
        lines.append(f"| {text} | " + " | ".join(verdict(values.get(p), base, bar) for p in platforms) + " |")
    return lines


def bare_round_trip(build, prefix):
    """A bare PTRACE_SYSEMU round trip with registers read and written, tracer and tracee on one CPU, in ns."""
    subprocess.run(["ninja", "-C", build, "tests/bench/bench-ptrace-roundtrip"], stdout=subprocess.DEVNULL, check=False)
    try:
        out = subprocess.run(prefix + [os.path.join(build, "tests/bench/bench-ptrace-roundtrip")], capture_output=True, text=True, timeout=120).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    for line in out.splitlines():
        if line.startswith("bare SYSEMU"):
            return float(line.split()[2]) * 1000
    return None


# The bars a platform is measured against: at most this part of the peer's time in the same run.
BARS = {"getppid": 0.30, "pread4k": 0.5, "read4k": 0.5, "stat": 0.3, "open+close": 0.3, "epoll+pipe": 0.3, "getppid, CPUs busy": 1.0,
        "fork+exec": 0.5, "mmap+touch": 0.5, "fault": 0.5, "pipe": 0.7, "futex": 0.7}
# kvm's, where runsc patches the site of the call.
BARS_KVM = {"pread4k": 1.0, "read4k": 1.0}
ONLY_TRAP = "getppid, CPUs busy"
BEST_OF = "fork+exec"
# Pure computation: at most this many times native, the shortest of all rounds of each.
COMPUTE = ("cpu", "avx512", "avx2", "zlib")
COMPUTE_BAR = 1.02
START_BAR_MS = 15
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


def verdict(value, base, bar):
    if not value or not base:
        return "-"
    return f"{value / base:.2f} {'met' if value / base <= bar else 'missed'}"


def against(med, platforms):
    """Rows of the bars: time of each platform as a part of runsc's in the same run."""
    peer = med.get("runsc systrap")
    if not peer:
        return ["", "runsc systrap did not run here, so the bars against it are not judged (bookworm-backports has a runsc that can)."]
    lines = ["", "## Against runsc systrap, same run", "", "| operation | bar | " + " | ".join(platforms) + " |", "|---" * (len(platforms) + 2) + "|"]
    for op, bar in BARS.items():
        if op not in peer:
            continue
        cells = []
        best = min((med[p][op] for p in platforms if op in med[p]), default=None)
        for p in platforms:
            mine = BARS_KVM.get(op, bar) if p == "kvm" else bar
            text = verdict(med[p].get(op), peer[op], mine)
            if (op == ONLY_TRAP and p != "trap") or (op == BEST_OF and med[p].get(op) != best):
                text = text.split()[0]
            elif mine != bar and text != "-":
                text += f" (bar {mine})"
            cells.append(text)
        lines.append(f"| {op} | {bar}{', trap' if op == ONLY_TRAP else ', best platform' if op == BEST_OF else ''} | " + " | ".join(cells) + " |")
    return lines


def absolute(med, least, platforms):
    """The bars against native, and start-up."""
    lines = ["", "## Against native, and start-up", "", "| | bar | " + " | ".join(platforms) + " |", "|---" * (len(platforms) + 2) + "|"]
    for op in COMPUTE:
        if op in least["native"]:
            cells = []
            for p in platforms:
                v = least[p].get(op)
                cells.append(f"{v / least['native'][op]:.3f} {'met' if v / least['native'][op] <= COMPUTE_BAR else 'missed'}" if v else "-")
            lines.append(f"| {op}, shortest of the rounds, x native | {COMPUTE_BAR} | " + " | ".join(cells) + " |")
    cells = []
    for p in platforms:
        v = med[p].get("start-up")
        cells.append(f"{v / 1e6:.1f} ms {'met' if v / 1e6 < START_BAR_MS else 'missed'}" if v else "-")
    lines.append(f"| start-up and end of a static program that does nothing | {START_BAR_MS} ms | " + " | ".join(cells) + " |")
    if "avx512" not in least["native"]:
        lines += ["", "This processor has no AVX-512: its kernel was not run."]
    return lines


def busy(prefix, ops, work):
    """getppid while every CPU has something else to do, too."""
    burners = [subprocess.Popen([ops, "--spin"], cwd=work) for _ in range(os.cpu_count() or 1)]
    try:
        return run(prefix + ["./ops", "getppid"], work).get("getppid")
    finally:
        for b in burners:
            b.kill()
            b.wait()


POLICY_OPS = ("open+close", "connect")
POLICY_BAR = 1.05


def policy_profiles(work):
    """Two profiles that allow the same: one with nothing else, one with 500 rules about paths and addresses around it."""
    small = f"profile 1 small\n[files]\nrwx {work}\n[net]\nconnect 127.0.0.1:9 udp\n"
    files = [f"deny {work}/secret{i}" for i in range(100)] + [f"ro /usr/share/nothing{i}/deeper/still" for i in range(100)]
    files += [f"deny {work}/*.key{i}" for i in range(20)] + [f"deny /opt/{i}/*/x" for i in range(30)]
    nets = [f"connect 127.0.{1 + i // 100}.{1 + i % 100}:{1000 + i} tcp" for i in range(150)] + [f"deny 127.1.{i}.0/24:53 udp" for i in range(98)]
    big = "profile 1 big\n[files]\n" + "\n".join([f"rwx {work}"] + files) + "\n[net]\n" + "\n".join(["connect 127.0.0.1:9 udp"] + nets) + "\n"
    paths = []
    for name, text in (("small", small), ("big", big)):
        paths.append(os.path.join(work, f"{name}.profile"))
        with open(paths[-1], "w", encoding="ascii") as f:
            f.write(text)
    return paths, len(files) + len(nets) + 2


def policy_cost(sundog, work, platforms, rounds, before=()):
    """What a long profile costs against a short one: interleaved, the shortest of the rounds of each."""
    (small, big), rules = policy_profiles(work)
    lines = ["", "## A long profile against a short one, same run", "",
             f"{rules} rules against the 2 of them that the operations need; the shortest of {rounds} interleaved rounds, in ns. `connect` is the call alone, of a "
             "datagram socket.", "", f"| operation | " + " | ".join(f"{p}: 2 rules | {rules} rules | ratio (bar {POLICY_BAR})" for p in platforms) + " |",
             "|---" * (3 * len(platforms) + 1) + "|"]
    least = {}
    for _ in range(rounds):
        for p in platforms:
            for name, profile in (("small", small), ("big", big)):
                rows = run([*before, sundog, "run", "--platform", p, "--net", "loopback", "--profile", profile, "--", "./ops", *POLICY_OPS], work)
                for op, ns in rows.items():
                    least[p, name, op] = min(ns, least.get((p, name, op), ns))
    for op in POLICY_OPS:
        cells = []
        for p in platforms:
            a, b = least.get((p, "small", op)), least.get((p, "big", op))
            cells.append(f"{a:,.0f} | {b:,.0f} | {verdict(b, a, POLICY_BAR)}" if a and b else "- | - | -")
        lines.append(f"| {op} | " + " | ".join(cells) + " |")
    return lines


def esbuild_cost(sundog, work, platforms, rounds, before=()):
    """esbuild for SunOS inside, against its Linux build natively and inside: bundling 500 modules."""
    cache = os.path.join(os.path.dirname(sundog), "solaris-real")
    lines = ["", "## A program for Solaris, same run", ""]
    try:
        sun, linux = (npm.package(cache, f"@esbuild/{os_}-x64", npm.ESBUILD, "bin/esbuild") for os_ in ("sunos", "linux"))
    except npm.Missing as e:
        return lines + [f"Not measured: {e}."]
    subprocess.run([sys.executable, os.path.join(REAL, "project.py"), work + "/p"], check=True, stdout=subprocess.DEVNULL)
    for name, path in (("sun", sun), ("linux", linux)):
        shutil.copy(path, f"{work}/esbuild-{name}")
    args = ["p/src/main.ts", "--bundle", "--minify", "--sourcemap", "--jsx=automatic", "--external:react/jsx-runtime",
            "--log-level=error", "--outdir=out"]
    runners = {"Linux build, native": ["./esbuild-linux"]}
    for p in platforms:
        runners[f"SunOS build, {p}"] = [sundog, "run", "--platform", p, "--", "./esbuild-sun"]
        runners[f"Linux build, {p}"] = [sundog, "run", "--platform", p, "--", "./esbuild-linux"]
    took = {n: [] for n in runners}
    for _ in range(rounds):
        for name, prefix in runners.items():
            ns = wall([*before, *prefix, *args], work)
            if ns is not None:
                took[name].append(ns)
    base = statistics.median(took["Linux build, native"])
    lines += [f"esbuild {npm.ESBUILD} bundles, minifies and maps 500 modules; medians of {rounds} interleaved runs, with start-up.", "",
              "| build | time, s | x native |", "|---|---:|---:|"]
    for name, v in took.items():
        lines.append(f"| {name} | {statistics.median(v) / 1e9:.2f} | {statistics.median(v) / base:.2f} |" if v else f"| {name} | failed | - |")
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
    ap.add_argument("--policy", action="store_true", help="only the cost of a long profile")
    ap.add_argument("--esbuild", action="store_true", help="only the bundling of 500 modules")
    a = ap.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    sundog = os.path.abspath(os.path.join(a.build, "sundog"))
    work = tempfile.mkdtemp(prefix="sundog-bench-")
    ops = os.path.join(work, "ops")
    cc = ["cc", "-O2", "-static", "-pthread", "-o", ops, os.path.join(here, "ops.c")]
    if subprocess.run(cc + ["-DWITH_ZLIB", "-lz"], stderr=subprocess.DEVNULL).returncode:
        print("compare: no static zlib (zlib1g-dev): its row stays out", file=sys.stderr)
        subprocess.run(cc, check=True)
    platforms = a.platforms.split(",") if a.platforms else working(sundog)
    if a.esbuild:
        print("\n".join(esbuild_cost(sundog, work, platforms, 3 * a.rounds, ["chrt", "-r", "1"] if a.realtime else [])))
        shutil.rmtree(work, ignore_errors=True)
        return
    if a.policy:
        print("\n".join(policy_cost(sundog, work, platforms, max(a.rounds, 7), ["chrt", "-r", "1"] if a.realtime else [])))
        shutil.rmtree(work, ignore_errors=True)
        return
    before = load()
    plain = {"native": []}
    for p in platforms:
        plain[p] = [sundog, "run", "--platform", p, "--"]
    if a.runsc:
        for p in ("systrap", "ptrace"):
            plain[f"runsc {p}"] = [os.path.abspath(a.runsc), "--network=none", "--ignore-cgroups", f"--platform={p}", "do", "--"]
    runners = dict(plain)
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
            ns = busy(plain[name], ops, work) # above others it would not meet them
            if ns is not None:
                got[name].setdefault(ONLY_TRAP, []).append(ns)
    least = {r: {op: min(v) for op, v in rows.items()} for r, rows in got.items()}
    med = {r: {op: statistics.median(v) for op, v in rows.items()} for r, rows in got.items()}
    mem = {name: memory(prefix + ["/bin/sleep", "4"], work) for name, prefix in plain.items() if name != "native"}
    cont = Containers(work, sundog, os.path.abspath(a.runsc) if a.runsc else None, platforms)
    container_rows = container_lines(cont, platforms, *(cont.measure(5 * a.rounds) if not cont.why else ({}, {})))
    names = list(runners)
    lines = ["| operation, ns (x native) | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for op in list(med["native"]):
        lines.append(f"| {op} | {med['native'][op]:,.0f} | " + " | ".join(cell(med[n].get(op), med["native"][op]) for n in names[1:]) + " |")
    lines.append("| memory while `sleep` runs, kB (sum of Pss) | - | " + " | ".join(f"{mem[n]:,}" if mem.get(n) else "-" for n in names[1:]) + " |")
    bare = bare_round_trip(a.build, runners["native"])
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
    text = "\n".join(head + lines + extra + against(med, platforms) + absolute(med, least, platforms) +
                     policy_cost(sundog, work, platforms, max(3 * a.rounds, 40), ["chrt", "-r", "1"] if a.realtime else []) + container_rows +
                     esbuild_cost(sundog, work, platforms, 3 * a.rounds, ["chrt", "-r", "1"] if a.realtime else [])) + "\n"
    print(text)
    if a.md:
        with open(a.md, "w", encoding="utf-8") as f:
            f.write(text)
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

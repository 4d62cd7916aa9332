#!/usr/bin/env python3
"""sundog top: what it tells of a sandbox with a profile and of one without, under a terminal and without one; that
nothing is recorded while nobody watches; that a terminal is left as it was found."""
import fcntl, json, os, pty, re, select, signal, struct, subprocess, sys, tempfile, termios, time

S = os.path.realpath(os.environ["SUNDOG"])
PLATFORM = os.environ.get("SUNDOG_TEST_PLATFORM", "auto")
work = tempfile.mkdtemp()
os.environ.update(HOME=work, XDG_STATE_HOME=work + "/state", XDG_CONFIG_HOME=work + "/config", XDG_RUNTIME_DIR=work, TERM="xterm")
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAIL:", what)


class Box:
    """A shell inside, which does what it is told."""
    def __init__(self, *opts):
        self.p = subprocess.Popen([S, "run", "--platform", PLATFORM, *opts, "--", "sh"], cwd=work, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        self.id = f"run {self.p.pid}"
        self.do("echo ready")

    def do(self, line):
        self.p.stdin.write(f"{line}\necho -end-\n".encode())
        self.p.stdin.flush()
        while True:
            got = self.p.stdout.readline()
            if not got or got.endswith(b"-end-\n"):
                return

    def end(self):
        self.p.stdin.close()
        self.p.wait()


def top():
    r = subprocess.run([S, "top", "--json"], capture_output=True, text=True, timeout=60)
    check(r.returncode == 0, f"top --json: {r.stderr}")
    return {b["id"]: b for b in json.loads(r.stdout)}


def objects(box):
    return [o["object"] for o in box["recent"]]


for n in "abcd":
    open(f"{work}/{n}", "w").write(n)
open(work + "/secret", "w").write("s")
open(work + "/t.profile", "w").write(f"profile 1 t\ninclude system\n[files]\nro {work}\ndeny {work}/secret\n")
plain, ruled = Box("--rw", work), Box("--profile", work + "/t.profile")

# Without a profile: seen from the moment somebody watches, and only then.
b = top()
check(plain.id in b and ruled.id in b, f"both are listed: {list(b)}")
check(b[plain.id]["tasks"] >= 1 and b[plain.id]["memory"] > 0 and b[plain.id]["process_list"][0]["pid"] == 1, f"tasks and processes: {b[plain.id]}")
plain.do("cat a")
before = top()[plain.id]
check(not any(o.endswith("/a") for o in objects(before)), "what was opened while nobody watched was recorded")
for _ in range(20):
    plain.do("cat /etc/hostname")
after = top()[plain.id]
check(after["calls"] - before["calls"] < 100, f"calls were counted while nobody watched: {before['calls']} and {after['calls']}")

# With one: what was denied is there from the start.
ruled.do("cat secret; cat b")
r = top()[ruled.id]
check(r["denials"] == 1 and r["denied"][0]["object"] == work + "/secret" and r["denied"][0]["verdict"] == "denied", f"the denial: {r['denied']}")
check(work + "/b" in objects(r) and r["files"] > 1, f"the file: {objects(r)}")


class Screen:
    """The terminal of a live top: raw output, and the text of the last whole picture."""
    def __init__(self, rows, cols):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            while os.path.exists(work + "/hold"):
                time.sleep(0.02)
            os.execv(S, [S, "top", "--interval", "0.2"])
        self.size(rows, cols)
        self.before = termios.tcgetattr(self.fd)
        os.unlink(work + "/hold")
        self.raw = b""

    def size(self, rows, cols):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def wait(self, want, what, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    got = os.read(self.fd, 65536)
                except OSError:
                    break
                if not got:
                    break
                self.raw += got
                if want(self):
                    return True
        check(False, f"{what}: {self.picture()}")
        return False

    def pictures(self):
        return [p for p in self.raw.split(b"\x1b[H")[1:] if p.endswith(b"\x1b[J")]

    def picture(self):
        p = self.pictures()
        return re.split("\r*\n", re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", p[-1]).decode(errors="replace")) if p else []


open(work + "/hold", "w")
s = Screen(40, 120)
s.wait(lambda x: any(plain.id in l for l in x.picture()) and any(ruled.id in l for l in x.picture()), "both in the live view")
check(s.raw.startswith(b"\x1b[?1049h"), "it does not use the other screen")
# the order is that of the host's list of sockets: choose the plain one
chosen = next(l for l in s.picture()[2:] if l.startswith("run "))
if not chosen.startswith(plain.id):
    os.write(s.fd, b"j")
s.wait(lambda x: any(l.startswith(plain.id + ": ") for l in x.picture()), "the chosen one below")
plain.do("cat c")
s.wait(lambda x: any(l.endswith("/c") for l in x.picture()), "what is opened while it is watched")
s.raw = b""
s.size(8, 40)
s.wait(lambda x: len(x.pictures()) >= 3 and len(x.picture()) <= 8, "the smaller window")
check(all(len(l) <= 40 for l in s.picture()), f"lines go over the edge: {s.picture()}")
os.write(s.fd, b"q")
end, status = time.monotonic() + 60, None
while time.monotonic() < end and status is None:
    if select.select([s.fd], [], [], 0.05)[0]:
        try:
            s.raw += os.read(s.fd, 65536)
        except OSError:
            pass
    done, ws = os.waitpid(s.pid, os.WNOHANG)
    if done:
        status = ws
check(status == 0, f"q: status {status}")
check(s.raw.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"), "the cursor and the screen are not given back")

# Without a terminal: one page of text.
r = subprocess.run([S, "top"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
check(r.returncode == 0 and plain.id in r.stdout and "\x1b" not in r.stdout, f"without a terminal: {r.stdout} {r.stderr}")
r = subprocess.run([S, "top", "--interval", "0"], capture_output=True, text=True)
check(r.returncode == 125 and "0.1 to 3600" in r.stderr, f"--interval 0: {r.stderr}")
plain.end()
ruled.end()
check(not {plain.id, ruled.id} & set(top()), "ended sandboxes are listed")
subprocess.run(["rm", "-rf", work])
sys.exit(1 if failures else 0)

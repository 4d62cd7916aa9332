#!/usr/bin/env python3
"""A terminal session: job control, keys, window size, and the terminal's state afterwards."""
import fcntl, os, pty, re, select, signal, struct, sys, termios, time
SUNDOG = os.environ["SUNDOG"]
failures = 0


class Session:
    def __init__(self, *argv, rows=24, cols=80):
        self.master, self.slave = pty.openpty()
        self.size(rows, cols, tell=False)
        self.before = termios.tcgetattr(self.slave)
        self.text = b""
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for i in range(3):
                os.dup2(self.slave, i)
            os.closerange(3, 100)
            os.environ["TERM"] = "dumb"
            os.execv(SUNDOG, [SUNDOG, "run", *argv])

    def size(self, rows, cols, tell=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, cols, 0, 0))

    def expect(self, pattern, seconds=10):
        end = time.monotonic() + seconds
        while True:
            m = re.search(pattern, self.text)
            if m:
                self.text = self.text[m.end():]
                return m
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise AssertionError(f"no {pattern!r} within {seconds} s; there is {self.text[-300:]!r}")
            try:
                self.text += os.read(self.master, 4096)
            except OSError:
                raise AssertionError(f"closed before {pattern!r}: {self.text[-300:]!r}")

    def send(self, data):
        os.write(self.master, data)

    def end(self, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.text += os.read(self.master, 4096)
                except OSError:
                    pass
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"sundog did not end: {self.text[-300:]!r}")

    def restored(self):
        assert termios.tcgetattr(self.slave) == self.before, "the terminal's settings were not restored"


def bash(**kw):
    s = Session("--", "bash", "--norc", "--noprofile", "-i", **kw)
    s.send(b"PS1='%%% '; bind 'set enable-bracketed-paste off' 2>/dev/null\n")
    s.expect(rb"(?m)^%%% |\n%%% ")
    return s


def job_control():
    s = bash()
    assert s.text.find(b"no job control") < 0
    s.send(b"tty; echo st=$?\n")
    s.expect(rb"/dev/(pts/\d+|console|tty)\r\nst=0")
    s.send(b"sleep 100; echo after\n")
    time.sleep(0.5)
    s.send(b"\x03")
    s.expect(rb"%%% ")
    s.send(b"echo st=$?\n")
    s.expect(rb"st=130\r")
    s.send(b"sleep 100\n")
    time.sleep(0.5)
    s.send(b"\x1a")
    s.expect(rb"Stopped")
    s.send(b"jobs\n")
    s.expect(rb"\[1\]\+ +Stopped +sleep 100")
    s.send(b"bg; sleep 0.2; jobs\n")
    s.expect(rb"Running +sleep 100")
    s.send(b"fg\n")
    s.expect(rb"\r\nsleep 100\r\n")
    time.sleep(0.3)
    s.send(b"\x03")
    s.expect(rb"%%% ")
    s.send(b"cat\n")
    time.sleep(0.3)
    s.send(b"line\n")
    s.expect(rb"line\r\nline\r\n")
    s.send(b"\x04")
    s.expect(rb"%%% ")
    s.send(b"sleep 100 &\n")
    s.expect(rb"%%% ")
    s.send(b"cat & sleep 0.3; jobs\n")
    s.expect(rb"Stopped.*cat")
    s.send(b"kill %1 %2; wait; exit 5\n")
    s.expect(rb"exit")
    code = s.end()
    if code != 5:  # bash warns of stopped jobs once
        raise AssertionError(f"status {code}: {s.text[-200:]!r}")
    s.restored()


def quit_key():
    s = Session("--", "sh", "-c", "echo go; sleep 100")
    s.expect(rb"go")
    s.send(b"\x1c")
    code = s.end()
    assert code in (131, 128 + 3), code
    s.restored()


def window():
    s = Session("--", "bash", "--norc", "-c", "stty size; trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done", rows=31, cols=97)
    s.expect(rb"31 97\r\nready")
    s.size(40, 120)
    os.kill(s.pid, signal.SIGWINCH)
    s.expect(rb"40 120")
    time.sleep(0.3)  # bash ignores the key while its trap runs stty
    s.send(b"\x03")
    assert s.end() == 130
    s.restored()


def raw_mode():
    s = Session("--", "python3", "-c", "import tty,os,sys; tty.setraw(0); print('go', flush=True); sys.stdout.write(repr(os.read(0, 3))); sys.stdout.flush()")
    s.expect(rb"go")
    time.sleep(0.2)
    s.send(b"\x03\x1ax")
    s.expect(rb"\\x03")
    assert s.end() == 0
    s.restored()


def killed(who):
    s = Session("--", "sh", "-c", "echo go; sleep 100")
    s.expect(rb"go")
    time.sleep(0.3)  # else sh may not find its files
    kids = open(f"/proc/{s.pid}/task/{s.pid}/children").read().split()
    for k in kids:
        if open(f"/proc/{k}/comm").read().strip() == who:
            os.kill(int(k), signal.SIGKILL)
            break
    else:
        raise AssertionError(f"no {who} among {kids}")
    code = s.end()
    assert code == 125, f"status {code}"
    assert b"killed" in s.text or s.expect(rb"killed")
    s.restored()


def terminated():
    s = Session("--", "sh", "-c", "echo go; sleep 100")
    s.expect(rb"go")
    os.kill(s.pid, signal.SIGTERM)
    assert s.end() == 143
    s.restored()


def hangup():
    s = Session("--", "sh", "-c", "trap 'exit 3' HUP; echo go; while :; do sleep 0.1; done")
    s.expect(rb"go")
    os.close(s.slave)
    os.close(s.master)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        pid, status = os.waitpid(s.pid, os.WNOHANG)
        if pid:
            return
        time.sleep(0.05)
    os.kill(s.pid, signal.SIGKILL)
    os.waitpid(s.pid, 0)
    raise AssertionError("the sandbox outlives its terminal")


def big_output():
    s = Session("--", "seq", "100000")
    s.expect(rb"\n99999\r\n100000\r\n", 30)
    assert s.end() == 0
    s.restored()


for name, test in [("job control", job_control), ("quit key", quit_key), ("window size", window), ("raw mode", raw_mode),
                   ("sentry killed", lambda: killed("sundog-sentry")), ("gofer killed", lambda: killed("sundog-gofer")),
                   ("SIGTERM", terminated), ("hang-up", hangup), ("much output", big_output)]:
    try:
        test()
        print("ok", name)
    except AssertionError as e:
        failures += 1
        print("FAIL", name, e)
sys.exit(1 if failures else 0)

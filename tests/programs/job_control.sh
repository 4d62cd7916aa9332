#!/bin/bash
# An interactive bash under a pseudo-terminal: Ctrl-C, Ctrl-Z, jobs, bg, fg, kill %1, a window size, end of file.
set -eu
/usr/bin/python3 - <<'P'
import fcntl, os, pty, re, select, signal, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execve('/bin/bash', ['bash', '--norc', '--noprofile', '-i'], {'PS1': 'ready> ', 'PATH': os.environ['PATH'], 'TERM': 'dumb'})
seen = ''
def expect(pattern):
    global seen
    end = time.monotonic() + 60
    while True:
        m = re.search(pattern, seen)
        if m:
            seen = seen[m.end():]
            return m
        if time.monotonic() > end or not select.select([fd], [], [], 60)[0]: sys.exit(f'no {pattern!r} in {seen!r}')
        try: seen += os.read(fd, 4096).decode(errors='replace').replace('\r', '')
        except OSError: sys.exit(f'closed before {pattern!r}: {seen!r}')
def say(s): os.write(fd, s.encode())
expect('ready> ')
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 31, 97, 0, 0))
say('stty size\n'); expect('\n31 97\n'); expect('ready> ')
# The loop tells when it runs, so that the keys reach it and not bash.
say("bash -c 'echo st\"\"arted; exec sleep 500'\n"); expect('started'); time.sleep(0.3); say('\x03'); expect('ready> ')
say('echo status $?\n'); expect('status 130\n'); expect('ready> ')
say("bash -c 'echo st\"\"arted; exec sleep 501'\n"); expect('started'); time.sleep(0.3); say('\x1a'); expect('Stopped'); expect('ready> ')
say('jobs\n'); expect(r'\[1\]\+  Stopped'); expect('ready> ')
say('bg\n'); expect('ready> ')
say('jobs\n'); expect('Running'); expect('ready> ')
say('fg\n'); expect('sleep 501'); time.sleep(0.3); say('\x1a'); expect('Stopped'); expect('ready> ')
say('kill %1; wait %1; echo gone $?\n'); expect('gone (143|148)\n'); expect('ready> ')
say("sleep 502 & echo pid $!\n"); p = int(expect(r'pid (\d+)\n').group(1)); expect('ready> ')
say('(echo st""arted; sleep 503; true) | cat\n'); expect('started'); time.sleep(0.3); say('\x03'); expect('ready> ')
say(f'kill {p}; exit 7\n')   # by number: the job before may not have been reported yet, and then this is %2
while True:
    if not select.select([fd], [], [], 60)[0]: sys.exit('bash does not end')
    try:
        if not os.read(fd, 4096): break
    except OSError: break
_, st = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(st) == 7, st
P

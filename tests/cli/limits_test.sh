#!/bin/bash
# Ends of resources inside: memory, file space, descriptors, processes.
. "$(dirname "$0")/lib.sh"
expect 0 '^ENOSPC$' run --memory 64M -- python3 -c '
import errno
try:
    f = open("/tmp/big", "wb", buffering=0)
    while True: f.write(bytes(1 << 20))
except OSError as e:
    print(errno.errorcode[e.errno])'
# Space comes back when the file goes.
expect 0 '^again$' run --memory 128M -- sh -c 'for i in 1 2 3 4 5 6; do head -c 40000000 /dev/zero >/tmp/f || exit 1; rm /tmp/f; done; echo again'
expect 0 '(MemoryError|killed)$' run --memory 64M -- sh -c 'python3 -c "
try: x = bytearray(1 << 30); print(len(x))
except MemoryError: print(\"MemoryError\")" || echo killed'
# 100,000 descriptors in one process .
cat >many.py <<'P'
import os, resource
want = 100000   # the host's hard limit binds neither the sandbox's root nor the sentry
resource.setrlimit(resource.RLIMIT_NOFILE, (want + 50, want + 50))
fds = [os.open("/tmp/x%d" % (i % 100), os.O_RDWR | os.O_CREAT) for i in range(want)]
os.write(fds[-1], b"end")
assert os.pread(fds[-1], 9, 0) == b"end"
for fd in fds: os.close(fd)
try:
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    for i in range(30): os.open("/dev/null", os.O_RDONLY)
except OSError as e:
    print("opened", want, e.errno)
P
expect 0 '^opened 100000 24$' run --uid 0 --rox "$work:/w" -- python3 /w/many.py
# Files of the host, all open at once: more than the sentry and gofer may hold descriptors.
mkdir host; (cd host && seq 1 3000 | xargs touch)
expect 0 '^3000$' run --ro "$work/host:/h" -- python3 -c '
import os
fds = [os.open("/h/%d" % i, os.O_RDONLY) for i in range(1, 3001)] if __import__("resource").setrlimit(7, (4000, 4000)) is None else []
print(len(fds))'
expect 0 '^EAGAIN$' run -- bash -c 'ulimit -u 20; python3 -c "
import os, errno
os.setgid(1000); os.setuid(1000)
try:
    for i in range(200):
        if not os.fork(): os.execv(\"/bin/sleep\", [\"sleep\", \"60\"])
except OSError as e: print(errno.errorcode[e.errno])"'
finish

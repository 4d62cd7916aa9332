#!/bin/bash
# Damaged ELF images: each ends with a status, none ends the sandbox.
. "$(dirname "$0")/lib.sh"
cat >prog.c <<'C'
int main(void) { return 0; }
C
cc -static -o prog prog.c 2>/dev/null || cp "$(command -v busybox)" prog || exit 77
cat >sweep.py <<'P'
"""Writes and starts variants of an image inside the sandbox; prints how many ran."""
import os, resource, signal, sys
image = bytearray(open(sys.argv[1], "rb").read())
phoff = int.from_bytes(image[32:40], "little")
phnum = int.from_bytes(image[56:58], "little")
def start(data, name):
    path = "/tmp/variant"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755)
    os.write(fd, data)
    os.close(fd)
    pid = os.fork()
    if not pid:
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        signal.alarm(3)
        resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
        try:
            os.execv(path, [path])
        except OSError as e:
            os._exit(100 if e.errno in (1, 8, 12, 22, 2, 80, 36, 14, 5, 7) else e.errno)
    status = os.waitpid(pid, 0)[1]
    assert not (os.WIFEXITED(status) and os.WEXITSTATUS(status) not in (0, 100)), f"{name}: errno {os.WEXITSTATUS(status)}"
    return status
n = 0
assert start(image, "whole") == 0
for at in list(range(64)) + list(range(phoff, phoff + 56 * min(phnum, 4))):
    for value in (0, 0xFF, image[at] ^ 0x80, image[at] ^ 1):
        if value == image[at]:
            continue
        v = bytearray(image)
        v[at] = value
        start(v, f"byte {at} = {value}")
        n += 1
for size in list(range(0, 130, 3)) + [200, 400, 1000, 4095, 4096, 4097, len(image) // 2, len(image) - 1]:
    start(image[:size], f"{size} bytes")
    n += 1
print("variants:", n)
P
expect 0 'variants: [0-9]{3}' run --rox "$work:/w" --cwd /tmp -- python3 /w/sweep.py /w/prog
# The first program too: its end is the sandbox's.
for size in 0 3 4 16 40 63 64 100; do
    head -c "$size" prog >cut; chmod 755 cut
    expect 126 '' run -- ./cut
done
finish

#!/bin/bash
# Solaris programs from the command line: kinds of images, a Linux shell beside them, --abi, --strace in Solaris terms.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"
build=$(dirname "$SUNDOG")
lib=$build/abi/solaris/userland
[ -e "$lib/libc.so.1" ] || { echo 'the Solaris userland is not built (musl-dev is missing)'; exit 77; }
command -v clang >/dev/null && command -v ld.lld >/dev/null || { echo 'clang and lld are not installed'; exit 77; }
cc() { SUNDOG_SOLARIS_LIB=$lib "$here/../../abi/solaris/userland/sundog-solaris-cc" -O1 -w "$@"; }
cat >prog.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>
#include <fcntl.h>
#include <errno.h>
#include <sys/wait.h>
static void on(int s) { _exit(s == SIGUSR1 ? 42 : 1); }
int main(int argc, char **argv)
{
    char b[256]; ssize_t n; int s;
    if (argc < 2) return puts("SunOS program"), 0;
    if (!strcmp(argv[1], "exit")) return atoi(argv[2]);
    if (!strcmp(argv[1], "upper")) { while ((n = read(0, b, sizeof b)) > 0) { for (int i = 0; i < n; i++) if (b[i] >= 'a' && b[i] <= 'z') b[i] -= 32; write(1, b, n); } return 0; }
    if (!strcmp(argv[1], "wait")) { signal(SIGUSR1, on); puts("ready"); fflush(stdout); for (;;) pause(); }
    if (!strcmp(argv[1], "shell")) { s = system("echo from Linux; exit 4"); return WEXITSTATUS(s); }
    if (!strcmp(argv[1], "trace")) {
        open("/nonexistent", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600) ;
        open("/nonexistent/x", O_RDONLY);
        kill(getpid(), 0);
        fcntl(1, F_DUP2FD, 9);
        access("/etc/passwd", R_OK);
        return 0;
    }
    return 9;
}
C
cc -o prog prog.c || exit 77
same 'SunOS program' "$(run -- ./prog)" 'a program alone'
same 'SunOS program' "$(run --abi solaris -- ./prog)" '--abi solaris'
expect 126 '(pieces of Solaris|solaris program)' run --abi linux -- ./prog
expect 126 'linux program' run --abi solaris -- /bin/true
expect 7 '' run -- ./prog exit 7
# beside a Linux shell: pipes, statuses, signals, both ways
same 'ABC' "$(run -- sh -c 'echo abc | ./prog upper')" 'a pipe into it'
same 'XYZ!' "$(run -- sh -c 'echo xyz | ./prog upper | sed s/$/!/')" 'a pipe through it'
same 3 "$(run -- sh -c './prog exit 3; echo $?')" 'its status in a shell'
expect 4 'from Linux' run -- ./prog shell
same 42 "$(run -- sh -c './prog wait >f & until grep -q ready f; do sleep 0.05; done; kill -USR1 $!; wait $!; echo $?')" 'a signal of the shell, with another number there'
same 139 "$(run -- sh -c './prog wait >f & until grep -q ready f; do sleep 0.05; done; kill -SEGV $!; wait $!; echo $?' 2>/dev/null)" 'death by a signal'
same 'SunOS 5.11 i86pc' "$(run -- sh -c 'exit 0'; cat >u.c <<'C'
#include <sys/utsname.h>
#include <stdio.h>
int main(void) { struct utsname u; uname(&u); printf("%s %s %s\n", u.sysname, u.release, u.machine); return 0; }
C
cc -o u u.c; run -- ./u)" 'the identity'
# /proc has the flavour of whoever looks
same 'Name:' "$(run -- sh -c './prog; head -c 5 /proc/self/status' | tail -c 5)" "Linux' /proc beside Solaris'"
# strace in Solaris terms
out=$(run --strace -- ./prog trace 2>&1)
for want in 'open("/nonexistent", O_RDWR|O_NONBLOCK|O_CREAT|O_EXCL, 0600) = ' 'open("/nonexistent/x", O_RDONLY, 0) = -1 ENO' 'kill(1, 0) = 0' 'fcntl(1, F_DUP2FD, 0x9) = 9' 'access("/etc/passwd"' 'sigaction(SIGCANCEL'; do
    [[ $out == *"$want"* ]] || bad "--strace has no \`$want\`: $(grep -F "${want%%(*}(" <<<"$out" | head -3)"
done
# images that cannot run name what is missing
image() { python3 - "$@" <<'P'
import struct, sys
name, bits, big, machine, osabi = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "big", int(sys.argv[4]), int(sys.argv[5])
e = bytearray(64)
e[0:7] = b"\x7fELF" + bytes([1 if bits == 32 else 2, 2 if big else 1, 1])
e[7] = osabi
e[16:24] = struct.pack((">" if big else "<") + "HHI", 2, machine, 1)
open(name, "wb").write(bytes(e) + b"\0" * 4096)
P
chmod 755 "$1"; }
image sparc 32 big 2 0
image sparc64 64 big 43 0
image i386 32 little 3 6
expect 126 'SPARC' run -- ./sparc
expect 126 'SPARC' run -- ./sparc64
expect 126 '(32-bit|i386|x86)' run -- ./i386
finish

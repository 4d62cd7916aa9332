#!/bin/bash
# A profile's verdicts, seen from inside; each denial in the record with its rule; explain says the same beforehand.
. "$(dirname "$0")/../cli/lib.sh"
export HOME=$work/home XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
unset SUNDOG_PROFILES SUNDOG_SYSCONF
mkdir -p home/.ssh p/sub p/ro p/deny/open p/build p/ov outside
echo key >home/.ssh/id; echo a >p/a; echo b >p/ro/b; echo secret >p/deny/s; echo shown >p/deny/open/o; echo env >p/.env; echo k >p/x.key; echo lower >p/ov/l
echo out >outside/f
printf '#!/bin/sh\necho ran\n' >p/tool; cp p/tool p/build/tool; chmod +x p/tool p/build/tool
ln -s "$work/outside/f" p/link
ln -s deny/s p/link2
cat >t.profile <<'T'
profile 1 t
include system
param W = /nowhere
[files]
rw      ${W}
ro      ${W}/ro
deny    ${W}/deny
ro      ${W}/deny/open
deny    ${W}/*.key
deny    ${W}/.env
rwx     ${W}/build
overlay ${W}/ov
[exec]
deny    /usr/bin/env
[net]
listen  127.0.0.1:7001 tcp
deny    127.0.0.1:7002 tcp
[sys]
deny    @keyring
[ipc]
deny    sysv
[limit]
processes  40
open-files 32
[env]
pass PASSED_* ONE
set  SET=value
T
w=$work/p
sb() { run --profile "$work/t.profile" --param "W=$w" "$@"; }
cd p || exit 99

expect 0 '^a$' sb -- cat a
expect 0 '^b$' sb -- cat ro/b
expect 2 'Read-only' sb -- sh -c 'echo x >ro/new'
expect 2 'Read-only' sb -- sh -c 'echo x >>ro/b'
expect 1 'Read-only' sb -- rm ro/b
expect 1 'Read-only' sb -- mv ro/b b2
expect 1 'Read-only' sb -- chmod 777 ro/b
expect 1 'denied' sb -- cat deny/s
expect 2 'denied' sb -- ls deny
expect 0 '^shown$' sb -- cat deny/open/o
expect 1 'denied' sb -- cat .env
expect 1 'denied' sb -- cat x.key
expect 2 'denied' sb -- sh -c 'echo >new.key'
expect 1 'denied' sb -- cat link2
expect 1 'No such' sb -- cat link
expect 1 'No such' sb -- cat "$HOME/.ssh/id"
expect 0 '' sb -- sh -c 'echo w >written; mkdir d; mv written d/w; cat d/w'
same w "$(cat d/w 2>&1)" 'a written file'
expect 126 '' sb -- ./tool
expect 0 '^ran$' sb -- build/tool
expect 126 '' sb -- /usr/bin/env true
# Moves and links that would change what may be done with a file.
expect 1 '' sb -- ln ro/b sub/b
[ -e sub/b ] && bad 'a hard link out of a read-only place'
expect 1 '' sb -- python3 -c 'import os; os.rename("sub", "deny/sub")'
expect 1 '' sb -- python3 -c 'import os; os.rename("../p", "../q")'
expect 1 'cross-device|EXDEV|Invalid' sb -- python3 -c 'import os; os.link("tool", "build/tool2")'
[ -e build/tool2 ] && bad 'a link gained the right to execute'
# A layer above: the change is seen inside and not outside.
expect 0 '^lower.*changed|changed' sb -- sh -c 'echo changed >>ov/l; cat ov/l'
same lower "$(cat ov/l)" 'the file below an overlay'
# Environment and limits.
PASSED_A=1 PASSED_B=2 ONE=3 OTHER=4 expect 0 '^1 2 3 none value$' sb -- sh -c 'echo $PASSED_A $PASSED_B $ONE ${OTHER-none} $SET'
SET=x expect 0 '^over$' sb --env SET=over -- sh -c 'echo $SET'
expect 0 '^32$' sb -- sh -c 'ulimit -n'
expect 0 '^few$' sb -- python3 -c '
import os, signal
n = 0
pids = []
try:
    for i in range(200):
        p = os.fork()
        if not p: signal.pause()
        pids.append(p); n += 1
except OSError: pass
print("few" if 10 < n < 40 else n)
for p in pids: os.kill(p, 9)'
# A share of CPU time: held by a cgroup with a quota, or said not to be and run with low priority.
printf 'profile 1 share\ninclude system\n[limit]\ncpu-share 20%%\n' >share.profile
cat >spin.py <<'T'
import os, time
if not os.fork(): os._exit(0)
os.wait()
end = time.monotonic() + 2
while time.monotonic() < end: pass
T
"$SUNDOG" run --platform "$PLATFORM" --profile ./share.profile --cwd / --rule "[files] ro $PWD/spin.py" -- python3 "$PWD/spin.py" 2>share.err &
spinner=$!
held() { # its processes are in a group with the quota; whether that had to throttle depends on how busy the machine is
    local g
    for g in /sys/fs/cgroup{,/*,/*/*,/*/*/*}/sundog-$spinner; do
        [ -r "$g/cgroup.procs" ] && [ "$(wc -l <"$g/cgroup.procs")" -ge 2 ] && cat "$g/cpu.cfs_quota_us" "$g/cpu.max" 2>/dev/null | grep -qE '^20000( 100000)?$' && return 0
    done
    return 1
}
niced() { ps -o ni= --ppid $spinner 2>/dev/null | grep -qE '^ *1[5-9]$'; }
seen=none
while kill -0 $spinner 2>/dev/null && [ $seen = none ]; do
    if held; then seen=held; elif niced; then seen=niced; else sleep 0.05; fi
done
if [ $seen = held ]; then
    wait $spinner || bad "the program under a share: $? $(cat share.err)"
    ls -d /sys/fs/cgroup{,/*,/*/*,/*/*/*}/sundog-$spinner 2>/dev/null && bad 'the cgroup of a share was left behind'
else
    wait $spinner || bad "the program under a share: $? $(cat share.err)"
    grep -q 'cpu-share 20% cannot be held' share.err || bad "a share is neither held nor said not to be: $(cat share.err)"
    command -v ps >/dev/null && [ $seen != niced ] && bad 'no low priority where a share cannot be held'
fi
printf 'profile 1 b\n[limit]\ncpu-share 0%%\n' >bad.profile
expect 1 'bad.profile:3: .*percentage' "$SUNDOG" check ./bad.profile

# Calls, sockets.
expect 0 '^1$' sb -- python3 -c '
import ctypes
l = ctypes.CDLL(None, use_errno=True)
r = l.syscall(248, 0, 0, 0, 0, 0); e = ctypes.get_errno()
s = l.syscall(29, 0, 4096, 0o1600); f = ctypes.get_errno()
print(int(r == -1 and e == 1 and s == -1 and f == 1))'
cat >net.py <<'T'
import socket
def t(f):
    try: return f()
    except OSError as e: return e.errno
s = socket.socket(); s.bind(("127.0.0.1", 7001)); s.listen()
c = socket.socket(); c.connect(("127.0.0.1", 7001))
print("own", t(lambda: socket.create_connection(("127.0.0.1", 7002), 5)), t(lambda: socket.create_connection(("::ffff:127.0.0.1", 7002), 5)),
      t(lambda: socket.socket().bind(("0.0.0.0", 7003))), t(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53))))
T
expect 0 '^own 13 13 13 13$' sb -- python3 net.py

# What was denied is in the record, with the rule.
sb -- sh -c 'cat .env; echo >>ro/b; cat '"$work"'/outside/f' >/dev/null 2>&1
out=$("$SUNDOG" why); rc=$?
same 1 $rc 'the status of why after denials'
[[ $out == *"denied: read $w/.env"*"t.profile:10: [files] deny $w/.env"*"allow: [files] ro $w/.env"* ]] || bad "why on a denied file: $out"
[[ $out == *"denied: write $w/ro/b"*"allow: [files] rw $w/ro/b"* ]] || bad "why on a read-only file: $out"
[[ $out == *"not shown: path $work/outside/f"*"none"*"[files] ro $work/outside/f"* ]] || bad "why on a path that is not shown: $out"
"$SUNDOG" why --json | python3 -c 'import json, sys; d = json.load(sys.stdin); assert len(d["denials"]) == 3, d' || bad 'why --json'
# ... and the line that it gives does allow it.
expect 0 '^env$' sb --rule "[files] ro $w/.env" -- cat .env
expect 0 '^out$' sb --rule "[files] ro $work/outside/f" -- cat "$work/outside/f"
sb -- true; expect 0 'nothing was denied' "$SUNDOG" why
# Warn: let pass, recorded.
expect 0 '^env$' sb --mode warn -- cat .env
expect 1 "warned: read $w/.env" "$SUNDOG" why --last

ex() { "$SUNDOG" explain --profile "$work/t.profile" --param "W=$w" "$@"; }
expect 0 'allowed' ex open:rw:"$w/a"
expect 1 't.profile:6' ex open:w:"$w/ro/b"
expect 1 't.profile:7' ex open:r:"$w/deny/s"
expect 0 't.profile:8' ex open:r:"$w/deny/open/o"
expect 1 'denied' ex exec:"$w/tool"
expect 0 'layer' ex open:rw:"$w/ov/l"
expect 0 'listen' ex listen:127.0.0.1:7001
expect 1 'deny' ex connect:127.0.0.1:7002
expect 1 'none' ex connect:example.org:443
expect 1 'keyring' ex call:keyctl
expect 1 'sysv' ex call:shmget
expect 0 'allowed' ex call:openat
expect 125 'wanted' ex nonsense
ex --json open:r:"$w/.env" | python3 -c 'import json, sys; d = json.load(sys.stdin); assert d[0]["allowed"] is False and d[0]["line"] == 10, d' || bad 'explain --json'
expect 0 'exposure' "$SUNDOG" check --param "W=$w" "$work/t.profile"
printf 'profile 1 b\n[files]\nr0 /a\n' >bad.profile
expect 1 'bad.profile:3: .*did you mean `ro`' "$SUNDOG" check ./bad.profile
printf 'profile 1 b\n[files]\nrw ${HOME}\n' >wide.profile
expect 0 'whole home' "$SUNDOG" check ./wide.profile
expect 0 'default' "$SUNDOG" show
expect 0 't.profile:10' "$SUNDOG" show --effective --param "W=$w" "$work/t.profile"
finish

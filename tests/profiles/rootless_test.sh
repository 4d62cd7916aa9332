#!/bin/bash
# An ordinary user, without any privilege: the same sandbox. Then the same where the host allows no user namespaces (a filter that
# refuses them stands for the sysctl): run, profiles, why, learn, a forbidden read. Needs root to become somebody else.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cli/lib.sh"
[ "$(id -u)" = 0 ] || { echo 'only root can become another user'; exit 77; }
command -v setpriv >/dev/null || { echo 'no setpriv'; exit 77; }
python=$(PATH=/usr/bin:/bin command -v python3) || { echo 'no python3 that another user can run'; exit 77; }
# What was built, where another user can run it.
mkdir bin && cp "$(dirname "$SUNDOG")"/sundog{,-sentry,-gofer,-netbroker} bin/ && cp -r "$here/../../profiles" . || exit 99
SUNDOG=$work/bin/sundog
chmod 755 "$work"
export HOME=$work/home XDG_STATE_HOME=$work/home/state XDG_CONFIG_HOME=$work/home/.config LC_ALL=C
export SUNDOG_PROFILES=$work/profiles
unset SUNDOG_SYSCONF
mkdir -p home/.ssh p; echo KEY >home/.ssh/id; echo in >p/in; echo SECRET >p/.env
chown -R 65534:65534 "$work"
cat >no_userns.py <<'T'
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
NEWUSER = 0x10000000
def ins(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)
prog = b''.join([
    ins(0x20, 0, 0, 0),                       # the number
    ins(0x15, 3, 0, 435),                     # clone3: ENOSYS
    ins(0x15, 3, 0, 56), ins(0x15, 2, 0, 272),    # clone, unshare
    ins(0x06, 0, 0, 0x7fff0000),
    ins(0x06, 0, 0, 0x00050000 | 38),
    ins(0x20, 0, 0, 16), ins(0x45, 0, 1, NEWUSER), ins(0x06, 0, 0, 0x00050000 | 1), ins(0x06, 0, 0, 0x7fff0000)])
buf = ctypes.create_string_buffer(prog)
fprog = struct.pack('HxxxxxxQ', len(prog) // 8, ctypes.addressof(buf))
assert not libc.prctl(38, 1, 0, 0, 0) and not libc.prctl(22, 2, ctypes.create_string_buffer(fprog), 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
T
user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
as=(user)
all() {
    cd "$work/p" || exit 99
    rm -f out out2 "$work/home/l.profile"
    expect 0 '65534' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" -- id -u
    expect 0 'in' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile offline-tool -- sh -c 'cat in >out; cat out'
    same in "$(cat out)" 'what the profile let through'
    same 65534 "$(stat -c %u out)" 'the owner of it'
    expect 1 'denied' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile offline-tool -- cat .env
    expect 1 "denied: read $work/p/.env" "${as[@]}" "$SUNDOG" why
    expect 1 'No such' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile offline-tool -- cat "$HOME/.ssh/id"
    expect 2 '' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile offline-tool -- sh -c 'echo >/usr/new'
    expect 0 'wrote' "${as[@]}" "$SUNDOG" learn --platform "$PLATFORM" -o "$work/home/l.profile" -- sh -c 'cat in; echo y >out2'
    expect 0 'in' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile "$work/home/l.profile" -- sh -c 'cat in; test -e in'
    # A profile with a network: the broker, the resolver and the files that sundog shows.
    expect 0 '127.53.53.53' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile network-client --param HOST=web.example.org -- cat /etc/resolv.conf
    expect 0 'around .*user namespaces: ' "${as[@]}" "$SUNDOG" doctor
    # A broken or hostile program gets no further than before.
    expect 1 'Errno' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" --profile offline-tool -- python3 -c 'import os; os.open("/proc/1/root/etc/shadow", 0)'
}
all
refuses() { user "$python" "$work/no_userns.py" "$@"; }
if user "$python" "$work/no_userns.py" unshare -U true 2>/dev/null; then
    bad 'the filter refuses no user namespaces'
else
    as=(refuses)
    expect 0 'The host refuses user namespaces' "${as[@]}" "$SUNDOG" doctor
    expect 0 'user namespaces' "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" -- true
    all
fi
finish

#!/bin/bash
# Each option of `sundog run`, and what is refused.
. "$(dirname "$0")/lib.sh"
expect 0 usage "$SUNDOG" help
expect 0 usage "$SUNDOG" run --help
expect 0 usage "$SUNDOG" run -h
expect 0 'usage: sundog syscalls' "$SUNDOG" help syscalls
expect 0 'usage: sundog syscalls' "$SUNDOG" syscalls --help
expect 125 'did you mean --json' "$SUNDOG" syscalls --jsn
expect 125 'no verb' "$SUNDOG" help no-such-verb
expect 0 sundog "$SUNDOG" version
expect 0 sundog "$SUNDOG" run --version
expect 125 '' "$SUNDOG"
expect 125 '' "$SUNDOG" no-such-verb
expect 125 'did you mean --hostname' run --hostnam x -- true
expect 125 'unknown option' run --zzzzzzzzz -- true
expect 125 'unknown option' run -x -- true
expect 125 'needs a value' run --env
expect 125 'takes no value' run --debug=1 -- true
expect 125 'did you mean ptrace' "$SUNDOG" run --platform ptrase -- true
expect 125 'not one of' "$SUNDOG" run --platform qqqqqq -- true
expect 125 'not one of' run --abi plan9 -- true
expect 125 'not one of' run --strace=xml -- true
for bad_id in -1 x '' 4294967295 99999999999 1x; do expect 125 'number' run --uid "$bad_id" -- true; expect 125 'number' run --gid "$bad_id" -- true; done
for bad_size in 1 x '' 1Q 99999999999999999999 -5 1023K; do expect 125 '' run --memory "$bad_size" -- true; done
expect 125 'absolute' run --cwd rel -- true
expect 125 'characters' run --hostname '' -- true
expect 125 'characters' run --hostname "$(printf '%065d' 0)" -- true
expect 125 'no such' run --ro /no/such -- true
expect 125 'no path' run --ro /no/such:/x -- true
expect 125 'absolute' run --ro /etc:x -- true
expect 125 'no such' run --rootfs /no/such -- true
expect 125 '' run --rootfs /etc/passwd -- true
expect 125 'before' run --rootfs / --rootfs-rw / -- true
expect 125 'exclude' run --rootfs / --ro /:/ -- true
expect 125 'device' run --ro /dev/null -- true
expect 125 'K=V' run --env =x -- true
expect 125 '' run --cwd /no/such/dir -- true
expect 0 '^one two$' run --env A=one --env=B=two -- sh -c 'echo $A $B'
expect 0 '^last$' run --env A=first --env A=last -- sh -c 'echo $A'
expect 0 '^x=y$' run --env A=x=y -- sh -c 'echo $A'
FROM_HERE=passed expect 0 '^passed$' run --env FROM_HERE -- sh -c 'echo $FROM_HERE'
expect 0 '^unset$' run --env NOT_SET_HERE -- sh -c 'echo ${NOT_SET_HERE-unset}'
SECRET=leak expect 0 '^none$' run -- sh -c 'echo ${SECRET-none}'
expect 0 '^/usr$' run --cwd /usr -- pwd
expect 0 '^box$' run --hostname box -- uname -n
expect 0 '^sundog$' run -- hostname
expect 0 '^12 34$' run --cwd / --uid 12 --gid 34 -- sh -c 'echo $(id -u) $(id -g)'
expect 0 '^0 0$' run --uid 0 --gid 0 -- sh -c 'echo $(id -u) $(id -g)'
expect 0 '^ok$' run --abi linux -- echo ok
expect 0 '^ok$' run echo ok
expect 0 '^-x --hostname$' run echo -x --hostname
expect 0 '^ok$' "$SUNDOG" run --platform ptrace -- echo ok
expect 0 'write\(1' run --strace -- echo ok
expect 0 '"write"' run --strace=json -- echo ok
expect 0 'ms|us' run --timing -- true
expect 139 '' run --backtrace -- sh -c 'kill -SEGV $$'
expect 0 'debug' run --debug -- true
# Busy system calls become jumps where the platform can do that, unless told otherwise.
calls='i=0; while [ $i -lt 200 ]; do [ -e /nothing ]; i=$((i+1)); done; echo done'
expect 0 '^done$' run --no-patch -- sh -c "$calls"
if "$SUNDOG" run --platform trap -- true 2>/dev/null; then
    "$SUNDOG" run --platform trap --debug --no-patch -- sh -c "$calls" 2>&1 | grep -q 'by a jump' && bad '--no-patch patched'
    "$SUNDOG" run --platform trap --debug -- sh -c "$calls" 2>&1 | grep -q 'by a jump' || bad 'busy calls were not patched'
fi
expect 0 '^ok$' run --memory 256M -- echo ok
expect 0 openat "$SUNDOG" syscalls
expect 0 '"name":"openat"' "$SUNDOG" syscalls --json
finish

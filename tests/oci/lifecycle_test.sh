#!/bin/bash
# create, state, start, kill, pause, delete, run: the order of a container's life, and what engines rely on.
. "$(dirname "$0")/lib.sh"
id=$prefix-a

bundle b 'sh("trap \"exit 5\" TERM; echo up; while :; do sleep 0.1; done")'
sd create --bundle b --pid-file pid "$id" >out 2>&1 || bad "create: $(cat out)"
same created "$(status_of "$id")" "after create"
same "$(cat pid)" "$(sd state "$id" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')" "pid of state and pid file"
expect 1 'container with given ID already exists' sd create --bundle b "$id"
same created "$(status_of "$id")" "after a second create"
expect 0 '' sd start "$id"
wait_for "$id" running
expect 1 'cannot start an already running container' sd start "$id"
until_true 60 grep -q up out || bad "no output: $(cat out)"
expect 1 'not stopped' sd delete "$id"
# Sentry and gofer have namespaces of their own, whatever the container's first process is in.
helper() { sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" "run/$id/state.json"; }
if unshare -U true 2>/dev/null && [ "$(id -u)" = 0 ]; then
    for h in sentry gofer; do
        for ns in user net pid ipc uts; do
            theirs=$(readlink "/proc/$(helper $h)/ns/$ns") || bad "no $ns namespace of $h ($(helper $h))"
            [ "$theirs" != "$(readlink /proc/self/ns/$ns)" ] || bad "$h is in the host's $ns namespace"
        done
    done
fi
expect 0 '' sd pause "$id"
same paused "$(status_of "$id")" "after pause"
expect 1 'not running' sd pause "$id"
expect 0 '' sd resume "$id"
same running "$(status_of "$id")" "after resume"
expect 1 'not paused' sd resume "$id"
expect 1 'unknown signal' sd kill "$id" NOSUCH
expect 0 '' sd kill "$id" SIGTERM
wait_for "$id" stopped
same 0 "$(sd state "$id" | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p')" "pid of a stopped one"
expect 1 'container not running' sd kill "$id" KILL
expect 0 '' sd kill --all "$id" KILL
expect 1 'cannot start a container that has stopped' sd start "$id"
expect 0 '' sd delete "$id"
expect 1 'does not exist' sd delete "$id"
expect 0 '^$' sd delete --force "$id"
expect 1 'does not exist' sd state "$id"
same "" "$(ls run)" "state directories left"

# The caller waits for the process of the pid file: it ends as the container did. Signals sent to it reach the container.
cat >sub.py <<'P'
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)   # PR_SET_CHILD_SUBREAPER, as conmon and the shims
def life(bundle, act):
    cmd = sys.argv[1:] 
    subprocess.check_call(cmd + ["create", "--bundle", bundle, "--pid-file", "p", bundle.replace("b", os.environ["ID"])], stdout=open("o", "w"))
    pid = int(open("p").read())
    subprocess.check_call(cmd + ["start", bundle.replace("b", os.environ["ID"])])
    act(pid)
    p, st = os.waitpid(pid, 0)
    subprocess.check_call(cmd + ["delete", bundle.replace("b", os.environ["ID"])])
    return os.WTERMSIG(st) + 128 if os.WIFSIGNALED(st) else os.WEXITSTATUS(st)
def ready():
    end = time.time() + 60
    while "up" not in open("o").read() and time.time() < end: time.sleep(0.05)
def term(pid): ready(); os.kill(pid, signal.SIGTERM)
def kill(pid): ready(); os.kill(pid, signal.SIGKILL)
print(life("b", term), life("b", kill), life("b7", lambda pid: None))
P
bundle b7 'sh("exit 7")'
same "5 137 7" "$(ID=$prefix-s timeout 300 python3 sub.py "$SUNDOG" --root "$work/run" --platform "$PLATFORM" 2>&1)" "wait statuses"

# As pid 1 a program without a handler is not ended by SIGTERM, but by SIGKILL; and while nothing runs yet by both.
bundle s 'args("sleep", "1000")'
sd create --bundle s "$prefix-t" >/dev/null 2>&1
expect 0 '' sd start "$prefix-t"
expect 0 '' sd kill "$prefix-t" TERM
sleep 0.3
same running "$(status_of "$prefix-t")" "pid 1 without a handler after SIGTERM"
expect 0 '' sd kill "$prefix-t" 9
wait_for "$prefix-t" stopped
expect 0 '' sd delete "$prefix-t"
sd create --bundle s "$prefix-u" >/dev/null 2>&1
expect 0 '' sd kill "$prefix-u" TERM
wait_for "$prefix-u" stopped
expect 0 '' sd delete "$prefix-u"
sd create --bundle s "$prefix-v" >/dev/null 2>&1
expect 0 '' sd delete "$prefix-v"
sd run --detach --bundle s "$prefix-w" >/dev/null 2>&1 || bad "run --detach: $?"
expect 0 '' sd delete --force "$prefix-w"

# What cannot be started fails at create, in the words that engines look for, and leaves nothing.
bundle m 'args("nosuch")'
expect 1 'executable file not found in \$PATH' sd create --bundle m "$prefix-m"
bundle m 'args("/nosuch")'
expect 1 'no such file or directory' sd create --bundle m "$prefix-m"
bundle m 'args("/etc/passwd")'
expect 1 'permission denied' sd create --bundle m "$prefix-m"
expect 1 'invalid container id' sd create --bundle m ../x
expect 1 'does not exist' sd start "$prefix-m"
sd --log log.json --log-format json create --bundle m "$prefix-m" 2>/dev/null
python3 -c '
import json
l = json.loads(open("log.json").readline())
assert l["level"] == "error" and "permission denied" in l["msg"] and l["time"][10] == "T", l' || bad "log line: $(cat log.json)"
same "" "$(ls run)" "state directories left"

# run: status and output of the program; signals by number of the shell.
bundle r 'sh("echo out; echo err >&2; exit 3")'
expect 3 'out' sd run --bundle r "$prefix-r"
bundle r 'sh("kill -9 $$; sleep 5")'
expect 0 '' sd run --bundle r "$prefix-r"
bundle r 'sh("sh -c \"kill -9 \\$\\$\"; exit $?")'
expect 137 '' sd run --bundle r "$prefix-r"
same "" "$(ls run)" "state directories left"
finish

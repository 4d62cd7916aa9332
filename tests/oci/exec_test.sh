#!/bin/bash
# exec, and the verbs that look at a running container.
. "$(dirname "$0")/lib.sh"
id=$prefix-e
bundle b 'args("sleep", "1000")'
sd run --detach --bundle b "$id" >/dev/null 2>&1 || bad "run --detach"
# One session keyring for all of the container, unless it is to have none.
expect 0 "keyring +_ses\.$id: " sd exec "$id" cat /proc/keys
bundle k 'args("cat", "/proc/keys")'
expect 0 "keyring +_ses\.$id-k: " sd run --bundle k "$id-k"
[[ $(sd run --no-new-keyring --bundle k "$id-n" 2>&1) != *_ses* ]] || bad "a keyring with --no-new-keyring"
expect 4 'inside 1 sleep' sd exec "$id" sh -c 'echo inside $(ps -o pid,comm | grep -m1 sleep); exit 4'
expect 0 '^b /tmp 1000:1001$' sd exec --env A=b --cwd /tmp --user 1000:1001 "$id" sh -c 'echo $A $PWD $(id -u):$(id -g)'
expect 255 'executable file not found in \$PATH' sd exec "$id" nosuch
expect 255 'permission denied' sd exec "$id" /etc/passwd
expect 137 '' sd exec "$id" sh -c 'kill -9 $$'
same "from pipe" "$(echo from pipe | sd exec "$id" cat)" "standard input of exec"
python3 -c '
import json
json.dump({"user": {"uid": 7, "gid": 8, "additionalGids": [9]}, "args": ["id"], "cwd": "/", "env": ["PATH=/bin"]}, open("p.json", "w"))'
expect 0 'uid=7 gid=8 groups=.*9' sd exec --process p.json "$id"

# Detached: its own process, with the program's status; a signal to that process reaches the program.
cat >sub.py <<'P'
import ctypes, os, signal, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
cmd, id = sys.argv[2:], sys.argv[1]
def ex(script, sig):
    subprocess.check_call(cmd + ["exec", "--detach", "--pid-file", "ep", id, "sh", "-c", script], stdout=subprocess.DEVNULL)
    pid = int(open("ep").read())
    if sig: os.kill(pid, sig)
    st = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(st) + 128 if os.WIFSIGNALED(st) else os.WEXITSTATUS(st)
print(ex("exit 9", 0), ex("sleep 1000", signal.SIGTERM), ex("sleep 1000", signal.SIGKILL))
P
same "9 143 137" "$(timeout 300 python3 sub.py "$id" "$SUNDOG" --root "$work/run" --platform "$PLATFORM" 2>&1)" "wait statuses of execs"
alone() { [ "$(sd ps "$id" | wc -l)" = 2 ]; }
until_true 60 alone || bad "processes left by execs: $(sd ps "$id")"

expect 0 '1 +0 +0 S .* sleep 1000' sd ps "$id"
expect 0 '^\[[0-9]+\]$' sd ps --format json "$id"
expect 0 '"type":"stats".*"cpu".*"memory".*"pids":\{"current":1' sd events --stats "$id"
expect 0 "$id .*running" sd list
expect 0 "^$id\$" sd list -q
expect 0 '"status":"running"' sd list -f json
expect 0 '' sd pause "$id"
expect 255 'paused' sd exec "$id" true
expect 0 '' sd resume "$id"
(cd b && rm config.json && sd spec) || bad "spec"
python3 -c 'import json; assert json.load(open("b/config.json"))["process"]["args"] == ["sh"]' || bad "spec's document"
sd features | python3 -c 'import json, sys; assert "poststop" in json.load(sys.stdin)["hooks"]' || bad "features"
expect 1 'not supported' sd checkpoint "$id"

# A terminal of its own.
if command -v script >/dev/null; then
    out=$(script -qec "stty rows 20 cols 70; timeout 60 '$SUNDOG' --root '$work/run' exec --tty $id sh -c 'tty; stty size'" /dev/null </dev/null)
    [[ $out == */dev/pts/*20\ 70* ]] || bad "exec --tty: $out"
fi
# With the container its execs end.
sd exec "$id" sleep 1000 & e=$!
two() { [ "$(sd ps "$id" | wc -l)" = 3 ]; }
until_true 60 two || bad "no second process"
expect 0 '' sd kill "$id" KILL
wait $e
same 137 $? "status of an exec whose container was killed"
expect 255 'stopped container' sd exec "$id" true
expect 0 '' sd delete "$id"
finish

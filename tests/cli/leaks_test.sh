#!/bin/bash
# Many sandboxes one after another and at once, and sandboxes that die, leave nothing behind.
. "$(dirname "$0")/lib.sh"
# Processes of this test's own sandboxes: those whose command line or parent leads to our binary.
procs() { ps -eo pid=,ppid=,comm=,args= | awk -v me=$$ -v s="$SUNDOG " 'index($0, s) && $1 != me || index($0, "'"$mark"'")' | grep -v -e awk -e 'ps -eo'; }
mark="mark$$"
state() { mount | wc -l; find /sys/fs/cgroup -type d 2>/dev/null | wc -l; ls /dev/shm | wc -l; ls /tmp | grep -c sundog; }
kids() { # pids of the sentry and the gofer of sundog $1
    pgrep -P "$1"
}
before=$(state)
for i in $(seq 200); do run -- true || { bad "run $i: status $?"; break; }; done
same "$before" "$(state)" 'mounts, cgroups and files after 200 runs'
pids=()
for i in $(seq 50); do run -- sh -c "sleep 0.3; echo $i" >o.$i 2>&1 & pids+=($!); done
n=0; for p in "${pids[@]}"; do wait "$p" && n=$((n + 1)); done
same 50 "$n" 'runs at once that succeeded'
for i in $(seq 50); do [ "$(cat o.$i)" = "$i" ] || bad "run $i printed $(cat o.$i)"; done
same "$before" "$(state)" 'mounts, cgroups and files after 50 runs at once'
same '' "$(procs)" 'processes left'

gone() { ! ps -o pid= -p "$1" >/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
tree() { local p; for p in $(pgrep -P "$1"); do echo "$p"; tree "$p"; done; }
for victim in sundog sundog-sentry sundog-gofer; do
    : >ready
    start -- sh -c "sleep 300 & (sleep 300 | cat) & cat /etc/passwd >/dev/null; echo ready; wait; ls /usr/share" >ready 2>err & pid=$!
    until_true 10 grep -q ready ready || bad 'the program did not start'
    all=$(tree $pid)
    if [ $victim = sundog ]; then v=$pid; else v=$(pgrep -P $pid -x $victim); fi
    [ -n "$v" ] || bad "no process $victim"
    t0=$(date +%s%N)
    kill -KILL "$v"
    # Without its gofer a sandbox may live on until it asks for a file; sundog notices the death itself.
    wait $pid 2>/dev/null; st=$?
    [ $((($(date +%s%N) - t0) / 1000000)) -lt 3000 ] || bad "the end took long after the death of $victim"
    if [ $victim = sundog ]; then same 137 $st 'status of a killed sundog'
    else
        same 125 $st "status after the death of $victim"
        grep -q "the ${victim#sundog-} was killed (SIGKILL)" err || bad "message after the death of $victim: $(cat err)"
    fi
    for p in $all; do until_true 3 gone "$p" || bad "process $p ($(ps -o args= -p "$p")) lives after the death of $victim"; done
done
# The memory of a killed sandbox is the host's again.
free_kb() { awk '/^MemAvailable/ { print $2 }' /proc/meminfo; }
a=$(free_kb)
: >ready
start -- python3 -c 'x = bytearray(b"a") * (400 << 20); print("ready", flush=True); import time; time.sleep(100)' >ready & pid=$!
until_true 30 grep -q ready ready || bad 'the program did not fill its memory'
kill -KILL $pid; wait $pid 2>/dev/null
back() { [ "$(free_kb)" -gt $((a - 250000)) ]; }
until_true 10 back || bad "memory: $a kB before, $(free_kb) kB after"
same "$before" "$(state)" 'mounts, cgroups and files after the kills'
finish

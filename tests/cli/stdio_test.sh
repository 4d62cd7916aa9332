#!/bin/bash
# Standard input and output as file, pipe, /dev/null, socket, closed; much data; ends of pipes; relayed signals.
. "$(dirname "$0")/lib.sh"
echo data >in
same data "$(run -- cat <in)" 'input from a file'
same data "$(cat in | run -- cat)" 'input from a pipe'
same '' "$(run -- cat </dev/null)" 'input from /dev/null'
run -- echo to-file >out; same to-file "$(cat out)" 'output to a file'
run -- sh -c 'echo a; echo b >&2; echo c; echo d >&2' >both 2>&1; same "$(printf 'a\nb\nc\nd')" "$(cat both)" 'one file for output and errors'
run -- echo more >>out; same "$(printf 'to-file\nmore')" "$(cat out)" 'output appended to a file'
run -- sh -c 'echo e >&2' 2>err; same e "$(cat err)" 'errors to a file'
run -- cat <&- 2>err && bad 'reading a closed input succeeded'
grep -q 'Bad file descriptor' err || bad "a closed input says $(cat err)"
run -- sh -c 'echo x' >&- 2>err && bad 'writing a closed output succeeded'
same 3 "$(run -- sh -c '[ -e /proc/self/fd/0 ] || exit 3'  <&-; echo $?)" 'descriptor 0 when closed'
run -- sh -c 'exit 4' <&- >&- 2>&-; same 4 $? 'status with all three closed'
sum=$(head -c 50000000 /dev/zero | sha256sum)
same "$sum" "$(head -c 50000000 /dev/zero | run -- cat | sha256sum)" '50 MB through cat'
same "$sum" "$(run -- head -c 50000000 /dev/zero | run -- sha256sum)" '50 MB through two sandboxes'
same "$sum" "$(run -- head -c 50000000 /dev/zero > big; sha256sum <big)" '50 MB to a file'; rm -f big
run -- yes | head -n 3 >out; same "141 3" "${PIPESTATUS[0]} $(wc -l <out)" 'a reader that leaves'
# A slow reader, a slow writer.
same 200000 "$(run -- seq 200000 | (sleep 1; wc -l))" 'lines to a slow reader'
same ab "$( (printf a; sleep 0.5; printf b) | run -- cat)" 'a slow writer'
# Position of a shared file: what the program read is not read again by the next.
seq 1 5 >lines; same '1 2 3 4 5' "$( (run -- sh -c 'read a; read b; echo $a $b'; cat) <lines | tr '\n' ' ' | sed 's/ $//')" 'the rest of an input file'
# The caller's pipe is not left nonblocking.
python3 - "$SUNDOG" <<'P' || bad 'descriptor flags of the caller changed'
import fcntl, os, subprocess, sys
r, w = os.pipe()
a, b = fcntl.fcntl(r, fcntl.F_GETFL), fcntl.fcntl(w, fcntl.F_GETFL)
subprocess.run([sys.argv[1], "run", "--", "sh", "-c", "echo x"], stdin=r, stdout=w, check=True)
assert (a, b) == (fcntl.fcntl(r, fcntl.F_GETFL), fcntl.fcntl(w, fcntl.F_GETFL))
import socket
x, y = socket.socketpair()
y.sendall(b"in\n"); y.shutdown(socket.SHUT_WR)
subprocess.run([sys.argv[1], "run", "--", "cat"], stdin=x, stdout=x, check=True)
assert y.recv(9) == b"in\n"
P
# Signals sent to sundog reach the program.
for s in TERM INT HUP USR1 USR2 QUIT; do
    : >out
    start -- bash -c "trap 'echo got-$s; exit 9' $s; echo ready; while :; do sleep 0.05; done" >out & pid=$!
    until_true 10 grep -q ready out || bad "the program did not start"
    kill -$s $pid; wait $pid; same 9 $? "status after SIG$s"
    grep -q "got-$s" out || bad "SIG$s did not reach the program"
done
start -- sleep 100 & pid=$!; sleep 0.5; kill -TERM $pid; wait $pid 2>/dev/null; same 143 $? 'status of a program that SIGTERM ends'
finish

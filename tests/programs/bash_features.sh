#!/bin/bash
# Pipelines, traps, here-documents, process substitution, background jobs, subshells, globbing, arithmetic.
set -eu
fail() { echo "line $1: got '$2', expected '$3'"; exit 1; }
eq() { [ "$2" = "$3" ] || fail "$1" "$2" "$3"; }
eq $LINENO "$(seq 1 1000 | sort -rn | head -3 | tr '\n' ' ' || true)" "1000 999 998 "
eq $LINENO "$(cat <<X
one $((1 + 1))
X
)" "one 2"
eq $LINENO "$(paste <(echo a; echo b) <(echo 1; echo 2) | tr '\t\n' ': ')" "a:1 b:2 "
eq $LINENO "$(trap 'echo trapped' USR1; kill -USR1 $BASHPID; echo after)" $'trapped\nafter'
eq $LINENO "$(trap 'echo bye' EXIT; exit 0)" "bye"
( sleep 0.2; exit 7 ) & pid=$!
set +e; wait $pid; r=$?; set -e
eq $LINENO $r 7
set +e; ( kill -TERM $BASHPID ); r=$?; set -e
eq $LINENO $r 143
for i in 1 2 3 4 5 6 7 8; do ( echo $i > bg$i ) & done; wait
eq $LINENO "$(cat bg? | sort | tr -d '\n')" "12345678"
eq $LINENO "$(printf '%s\n' bg* | wc -l)" 8
mkfifo ff; (echo through > ff) & eq $LINENO "$(cat ff)" "through"; wait
coproc CAT { cat; }; echo co >&"${CAT[1]}"; read -r line <&"${CAT[0]}"; eq $LINENO "$line" co; eval "exec ${CAT[1]}>&-"; wait
exec 9>lockfile; flock 9; eq $LINENO "$(flock -n lockfile true && echo free || echo taken)" taken
eq $LINENO "$(timeout 0.2 sleep 5; echo $?)" 124
eq $LINENO "$(false | true; echo "${PIPESTATUS[0]}")" 1
set +e; (set -o pipefail; yes | head -1 >/dev/null); r=$?; set -e
eq $LINENO $r 141
eq $LINENO "$(ulimit -n 100; ulimit -n)" 100
eq $LINENO "$(echo "$(</proc/self/comm)")" "bash"
read -r -t 0.1 x < <(sleep 1) && fail $LINENO read timeout || true
eq $LINENO "$(bash -c 'echo $0 $1' zero one)" "zero one"
eq $LINENO "$(printf 'b\na\n' | sort | xargs echo)" "a b"

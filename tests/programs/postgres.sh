#!/bin/bash
# PostgreSQL: initdb, a server on a local socket, pgbench, a restart after a crash.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
[ -n "$bin" ] && [ -x "$bin/initdb" ] || { echo "skipped: PostgreSQL is not installed"; exit 77; }
if [ "$(id -u)" = 0 ]; then                      # it refuses to run as root
    mkdir u && chown 65534:65534 u && cp "$0" u/script && chmod a+rx . u u/script && cd u
    d=$PWD
    while [ "$d" != / ]; do chmod a+x "$d" 2>/dev/null || true; d=$(dirname "$d"); done
    HOME=$PWD exec setpriv --reuid 65534 --regid 65534 --clear-groups bash ./script
fi
export LC_ALL=C
"$bin/initdb" -D data -U me --no-sync -A trust >initdb.log 2>&1 || { cat initdb.log; exit 1; }
start() { "$bin/pg_ctl" -D data -w -t 120 -l log -o "-k $PWD -c listen_addresses= -c fsync=off" start >/dev/null || { cat log; exit 1; }; }
trap '"$bin/pg_ctl" -D data -m immediate stop >/dev/null 2>&1 || true' EXIT
start
q() { "$bin/psql" -h "$PWD" -U me -d postgres -Atqc "$1"; }
"$bin/pgbench" -h "$PWD" -U me -i -s 1 postgres >/dev/null 2>&1
"$bin/pgbench" -h "$PWD" -U me -c 4 -j 2 -t 50 postgres >bench 2>&1 || { cat bench log; exit 1; }
grep -q 'number of transactions actually processed: 200/200' bench
[ "$(q 'select count(*) from pgbench_history')" = 200 ]
[ "$(q 'select sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts')" = t ]
"$bin/pg_ctl" -D data -m immediate stop >/dev/null
start
[ "$(q 'select count(*) from pgbench_history')" = 200 ]
"$bin/pg_ctl" -D data -w -t 120 stop >/dev/null

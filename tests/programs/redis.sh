#!/bin/bash
# redis-server: values, a list, a script, expiry, a snapshot loaded again; redis-benchmark over a local socket.
set -eu
{ command -v redis-server && command -v redis-cli && command -v redis-benchmark; } >/dev/null || { echo "skipped: redis-server and redis-tools are not installed"; exit 77; }
start() {
    redis-server --port 0 --unixsocket "$PWD/s" --dir "$PWD" --save '' --appendonly no --daemonize no >log 2>&1 &
    pid=$!
    for _ in $(seq 600); do [ "$(redis-cli -s s ping 2>/dev/null)" = PONG ] && return; sleep 0.1; done
    cat log
    exit 1
}
trap 'kill $pid 2>/dev/null || true' EXIT
start
[ "$(redis-cli -s s set k hello)" = OK ]
[ "$(redis-cli -s s get k)" = hello ]
[ "$(redis-cli -s s rpush l a b c)" = 3 ]
[ "$(redis-cli -s s eval 'return redis.call("llen", KEYS[1]) * 2' 1 l)" = 6 ]
[ "$(redis-cli -s s set gone x px 1)" = OK ]
sleep 0.1
[ -z "$(redis-cli -s s get gone)" ]
redis-benchmark -s s -n 1000 -c 10 -q -t ping,set,get,lpush >bench
[ "$(grep -ac 'requests per second' bench)" -ge 4 ]
[ "$(redis-cli -s s save)" = OK ]
redis-cli -s s shutdown nosave || true
wait $pid
start
[ "$(redis-cli -s s get k)" = hello ]
redis-cli -s s bgsave >/dev/null          # a snapshot by fork
for _ in $(seq 600); do [ "$(redis-cli -s s info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" = 0 ] && break; sleep 0.1; done
[ "$(redis-cli -s s info persistence | tr -d '\r' | sed -n 's/^rdb_last_bgsave_status://p')" = ok ]

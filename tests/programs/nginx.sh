#!/bin/bash
# nginx with two workers, under wrk: all answers good, then a reload and an orderly end.
set -eu
PATH=$PATH:/usr/sbin
{ command -v nginx && command -v wrk; } >/dev/null || { echo "skipped: nginx and wrk are not installed"; exit 77; }
mkdir -p logs html t
head -c 20000 /dev/zero | tr '\0' x >html/big
echo hello >html/index.html
port=0
trap 'kill $(cat nginx.pid 2>/dev/null) 2>/dev/null || true' EXIT
for try in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    cat >conf <<C
$([ "$(id -u)" != 0 ] || echo 'user root root;')
worker_processes 2;
pid $PWD/nginx.pid;
error_log $PWD/logs/error.log;
events { worker_connections 128; }
http {
    access_log off;
    client_body_temp_path $PWD/t/1; proxy_temp_path $PWD/t/2; fastcgi_temp_path $PWD/t/3; uwsgi_temp_path $PWD/t/4; scgi_temp_path $PWD/t/5;
    server { listen 127.0.0.1:$port; root $PWD/html; sendfile on; }
}
C
    nginx -e "$PWD/logs/error.log" -c "$PWD/conf" && break
    [ $try != 5 ] || { cat logs/error.log; exit 1; }
done
get() { exec 3<>/dev/tcp/127.0.0.1/$port; printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3; cat <&3; exec 3<&- 3>&-; }
for _ in $(seq 300); do [ -s nginx.pid ] && break; sleep 0.1; done
[ "$(get / | tail -1)" = hello ]
[ "$(get /big | tail -1 | wc -c)" = 20000 ]
wrk -t1 -c8 -d2 "http://127.0.0.1:$port/" >out
cat out
grep -q 'requests in' out
! grep -q 'Non-2xx\|Socket errors' out
nginx -e "$PWD/logs/error.log" -c "$PWD/conf" -s reload
sleep 0.3
[ "$(get / | tail -1)" = hello ]
pid=$(cat nginx.pid)
kill -QUIT "$pid"
for _ in $(seq 600); do [ -e "/proc/$pid" ] || exit 0; grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null && exit 0; sleep 0.1; done
echo "nginx did not end"
exit 1

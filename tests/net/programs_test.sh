#!/bin/bash
# Real network programs in a sandbox with the host's network, spoken to from outside it. What is not installed is skipped
# aloud. In a network namespace of its own where that is permitted, so that nobody else has the ports.
[ -n "$SUNDOG" ] || { echo "SUNDOG names the binary"; exit 99; }
if [ "$1" != in ]; then
    for how in "unshare -n" "unshare -Urn"; do
        $how true 2>/dev/null && exec $how "$0" in
    done
    echo "no namespace of its own: the host's ports are used"
else
    ip link set lo up || exit 99
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/sundog-net.XXXXXX") || exit 99
chmod 755 "$work" # nginx changes its user
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work" || exit 99
failed=0 ran=0
have() { command -v "$1" >/dev/null || { echo "skipped $2: $1 is not installed"; return 1; }; }
ok() { echo "ok $1"; ran=$((ran + 1)); }
bad() { echo "FAILED $1"; failed=1; }
# Starts a sandbox in the background and waits until its port answers.
serve() {
    local port=$1 i
    shift
    "$SUNDOG" run --net host --ro "$work:/w" "$@" >"$work/log.$port" 2>&1 </dev/null &
    pids+=($!)
    for ((i = 0; i < 600; i++)); do
        python3 -c "import socket; socket.create_connection(('127.0.0.1', $port), 10).close()" 2>/dev/null && return 0
        kill -0 "${pids[-1]}" 2>/dev/null || break
        sleep 0.1
    done
    echo "port $port does not answer: $(tail -5 "$work/log.$port")"
    return 1
}
inside() { timeout 120 "$SUNDOG" run --net host --ro "$work:/w" "$@" </dev/null; }

if have redis-server redis; then
    serve 17731 -- redis-server --port 17731 --save '' --bind 127.0.0.1 && redis-benchmark -p 17731 -q -n 200 -c 10 -t set,get,lpush >bench 2>&1 &&
        [ "$(redis-cli -p 17731 llen mylist)" = 200 ] && inside -- redis-cli -p 17731 ping | grep -q PONG && ok redis || { cat bench; bad redis; }
fi
if have nginx nginx; then
    mkdir html && head -c 300000 /dev/urandom >html/big && echo hello >html/index.html
    cat >nginx.conf <<END
worker_processes 2; daemon off; pid /tmp/nginx.pid; error_log stderr; events { worker_connections 128; }
http { access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c; uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
sendfile on; tcp_nopush on; server { listen 127.0.0.1:17732; listen [::1]:17732; root /w/html; } }
END
    if serve 17732 -- nginx -c /w/nginx.conf; then
        python3 - <<END && ok nginx || bad nginx
import concurrent.futures, urllib.request
big = open("html/big", "rb").read()
def get(n):
    host = "[::1]" if n % 4 == 3 else "127.0.0.1"
    return urllib.request.urlopen(f"http://{host}:17732/" + ("big" if n % 2 else ""), timeout=60).read() == (big if n % 2 else b"hello\n")
with concurrent.futures.ThreadPoolExecutor(8) as p:
    assert all(p.map(get, range(100)))
END
        if have wrk "wrk against nginx"; then
            wrk -t1 -c8 -d1s http://127.0.0.1:17732/ >wrk && ! grep -q 'Socket errors\|Non-2xx' wrk && ok wrk || { cat wrk; bad wrk; }
        fi
    fi
fi
if have curl curl; then
    mkdir -p out && echo "from outside" >out/f
    python3 -m http.server --bind 127.0.0.1 --directory out 17733 >/dev/null 2>&1 &
    pids+=($!)
    for ((i = 0; i < 100; i++)); do curl -s http://127.0.0.1:17733/f >/dev/null && break; sleep 0.1; done
    [ "$(inside -- curl -s http://127.0.0.1:17733/f)" = "from outside" ] && ok curl || bad curl
    [ "$(inside -- sh -c 'curl -s http://127.0.0.1:17739/; echo $?')" = 7 ] && ok 'curl refused' || bad 'curl refused'
    timeout 60 "$SUNDOG" run -- curl -s http://127.0.0.1:17733/f >/dev/null && bad 'loopback of its own' || ok 'loopback of its own'
fi
if have node node; then
    cat >server.js <<'END'
require('http').createServer((q, r) => { let n = 0; q.on('data', d => n += d.length); q.on('end', () => r.end('got ' + n)); }).listen(17734, '127.0.0.1');
END
    serve 17734 -- node /w/server.js && [ "$(head -c 200000 /dev/zero | curl -s --data-binary @- http://127.0.0.1:17734/)" = 'got 200000' ] &&
        [ "$(inside -- node -e "require('http').get('http://127.0.0.1:17734/', r => r.pipe(process.stdout))")" = 'got 0' ] && ok node || bad node
fi
cat >aio.py <<'END'
import asyncio, socket
async def handle(r, w):
    while d := await r.read(1000):
        w.write(d.upper())
        await w.drain()
    w.close()
async def client(port, n):
    r, w = await asyncio.open_connection("127.0.0.1", port)
    w.write(b"x" * n)
    w.write_eof()
    got = await r.read()
    w.close()
    return got == b"X" * n
async def main():
    s = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = s.sockets[0].getsockname()[1]
    print(all(await asyncio.gather(*(client(port, n * 1000) for n in range(30)))))
    t, p = await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    t.close()
asyncio.run(main())
END
[ "$(inside -- python3 /w/aio.py)" = True ] && ok asyncio || bad asyncio
if have ping ping; then
    if [ "$1" = in ] && echo "0 0" 2>/dev/null >/proc/sys/net/ipv4/ping_group_range && [ "$(id -g)" = 0 ]; then
        inside -- ping -c 2 -i 0.2 127.0.0.1 >out.ping 2>&1 && grep -q '2 received' out.ping && ok ping || { cat out.ping; bad ping; }
    else
        echo "skipped ping: the host admits no ping sockets"
    fi
fi
[ $failed = 0 ] || { tail -5 log.* 2>/dev/null; exit 1; }
[ $ran -gt 0 ] || exit 77

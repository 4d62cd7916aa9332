#!/bin/bash
# The network of a container: an engine's namespace by path, a new one, the host's; what the annotation says; the broker's end.
. "$(dirname "$0")/lib.sh"
command -v ip >/dev/null || skip "no ip: install iproute2"
[ "$(id -u)" = 0 ] && unshare -n true 2>/dev/null || skip "network namespaces cannot be made here"
pids=()
old_cleanup=$(declare -f cleanup | tail -n +3 | sed '$d')
cleanup() { kill "${pids[@]}" 2>/dev/null; eval "$old_cleanup"; }
# ns NAME: an anonymous namespace, held by a process
ns() {
    unshare -n sleep 1000 </dev/null >/dev/null 2>&1 &
    pids+=($!)
    printf -v "$1" %s $!
    until_true 60 sh -c "[ \"\$(readlink /proc/$!/ns/net)\" != \"\$(readlink /proc/self/ns/net)\" ]" || bad "no namespace for $1"
    nsenter -t $! -n ip link set lo up
}
in_ns() { local p=$1; shift; nsenter -t "$p" -n "$@"; }
ns world
ns pod
ip link add name eth0 netns "$pod" type veth peer name eth0 netns "$world" 2>err || skip "no veth pair: $(cat err)"
in_ns "$world" sh -c 'ip addr add 10.78.0.1/24 dev eth0; ip -6 addr add fd78::1/64 dev eth0 nodad; ip link set eth0 up' 2>/dev/null
in_ns "$pod" sh -c 'ip addr add 10.78.0.2/24 dev eth0; ip -6 addr add fd78::2/64 dev eth0 nodad; ip link set eth0 up; ip route add default via 10.78.0.1' 2>/dev/null
mkdir www && echo 'hello from the world' >www/f
nsenter -t "$world" -n python3 -m http.server --bind :: --directory www 8080 >/dev/null 2>&1 </dev/null & pids+=($!)   # no function: its subshell would be killed instead
until_true 60 in_ns "$world" python3 -c 'import socket; socket.create_connection(("10.78.0.1", 8080), 5)' 2>/dev/null || bad "the world does not answer"
net="l['namespaces'] = [{'type': t} for t in ('pid', 'ipc', 'uts', 'mount')] + [{'type': 'network', 'path': '/proc/$pod/ns/net'}]"

# Out, both families; what the container sees of its namespace.
six=
in_ns "$pod" ip -6 addr | grep -q fd78::2 && six='wget -qO- http://[fd78::1]:8080/f;'
inside "hello from the world.${six:+hello from the world.}1: lo.*eth0.*10.78.0.2/24.*default via 10.78.0.1.*links eth0 lo$" \
    "$net; sh('(wget -qO- http://10.78.0.1:8080/f; $six ip addr; ip route; echo links; ls /sys/class/net) | xargs echo')"
# In: a server of the container, called from the world.
bundle srv "$net; sh('echo answer | nc -l -p 9000')"
sd run --detach --bundle srv "$prefix-srv" >/dev/null 2>&1 </dev/null || bad "server: $(cat run/*/sandbox.log)"
same answer "$(in_ns "$world" python3 -c '
import socket, time
end = time.time() + 60
while True:
    try: s = socket.create_connection(("10.78.0.2", 9000), 5); break
    except OSError:
        if time.time() > end: raise
        time.sleep(0.05)
print(s.makefile().read(), end="")')" "what the server said"
wait_for "$prefix-srv" stopped
sd delete "$prefix-srv"
# Ping, as engines allow it: the sysctl is set where the sockets are. busybox knows raw sockets only.
if [ -x /usr/bin/python3 ]; then
    mkdir -p rootfs/usr && ln -sf usr/lib rootfs/lib && ln -sf usr/lib64 rootfs/lib64
    cat >ping.py <<'P'
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
s.settimeout(60)
s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 1) + b"ping", ("10.78.0.1", 0))
print(s.recvfrom(100)[0][8:].decode(), open("/proc/sys/net/ipv4/ping_group_range").read())
P
    inside 'ping 0.2147483647' "$net; l['sysctl'] = {'net.ipv4.ping_group_range': '0 2147483647'}
mount('/usr', 'bind', '/usr', 'rbind', 'ro'); mount('/ping.py', 'bind', '$work/ping.py', 'bind', 'ro'); args('/usr/bin/python3', '/ping.py')"
else
    echo "ping is not tried: no /usr/bin/python3"
fi
# A new namespace has nothing of the host's; sharing the host's has its loopback.
python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True: s.accept()[0].sendall(b"host\n")' >port </dev/null & pids+=($!)
until_true 60 test -s port
port=$(cat port)
inside "refused" "sh('nc 127.0.0.1 $port </dev/null || echo refused')"
inside '^host' "l['namespaces'] = [n for n in l['namespaces'] if n['type'] != 'network']; sh('nc 127.0.0.1 $port </dev/null')"
inside "refused" "c['annotations'] = {'sundog.net': 'loopback'}; l['namespaces'] = [n for n in l['namespaces'] if n['type'] != 'network']; sh('nc 127.0.0.1 $port </dev/null 2>&1 || echo refused')"
inside 'not supported' "c['annotations'] = {'sundog.net': 'none'}; sh('nc 127.0.0.1 $port </dev/null 2>&1; true')"
bundle bad "c['annotations'] = {'sundog.net': 'moon'}"
expect 1 'annotations.sundog.net: .moon. is not' sd run --bundle bad "$prefix-bad"
# A container does not outlive its broker.
bundle k "$net; sh('sleep 1000')"
sd run --detach --bundle k "$prefix-k" >/dev/null 2>&1 </dev/null
broker=$(sed -n 's/.*"broker": *\([0-9]*\).*/\1/p' run/"$prefix-k"/state.json)
[ "${broker:-0}" -gt 0 ] && kill -9 "$broker" || bad "no broker in the state"
wait_for "$prefix-k" stopped
grep -q 'network broker' run/"$prefix-k"/state.json || bad "no reason: $(cat run/"$prefix-k"/state.json)"
sd delete "$prefix-k"
finish

#!/bin/bash
# ip, ping, curl and tcpdump: two network namespaces with a cable between them, and what crosses it and lo. Needs root.
set -eu
for p in ip ping curl tcpdump python3 unshare nsenter; do
    command -v $p >/dev/null || { echo "skipped: $p is not installed"; exit 77; }
done
if [ "${1-}" != in ]; then
    unshare -n true 2>/dev/null || { echo "skipped: no network namespace to be had"; exit 77; }
    exec unshare -n bash "$0" in
fi
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
ip link set lo up
# The other end is a namespace of a process that only sleeps.
unshare -n sleep 1000 &
there=$!
for _ in $(seq 300); do [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.1; done
ip link add va type veth peer name vb
ip link set vb netns $there
ip addr add 10.7.0.1/24 dev va
ip link set va up
nsenter -t $there -n sh -c 'ip link set lo up; ip addr add 10.7.0.2/24 dev vb; ip link set vb up'
[ "$(ip -br addr show va | awk '{ print $3 }')" = 10.7.0.1/24 ]
ip route get 10.7.0.2 | grep -q 'dev va src 10.7.0.1'
ip route add 192.0.2.0/24 via 10.7.0.2
ip route | grep -q '192.0.2.0/24 via 10.7.0.2 dev va'
ip rule add from 10.7.0.1 lookup 77 priority 50
ip rule | grep -q 'from 10.7.0.1 lookup 77'
ip rule del priority 50

listening() { for _ in $(seq 300); do grep -q 'listening on' "$1" 2>/dev/null && return; sleep 0.1; done; cat "$1"; exit 1; }
caught() { for _ in $(seq 300); do grep -q "$2" "$1" && return; sleep 0.1; done; cat "$1"; exit 1; }

tcpdump -n -l -i va icmp >cable 2>&1 &
listening cable
ping -c 2 -W 5 10.7.0.2 >ping
grep -q '2 received' ping
caught cable '10.7.0.1 > 10.7.0.2: ICMP echo request'
caught cable '10.7.0.2 > 10.7.0.1: ICMP echo reply'
ip neigh | grep -q '10.7.0.2 dev va lladdr'

# The same server for both: by the cable, and by lo.
echo hello >page
for where in "nsenter -t $there -n" ""; do $where python3 -m http.server 8080 >/dev/null 2>&1 & done
for host in 10.7.0.2 127.0.0.1; do
    for _ in $(seq 300); do curl -s -o /dev/null http://$host:8080/ && break; sleep 0.1; done
    [ "$(curl -s http://$host:8080/page)" = hello ]
done
tcpdump -n -l -i lo tcp port 8080 >local 2>&1 &
listening local
[ "$(curl -s http://127.0.0.1:8080/page)" = hello ]
caught local '127.0.0.1.8080: Flags \[S\]'
caught local 'HTTP: GET /page'
caught local 'Flags \[F.\]'
ip link del va
! ip link show va 2>/dev/null
[ -z "$(ip route)" ]

#!/bin/bash
# Docker from the distribution, with sundog among its runtimes; published ports.
. "$(dirname "$0")/lib.sh"
need dockerd docker iptables
cat >"$work/daemon.json" <<J
{"data-root": "$work/data", "exec-root": "$work/exec", "pidfile": "$work/pid", "hosts": ["unix://$work/d.sock"], "storage-driver": "overlay2",
 "runtimes": {"sundog": {"path": "$SUNDOG"}}}
J
nsenter -t "$lab" -m -n -- dockerd --config-file "$work/daemon.json" >"$work/log" 2>&1 &
d="docker -H unix://$work/d.sock" r="--runtime sundog"
stop_engine() { $d rm -f $($d ps -aq); kill "$(cat "$work/pid")"; sleep 3; }
for i in $(seq 120); do $d info >/dev/null 2>&1 && break; sleep 0.5; done
$d info >/dev/null 2>&1 || skip "dockerd does not start here: $(tail -3 "$work/log")"
$d import "$work/image.tar" bb >/dev/null || skip "docker cannot import an image here"
ok 0 '^hi$' $d run --rm $r --network none bb echo hi
ok 5 '' $d run --rm $r bb sh -c 'exit 5'
ok 127 'not found' $d run --rm $r bb nosuch
ok 126 'permission denied' $d run --rm $r bb /etc/passwd
ok 0 . $d run -d --name c1 $r bb sh -c 'echo started; sleep 1000'
ok 0 inside $d exec c1 echo inside
ok 3 '' $d exec c1 sh -c 'exit 3'
ok 0 started $d logs c1
ok 0 sleep $d top c1
ok 0 '' $d pause c1
ok 0 Paused $d ps
ok 0 '' $d unpause c1
ok 0 c1 $d stats --no-stream c1
ok 0 '' $d update --memory 100m --memory-swap 200m c1
ok 0 '' $d stop -t 1 c1
ok 0 'Exited \(137\)' $d ps -a
ok 0 '' $d rm -f c1
ok 0 '^data$' $d run --rm $r -v "$work/vol:/v:ro" bb cat /v/f
ok 0 uid=5 $d run --rm $r -u 5:6 bb id
ok 0 '^/root' $d run --rm $r bb sh -c 'echo $HOME'
ok 0 '' $d run --rm $r --privileged bb true
ok 0 '/dev/pts/0' script -qec "$d run --rm -it $r --network none bb tty" /dev/null
ok 7 '' script -qec "$d run --rm -it $r --network none bb sh -c 'test -t 0 && test -t 1 && exit 7'" /dev/null
ok 0 '' $d run --rm $r --read-only --tmpfs /t bb touch /t/x
ok 0 . $d run -d --name web $r -p 18080:80 bb sh -c 'mkdir /w; echo page >/w/index.html; exec httpd -f -p 80 -h /w'
sleep 3
ok 0 page busybox wget -q -O - http://127.0.0.1:18080/
ok 0 page busybox wget -q -O - "http://$($d inspect -f '{{.NetworkSettings.IPAddress}}' web)/"
ok 0 '' $d rm -f web
finish

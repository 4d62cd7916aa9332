#!/bin/bash
# podman from the distribution, with sundog as its runtime.
. "$(dirname "$0")/lib.sh"
need podman conmon
printf '[engine]\nruntime_supports_json = ["sundog"]\nruntime_supports_nocgroups = ["sundog"]\n' >"$work/containers.conf"
export CONTAINERS_CONF=$work/containers.conf
p="podman --root $work/root --runroot $work/run --tmpdir $work/tmp --storage-driver overlay --cgroup-manager cgroupfs --events-backend file --runtime $SUNDOG"
stop_engine() { in_lab $p rm -fa -t 0; in_lab $p rmi -fa; }
n=--network=none i=localhost/bb
in_lab $p import "$work/image.tar" $i:latest >/dev/null 2>&1 || skip "podman cannot import an image here"
ok 0 '^hi$' $p run --rm $n $i echo hi
ok 5 '' $p run --rm $n $i sh -c 'exit 5'
ok 127 'not found' $p run --rm $n $i nosuch
ok 126 'permission denied' $p run --rm $n $i /etc/passwd
ok 0 . $p run -d --name c1 $n $i sleep 1000
ok 0 inside $p exec c1 echo inside
ok 3 '' $p exec c1 sh -c 'exit 3'
ok 127 '' $p exec c1 nosuch
ok 0 uid=1000 $p exec -u 1000 c1 id
ok 0 '^B' $p exec -e A=B c1 sh -c 'echo $A'
ok 0 '' $p exec -d c1 sleep 50
ok 0 '' $p pause c1
ok 0 [Pp]aused $p ps -a
ok 0 '' $p unpause c1
ok 0 c1 $p stats --no-stream c1
ok 0 '' $p update --cpus 0.5 c1
ok 0 '' $p cp "$work/vol/f" c1:/copied
ok 0 '^data$' $p exec c1 cat /copied
[ ! -e /copied ] || { echo "FAIL: podman cp wrote to the host"; failures=$((failures + 1)); rm -f /copied; }
ok 0 '' $p kill -s 9 c1
ok 0 137 $p wait c1
ok 0 '' $p rm c1
ok 0 . $p run -d --name c2 $n $i sh -c 'trap "exit 6" TERM; echo started; while :; do sleep 0.2; done'
sleep 2
ok 0 started $p logs c2
ok 0 '' $p stop -t 30 c2
ok 0 'Exited \(6\)' $p ps -a
ok 0 '' $p start c2
ok 0 '' $p rm -f -t 0 c2
ok 0 '^data$' $p run --rm $n -v "$work/vol:/v:ro" $i cat /v/f
ok 1 'Read-only' $p run --rm $n -v "$work/vol:/v:ro" $i touch /v/g
ok 0 '^data$' $p run --rm $n -v "$work/vol:/v" $i sh -c 'cp /v/f /v/g; cat /v/g'
ok 0 X=Y $p run --rm $n -e X=Y $i env
ok 0 'uid=12.*gid=34' $p run --rm $n -u 12:34 $i id
ok 0 '^/tmp' $p run --rm $n -w /tmp $i pwd
ok 1 Read-only $p run --rm $n --read-only $i touch /x
ok 0 '^name' $p run --rm $n --hostname name $i hostname
ok 0 'MemTotal: +65536' $p run --rm $n -m 64m $i grep MemTotal /proc/meminfo
ok 0 '^67108864' $p run --rm $n -m 64m $i sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'
ok 0 '^100' $p run --rm $n --ulimit nofile=100:100 $i sh -c 'ulimit -n'
ok 0 '0 +100000 +1000' $p run --rm $n --uidmap 0:100000:1000 $i cat /proc/self/uid_map
ok 0 '' $p run --rm $n --privileged $i true
ok 0 '/dev/pts/0' script -qec "$p run --rm -it $n $i tty" /dev/null
ok 7 '' script -qec "$p run --rm -it $n $i sh -c 'test -t 0 && test -t 1 && exit 7'" /dev/null
ok 0 . $p run -d --name h1 --health-cmd 'true' --health-interval disable $n $i sleep 100
ok 0 '' $p healthcheck run h1
ok 0 '' $p rm -f -t 0 h1
finish

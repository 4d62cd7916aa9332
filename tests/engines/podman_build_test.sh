#!/bin/bash
# Images built with RUN steps in sundog by podman and buildah; podman's bridge network with a published port; a Solaris program.
. "$(dirname "$0")/lib.sh"
need podman conmon buildah
printf '[engine]\nruntime_supports_json = ["sundog"]\nruntime_supports_nocgroups = ["sundog"]\n' >"$work/containers.conf"
export CONTAINERS_CONF=$work/containers.conf
store="--root $work/root --runroot $work/run --storage-driver overlay"
p="podman $store --tmpdir $work/tmp --cgroup-manager cgroupfs --events-backend file --runtime $SUNDOG"
stop_engine() { in_lab $p rm -fa -t 0; in_lab $p rmi -fa; }
i=localhost/bb
in_lab $p import "$work/image.tar" $i:latest >/dev/null 2>&1 || skip "podman cannot import an image here"
mkdir "$work/ctx"
printf 'FROM localhost/bb\nENV A=b\nRUN mkdir /made && echo "$A" >/made/f && chown 5:6 /made/f\nRUN ["/bin/sh", "-c", "cp /made/f /made/g"]\nWORKDIR /made\nCMD ["cat", "g"]\n' >"$work/ctx/Containerfile"
ok 0 '' $p build --network=none --isolation oci --runtime "$SUNDOG" -t localhost/built "$work/ctx"
ok 0 '^b$' $p run --rm --network=none localhost/built
ok 0 '^5 6' $p run --rm --network=none localhost/built stat -c '%u %g' f
b="buildah $store"
c=$(in_lab $b from --name work1 localhost/bb 2>&1)
[ "$c" = work1 ] || { echo "FAIL: buildah from: $c"; failures=$((failures + 1)); }
ok 0 '^in the box' $b run --runtime "$SUNDOG" --network=none --isolation oci work1 -- sh -c 'echo in the box; echo x >/x'
ok 4 '' $b run --runtime "$SUNDOG" --network=none --isolation oci work1 -- sh -c 'exit 4'
ok 0 '' $b commit work1 localhost/built2
ok 0 '^x$' $p run --rm --network=none localhost/built2 cat /x
ok 0 '' $b rm work1
# The network of podman itself.
if command -v iptables >/dev/null && { [ -x /usr/lib/podman/netavark ] || command -v netavark >/dev/null; }; then
    ok 0 . $p run -d --name web -p 127.0.0.1:18081:80 $i sh -c 'mkdir /w; echo page >/w/index.html; exec httpd -f -p 80 -h /w'
    for k in $(seq 100); do in_lab busybox wget -q -O /dev/null http://127.0.0.1:18081/ 2>/dev/null && break; sleep 0.2; done
    ok 0 '^page' busybox wget -q -O - http://127.0.0.1:18081/
    ok 0 'eth0' $p exec web ip -o addr
    ok 0 '' $p rm -f -t 0 web
else
    echo "published ports are not tried: no netavark or no iptables"
fi
finish

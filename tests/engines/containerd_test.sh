#!/bin/bash
# containerd and ctr from the distribution: sundog behind the stock shim io.containerd.runc.v2.
. "$(dirname "$0")/lib.sh"
need containerd ctr podman
cat >"$work/config.toml" <<T
version = 2
root = "$work/root"
state = "$work/state"
oom_score = 0
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$work/c.sock"
T
p="podman --root $work/pod --runroot $work/podrun --tmpdir $work/podtmp --storage-driver vfs --events-backend file"
in_lab $p import "$work/image.tar" localhost/bb:latest >/dev/null 2>&1
in_lab $p save -q --format oci-archive -o "$work/oci.tar" localhost/bb:latest >/dev/null 2>&1 || skip "no image can be made here"
nsenter -t "$lab" -m -n -- containerd --config "$work/config.toml" >"$work/log" 2>&1 &
daemon=$!
c="ctr -a $work/c.sock" i=localhost/bb:latest
run="$c run --runc-binary $SUNDOG"
stop_engine() { for t in $($c task ls -q); do $c task rm -f "$t"; done; kill $daemon; sleep 2; }
for k in $(seq 60); do in_lab $c version >/dev/null 2>&1 && break; sleep 0.5; done
in_lab $c image import "$work/oci.tar" >/dev/null 2>&1 || skip "containerd does not work here: $(tail -3 "$work/log")"
ok 0 '^hi$' $run --rm $i id1 echo hi
ok 6 '' $run --rm $i id2 sh -c 'exit 6'
ok 1 'executable file not found' $run --rm $i id3 nosuch
in_lab $c container rm id3 >/dev/null 2>&1
ok 0 '' $run -d $i id4 sleep 1000
ok 3 inside $c task exec --exec-id e1 id4 sh -c 'echo inside; exit 3'
ok 0 '[0-9]' $c task ps id4
ok 0 memory $c task metrics id4
ok 0 '' $c task pause id4
ok 0 PAUSED $c task ls
ok 0 '' $c task resume id4
ok 0 '' $c task kill -s 9 id4
sleep 2
ok 0 STOPPED $c task ls
in_lab $c task rm id4 >/dev/null 2>&1
ok 0 '' $c container rm id4
ok 2 '/dev/pts/0' script -qec "$run --rm -t $i id5 sh -c 'tty; exit 2'" /dev/null
finish

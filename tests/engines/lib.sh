# Sourced by the tests with real engines: root, a network and mount namespace of our own ("the lab"), an image of busybox.
set -u
SUNDOG=${SUNDOG:-${SUNDOG_BUILD:-build}/sundog}
[ -x "$SUNDOG" ] || { echo "no $SUNDOG: set SUNDOG"; exit 99; }
SUNDOG=$(realpath "$SUNDOG")
skip() { echo "SKIP: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "engines are tried as root"
need() { for p in "$@"; do command -v "$p" >/dev/null || skip "no $p"; done; }
need unshare nsenter busybox script
unshare -m -n true 2>/dev/null || skip "namespaces cannot be made here"
[ -w /sys/fs/cgroup ] || [ -w /sys/fs/cgroup/pids ] || skip "cgroups cannot be written here"
work=$(mktemp -d /tmp/sundog-engine-XXXXXX)
failures=0
unshare -m -n --propagation private sh -c "busybox ip link set lo up; echo \$\$ >$work/lab.pid; exec sleep 7200" >/dev/null 2>&1 &
until [ -s "$work/lab.pid" ]; do sleep 0.1; done
lab=$(cat "$work/lab.pid")
in_lab() { timeout 120 nsenter -t "$lab" -m -n -- "$@"; }
# ok STATUS REGEX COMMAND...
ok() {
    local want=$1 regex=$2 out got
    shift 2
    out=$(in_lab "$@" 2>&1)
    got=$?
    [ "$got" = "$want" ] && [[ $out =~ $regex ]] && return
    echo "FAIL: status $got, not $want, or no \`$regex\`: $*: $out"
    failures=$((failures + 1))
}
stop_engine() { :; }
leave() {
    stop_engine >/dev/null 2>&1
    kill "$lab" 2>/dev/null
    for i in 1 2 3 4 5; do
        awk -v w="$work" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done
        rm -rf --one-file-system "$work" 2>/dev/null && break
        sleep 1
    done
}
trap leave EXIT
mkdir -p "$work/rootfs"/{bin,dev,etc,proc,root,sys,tmp} "$work/vol"
cp "$(command -v busybox)" "$work/rootfs/bin/busybox"
for a in $(busybox --list); do [ "$a" = busybox ] || ln -sf busybox "$work/rootfs/bin/$a"; done
echo 'root:x:0:0:root:/root:/bin/sh' >"$work/rootfs/etc/passwd"
echo data >"$work/vol/f"
tar -C "$work/rootfs" -cf "$work/image.tar" .
finish() {
    ((failures == 0)) || { echo "$failures failed"; exit 1; }
    exit 0
}

#!/bin/bash
# cgroup v2 alone, as hosts with the unified hierarchy have it: in a mount namespace of our own, where nothing else is mounted.
# On a hybrid host it holds the controllers that v1 does not; the limits of those that are there are tried.
if [ -z "${SUNDOG_CGROUP2:-}" ]; then
    [ "$(id -u)" = 0 ] || { echo "SKIP: cgroups are tried as root"; exit 77; }
    unshare -m --propagation private true 2>/dev/null || { echo "SKIP: no mount namespace can be made here"; exit 77; }
    SUNDOG_CGROUP2=1 exec unshare -m --propagation private bash "$0"
fi
. "$(dirname "$0")/lib.sh"
cg=/sys/fs/cgroup
awk -v d=$cg '$5 == d || index($5, d "/") == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r m; do umount -l "$m"; done
mount -t cgroup2 none $cg 2>out || skip "no cgroup2 here: $(cat out)"
mkdir $cg/$prefix-probe 2>out || skip "no cgroup can be made: $(cat out)"
rmdir $cg/$prefix-probe
controllers=" $(cat $cg/cgroup.controllers) "
echo "controllers:$controllers"
has() { [[ $controllers == *" $1 "* ]]; }
gone() { [ ! -e "$1" ]; }
in_cgroup() { grep -qx "$(cat c.pid)" "$1/cgroup.procs"; }
begin() { sd run --detach --pid-file c.pid --bundle "$@" >out 2>&1 </dev/null || bad "run $*: $(cat out)"; }

# a path of its own: the supervisor and all of the sandbox is in it, and it goes with the container
id=$prefix-own
bundle own "l['cgroupsPath'] = '/$prefix/own'; mount('/sys/fs/cgroup', 'cgroup', 'cgroup', 'ro'); l['namespaces'].append({'type': 'cgroup'}); args('sleep', '1000')"
begin own "$id"
d=$cg/$prefix/own
in_cgroup $d || bad "the supervisor is not in $d: $(cat /proc/"$(cat c.pid)"/cgroup)"
n=$(wc -l <$d/cgroup.procs); ((n >= 3)) || bad "$n processes in the container's cgroup"
expect 0 '0::/' cat "/proc/$(cat c.pid)/cgroup"
expect 0 'cgroup.procs' sd exec "$id" ls /sys/fs/cgroup
expect 0 'populated 1' sd exec "$id" cat /sys/fs/cgroup/cgroup.events
expect 1 'Read-only' sd exec "$id" sh -c 'echo 1 >/sys/fs/cgroup/cgroup.freeze'
sd pause "$id" || bad pause
wait_for "$id" paused
sd resume "$id" || bad resume
expect 0 alive sd exec "$id" echo alive
if has pids; then
    sd update --pids-limit 20 "$id" || bad "update --pids-limit"
    expect 0 '^20$' sd exec "$id" cat /sys/fs/cgroup/pids.max
    same 144 "$(cat $d/pids.max)" "the host's pids.max"
fi
if has memory; then
    sd update --memory 128M "$id" || bad "update --memory"
    same 134217728 "$(cat $d/memory.max)" memory.max
    expect 0 '131072 kB' sd exec "$id" grep MemTotal /proc/meminfo
else
    expect 1 'memory.max: no such file or directory' sd update --memory 128M "$id"
fi
# frozen from outside, and with a cgroup of its own below: delete removes it all the same
mkdir $d/below
echo 1 >$d/cgroup.freeze
sd delete --force "$id" || bad "delete of a frozen container"
until_true 30 gone $d || bad "$d is left"
rmdir $cg/$prefix 2>/dev/null

# limits: what there is is set, what there is not says so
if has hugetlb && [ -d /sys/kernel/mm/hugepages/hugepages-2048kB ]; then
    bundle huge "l['cgroupsPath'] = '/$prefix-huge'; l['resources'] = {'hugepageLimits': [{'pageSize': '2MB', 'limit': 4 << 20}]}; args('sleep', '1000')"
    begin huge "$prefix-huge"
    same 4194304 "$(cat $cg/$prefix-huge/hugetlb.2MB.max)" hugepageLimits
    sd delete --force "$prefix-huge"
    bundle uni "l['cgroupsPath'] = '/$prefix-uni'; l['resources'] = {'unified': {'hugetlb.2MB.max': '6291456', 'cgroup.max.depth': '3'}}; args('sleep', '1000')"
    begin uni "$prefix-uni"
    same "6291456 3" "$(echo $(cat $cg/$prefix-uni/hugetlb.2MB.max $cg/$prefix-uni/cgroup.max.depth))" unified
    sd delete --force "$prefix-uni"
fi
bundle bad "l['cgroupsPath'] = '/$prefix-bad'; l['resources'] = {'unified': {'no.such.file': '1'}}"
expect 1 'no.such.file: no such file or directory' sd run --bundle bad "$prefix-bad"
gone $cg/$prefix-bad || bad "a cgroup is left of a failed create"

# the form of systemd's driver: the directories that systemd would make
bundle sysd "l['cgroupsPath'] = '$prefix-a.slice:box:$prefix-s'; args('sleep', '1000')"
sd --systemd-cgroup run --detach --pid-file c.pid --bundle sysd "$prefix-s" >out 2>&1 </dev/null || bad "run with --systemd-cgroup: $(cat out)"
scope=$(sed -n 's/^0:://p' "/proc/$(cat c.pid)/cgroup")
[[ $scope == */$prefix-a.slice/box-$prefix-s.scope ]] || bad "the scope is $scope"
in_cgroup "$cg$scope" || bad "the supervisor is not in $scope"
sd delete --force "$prefix-s"
until_true 30 gone "$cg$scope" || bad "$scope is left"
# the slices stay, as systemd's would
for ((s = 0; s < 6; s++)); do scope=${scope%/*}; [ -n "$scope" ] && rmdir "$cg$scope" 2>/dev/null; done
left=$(find $cg -maxdepth 2 -name "*$prefix*" | tr '\n' ' ')
[ -z "$left" ] || bad "left: $left"
finish

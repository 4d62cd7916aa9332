#!/bin/bash
# Limits of a container, at create and after update: what the host's cgroup says, and what is shown and counted inside.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "cgroups are tried as root"
id=$prefix-u
in_box() { sd exec "$id" "$@" 2>&1 </dev/null; }
memtotal() { in_box sh -c 'echo $(grep MemTotal /proc/meminfo | tr -dc 0-9) $(free | grep Mem: | tr -s " " | cut -d" " -f2)'; }
cpus() { in_box sh -c 'echo $(nproc) $(grep -c ^processor /proc/cpuinfo) $(grep Cpus_allowed_list /proc/self/status | cut -f2)'; }
has() { grep -qs . "/sys/fs/cgroup/$1/cgroup.procs" || grep -qs "$1" /sys/fs/cgroup/cgroup.controllers; }
for c in memory pids cpuset; do has $c || skip "no cgroup controller $c here"; done
all=$(nproc)

bundle u 'mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid"); l["namespaces"].append({"type": "cgroup"})
l["resources"] = {"memory": {"limit": 96 << 20}, "pids": {"limit": 12}}; sh("while :; do sleep 1000; done")'
sd create --bundle u "$id" >out 2>&1 </dev/null || {
    ! grep -Eq 'ead-only file system|ermission denied' out || skip "no cgroup can be made here: $(cat out)"
    bad "create: $(cat out)"
    finish
}
sd start "$id" || bad start
file() { in_box sh -c "cat /sys/fs/cgroup/$1 /sys/fs/cgroup/*/$1 2>/dev/null | head -1"; }

# memory: shown, and held to
same "98304 98304" "$(memtotal)" "memory at create"
# Touches 130 MB at its height; the shell is there to tell of the signal. The container must outlive it; not on kvm, where the
# page tables that the host keeps for its guests may reach the limit first.
eat() { in_box sh -c 'awk "BEGIN { s = \"x\"; for (i = 0; i < 26; i++) s = s s; print length(s) }"; echo $?' | tail -1; }
[ "$PLATFORM" = kvm ] || same 137 "$(eat)" "130 MB of 96"
sd update --memory 256M "$id" || bad "update --memory"
same "262144 262144" "$(memtotal)" "memory after update"
same 268435456 "$(file memory.max)$(file memory.limit_in_bytes)" "the cgroup's memory"
same 0 "$(eat)" "130 MB of 256"
sd update --memory 128M "$id" || bad "update to less memory"
same "131072 131072" "$(memtotal)" "less memory after update"
[ "$PLATFORM" = kvm ] || same 137 "$(eat)" "130 MB of 128"
echo '{"memory": {"limit": -1}}' >r.json
sd update --resources r.json "$id" || bad "update to no limit"
same "$(grep MemTotal /proc/meminfo | tr -dc 0-9)" "$(memtotal | cut -d' ' -f1)" "no limit: the host's memory"
same 0 "$(eat)" "130 MB without a limit"

# The first process is ended by the cgroup, as engines look for it.
oom="$prefix-oom"
bundle oom "l['cgroupsPath'] = '/$oom'; l['resources'] = {'memory': {'limit': 96 << 20}}; args('awk', 'BEGIN { s = \"x\"; for (i = 0; i < 28; i++) s = s s; print length(s) }')"
sd run --detach --bundle oom "$oom" >/dev/null 2>&1 </dev/null || bad "run out of memory"
wait_for "$oom" stopped
events=$(cat /sys/fs/cgroup/memory/"$oom"/memory.oom_control /sys/fs/cgroup/"$oom"/memory.events 2>/dev/null)
[[ $events =~ oom_kill\ [1-9] ]] || bad "the cgroup tells of no process killed for memory: $events"
sd delete "$oom"

# tasks: the container's own, not the host's of which each takes some
same 12 "$(file pids.max)" "pids.max at create"
forks='n=0; while [ $n -lt 40 ] && (sleep 100 >/dev/null 2>&1 & true) 2>/dev/null; do n=$((n + 1)); echo $n; done'
few() { [[ $(file pids.current) == [2-6] ]]; }
many() { in_box sh -c "$forks" | grep -x '[0-9]*' | tail -1; in_box killall -q sleep; until_true 30 few; }
n=$(many); ((n >= 7 && n < 12)) || bad "$n processes under a limit of 12"
sd update --pids-limit 25 "$id" || bad "update --pids-limit"
same 25 "$(file pids.max)" "pids.max after update"
n=$(many); ((n >= 20 && n < 25)) || bad "$n processes under a limit of 25"
n=$(file pids.current); ((n >= 2 && n <= 6)) || bad "pids.current: $n"
sd update --pids-limit -1 "$id" || bad "update to no limit of tasks"
same max "$(file pids.max)" "no limit of tasks"
same 40 "$(many)" "processes without a limit"

# CPUs: those of the cpuset, numbered from 0
range() { [ "$1" = 1 ] && echo 0 || echo "0-$(($1 - 1))"; }
same "$all $all $(range "$all")" "$(cpus)" "CPUs at create"
sd update --cpuset-cpus 0 "$id" || bad "update --cpuset-cpus"
same "1 1 0" "$(cpus)" "CPUs after update"
in_box taskset 2 true >/dev/null && bad "a CPU that is gone was given"
sd update --cpuset-cpus "$(range "$all")" "$id" || bad "update of the cpuset back"
same "$all $all $(range "$all")" "$(cpus)" "CPUs after they came back"
expect 1 'container not running|does not exist' sd update --memory 1M nosuch-$$
expect 1 'invalid value for memory' sd update --memory lots "$id"
sd kill "$id" KILL
wait_for "$id" stopped
sd delete "$id" || bad delete
finish

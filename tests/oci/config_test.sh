#!/bin/bash
# Fields of config.json, each seen from inside. docs/oci.md names these tests.
. "$(dirname "$0")/lib.sh"
inside '^uid=5\(5\) gid=6 groups=6,7|^uid=5 gid=6 groups=.*7' 'p["user"] = {"uid": 5, "gid": 6, "additionalGids": [7]}; args("id")'
inside '^0027$' 'p["user"]["umask"] = 0o27; sh("umask")'
inside '^/var b$' 'p["cwd"] = "/var"; p["env"].append("A=b"); sh("echo $PWD $A")'
inside '^/new/dir$' 'p["cwd"] = "/new/dir"; sh("echo $PWD")'
inside '^/root$' 'sh("echo $HOME")'
inside '^/home/user$' 'p["user"] = {"uid": 1000, "gid": 1000}; sh("echo $HOME")'
inside '^100 200$' 'p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]; sh("echo $(ulimit -Sn) $(ulimit -Hn)")'
inside 'CapEff:.*0000000000000001' 'p["capabilities"] = {k: ["CAP_CHOWN"] for k in ("bounding", "effective", "permitted")}; args("grep", "CapEff", "/proc/self/status")'
inside 'CapEff:.*0000000000000400' 'p["user"] = {"uid": 5, "gid": 5}; p["capabilities"] = {k: ["CAP_NET_BIND_SERVICE"] for k in ("bounding", "effective", "permitted", "inheritable", "ambient")}; args("grep", "CapEff", "/proc/self/status")'
inside 'NoNewPrivs:.1' 'p["noNewPrivileges"] = True; args("grep", "NoNewPrivs", "/proc/self/status")'
inside '^300$' 'p["oomScoreAdj"] = 300; args("cat", "/proc/self/oom_score_adj")'
inside '^box dom$' 'c["domainname"] = "dom"; sh("echo $(hostname) $(cat /proc/sys/kernel/domainname)")'
inside 'Read-only file system' 'c["root"]["readonly"] = True; sh("touch /x 2>&1; true")'
inside '^ok$' 'sh("touch /x && echo ok")'
# mounts
mkdir vol; echo data >vol/f; mkdir -p vol/d
inside '^data$' "mount('/v', 'bind', '$work/vol', 'bind', 'ro'); args('cat', '/v/f')"
inside 'Read-only' "mount('/v', 'bind', '$work/vol', 'bind', 'ro'); sh('touch /v/x 2>&1; true')"
inside '^done$' "mount('/v', 'bind', '$work/vol', 'rbind', 'rw'); sh('echo w >/v/w && echo done')"
same w "$(cat vol/w)" "written through a bind mount"
inside '^data$' "mount('/etc/one', 'bind', '$work/vol/f', 'bind'); args('cat', '/etc/one')"
inside 'ermission denied' "mount('/v', 'bind', '$work/vol', 'bind', 'noexec'); sh('cp /bin/busybox /v/x; chmod 755 /v/x; /v/x true 2>&1; true')"
inside '/t type tmpfs \(rw,nosuid,nodev,noexec.*size=1024k,mode=700' 'mount("/t", "tmpfs", "tmpfs", "nosuid", "nodev", "noexec", "size=1m", "mode=700"); args("mount")'
inside '^root$' 'mount("/etc", "tmpfs", "tmpfs", "tmpcopyup"); sh("cut -d: -f1 /etc/passwd | head -1")'
inside '^ro$' 'mount("/t", "tmpfs", "tmpfs", "ro", "tmpcopyup"); sh("touch /t/x 2>/dev/null || echo ro")'
inside 'mqueue' 'mount("/dev/mqueue", "mqueue", "mqueue", "nosuid"); args("mount")'
# propagation inside: of single mounts, and of the root
inside '^/a shared /b private /c unbindable $' 'mount("/a", "tmpfs", "t", "shared"); mount("/b", "tmpfs", "t", "slave", "private"); mount("/c", "tmpfs", "t", "runbindable"); sh("awk \"\\$5 ~ /^.[abc]$/ { printf \\\"%s %s \\\", \\$5, \\$7 == \\\"-\\\" ? \\\"private\\\" : substr(\\$7, 1, index(\\$7 \\\":\\\", \\\":\\\") - 1) }\" /proc/self/mountinfo")'
inside '^seen$' 'p["capabilities"] = {k: ["CAP_SYS_ADMIN"] for k in ("bounding", "effective", "permitted")}; l["rootfsPropagation"] = "rshared"; sh("mkdir /x /y; mount --bind / /x; mount -t tmpfs t /y; touch /y/f; [ -e /x/y/f ] && echo seen")'
inside '^unseen$' 'p["capabilities"] = {k: ["CAP_SYS_ADMIN"] for k in ("bounding", "effective", "permitted")}; l["rootfsPropagation"] = "slave"; sh("mkdir /x /y; mount --bind / /x; mount -t tmpfs t /y; touch /y/f; [ -e /x/y/f ] || echo unseen")'
inside '^refused$' 'p["capabilities"] = {k: ["CAP_SYS_ADMIN"] for k in ("bounding", "effective", "permitted")}; l["rootfsPropagation"] = "unbindable"; sh("mkdir /x; mount --bind / /x 2>/dev/null || echo refused")'
inside "^$work/vol/d /v nosymfollow\$" "mount('/v', 'bind', '$work/vol/d', 'bind', 'nosymfollow'); sh('awk \"\\\\\$5 == \\\\\"/v\\\\\" { print \\\\\$4, \\\\\$5, \\\\\$6 ~ /nosymfollow/ ? \\\\\"nosymfollow\\\\\" : \\\\\"\\\\\" }\" /proc/self/mountinfo')"
# masked and read-only paths
inside '^0 0$' 'l["maskedPaths"] = ["/etc/passwd", "/var", "/nosuch"]; p["cwd"] = "/"; sh("mkdir -p /var/x 2>/dev/null; echo $(cat /etc/passwd | wc -c) $(ls /var | wc -l)")'
inside '^ro$' 'l["readonlyPaths"] = ["/etc", "/nosuch"]; sh("touch /etc/x 2>/dev/null || echo ro")'
# devices
inside '^640 1 5 1 3$' 'l["devices"] = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 1, "gid": 5}]; args("stat", "-c", "%a %u %g %t %T", "/dev/mine")'
inside '^null zero full random urandom tty ptmx$' 'sh("cd /dev; echo $(ls -d null zero full random urandom tty ptmx 2>/dev/null | sort -f | tr \"\\n\" \" \" >/dev/null; for d in null zero full random urandom tty ptmx; do [ -e $d ] && echo $d; done)")'
# linux
inside '^ *0 +100000 +1000' 'l["namespaces"].append({"type": "user"}); l["uidMappings"] = l["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]; args("cat", "/proc/self/uid_map")'
inside '^new$' 'l["sysctl"] = {"kernel.domainname": "new"}; args("cat", "/proc/sys/kernel/domainname")'
inside '^1$' 'l["sysctl"] = {"kernel.shm_rmid_forced": "1"}; args("cat", "/proc/sys/kernel/shm_rmid_forced")'
inside '^20 1024 30 4096$' 'l["sysctl"] = {"fs.mqueue.msg_max": "20", "fs/mqueue/msgsize_max": "1024", "fs.mqueue.queues_max": "30"}; sh("cd /proc/sys; echo $(cat fs/mqueue/msg_max fs/mqueue/msgsize_max fs/mqueue/queues_max kernel/shmmni)")'
inside '^i.86$' 'l["personality"] = {"domain": "LINUX32"}; args("uname", "-m")'
inside 'not permitted' 'l["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}; sh("mkdir /x 2>&1; true")'
inside 'No such device or address|not permitted' 'l["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 6}]}; sh("mkdir /x 2>&1; true")'
inside '159$' 'l["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}]}; sh("(mkdir /x) 2>/dev/null; echo $?")'
# namespaces on the host: new ones of the supervisor, and by path
if [ "$(id -u)" = 0 ] && unshare -pmU true 2>/dev/null; then
    bundle ns 'c["hostname"] = "pod"; c["domainname"] = "dom"; l["namespaces"] += [{"type": "cgroup"}, {"type": "user"}]; args("sleep", "1000")
l["uidMappings"] = l["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]
l["sysctl"] = {"kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "77", "kernel.msgmni": "44"}'
    sd create --bundle ns --pid-file ns.pid "$prefix-ns" >/dev/null 2>&1 || bad "create with namespaces"
    pid=$(cat ns.pid)
    for kind in pid mnt net ipc uts cgroup user; do
        [ "$(readlink /proc/self/ns/$kind)" != "$(readlink "/proc/$pid/ns/$kind")" ] || bad "the supervisor has the host's $kind namespace"
    done
    grep -Eq '^ *0 +100000 +1000$' "/proc/$pid/uid_map" || bad "uid_map on the host: $(cat "/proc/$pid/uid_map")"
    # The names of a uts namespace by path are those inside.
    inside '^pod dom$' "l['namespaces'] = [e for e in l['namespaces'] if e['type'] != 'uts'] + [{'type': 'uts', 'path': '/proc/$pid/ns/uts'}]
del c['hostname']; sh('echo \$(hostname) \$(cat /proc/sys/kernel/domainname)')"
    # What was set of an ipc namespace by path, too; the container's own word counts more.
    inside '^1 77 33$' "l['namespaces'] = [e for e in l['namespaces'] if e['type'] != 'ipc'] + [{'type': 'ipc', 'path': '/proc/$pid/ns/ipc'}]
l['sysctl'] = {'kernel.msgmni': '33'}; sh('cd /proc/sys; echo \$(cat kernel/shm_rmid_forced fs/mqueue/msg_max kernel/msgmni)')"
    # A second container in the first one's pid namespace, as pods have it: it ends with it.
    bundle join "l['namespaces'][0]['path'] = '/proc/$pid/ns/pid'; args('sleep', '1000')"
    sd run --detach --bundle join --pid-file join.pid "$prefix-join" >/dev/null 2>&1 || bad "run in a pid namespace by path"
    same "$(readlink "/proc/$pid/ns/pid")" "$(readlink "/proc/$(cat join.pid)/ns/pid")" "pid namespace by path"
    kill -9 "$pid"
    wait_for "$prefix-join" stopped
    sd delete "$prefix-join"
    sd delete --force "$prefix-ns"
    # Root and mounts of a mount namespace by path.
    unshare -m --propagation private sh -c "mount -t tmpfs t '$work/vol/d' && echo only-there >'$work/vol/d/x' && exec sleep 1000" </dev/null >/dev/null 2>&1 & holder=$!
    there() { [ -e "/proc/$holder/root$work/vol/d/x" ]; }
    mkdir -p vol/d
    until_true 60 there || bad "no mount namespace to enter"
    inside '^only-there$' "[n for n in l['namespaces'] if n['type'] == 'mount'][0]['path'] = '/proc/$holder/ns/mnt'; mount('/v', 'bind', '$work/vol', 'rbind', 'ro'); args('cat', '/v/d/x')"
    kill "$holder"
else
    echo "namespaces on the host are not tried: they cannot be made here"
fi
# names that are given twice
bundle host2 'l["sysctl"] = {"kernel.hostname": "a"}'
expect 1 'linux.sysctl.kernel.hostname.*conflicts with the OCI "hostname" field' sd run --bundle host2 "$prefix-h"
bundle dom2 'c["domainname"] = "b"; l["sysctl"] = {"kernel/domainname": "a"}'
expect 1 'conflicts with the OCI "domainname" field' sd run --bundle dom2 "$prefix-h"
inside '^same$' 'c["domainname"] = "same"; l["sysctl"] = {"kernel.domainname": "same"}; args("cat", "/proc/sys/kernel/domainname")'
# profiles are refused, not passed over
bundle prof 'c["annotations"] = {"sundog.profile": "web-tool"}'
expect 1 'annotations.sundog.profile: profile web-tool cannot be applied' sd run --bundle prof "$prefix-prof"
bundle prof2
expect 1 'profile: profile web-tool cannot be applied' sd --profile web-tool run --bundle prof2 "$prefix-prof"
[ ! -e "$work/run/$prefix-prof" ] || bad "state of a refused container"
# hooks: each sees the state on its standard input, in order; the one of the container runs inside
cat >hook.sh <<H
#!/bin/sh
{ echo "\$1 \$(cat)"; } >>$work/hooks.log
H
chmod +x hook.sh; mkdir -p rootfs/hook; printf '#!/bin/sh\necho "$1 $(cat)" >/hook/log\n' >rootfs/hook/h; chmod +x rootfs/hook/h
inside '^startContainer .*"status":"created"' "
c['hooks'] = {k: [{'path': '$work/hook.sh', 'args': ['hook.sh', k], 'env': ['PATH=/bin:/usr/bin']}] for k in ('prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop')}
c['hooks']['startContainer'] = [{'path': '/hook/h', 'args': ['h', 'startContainer'], 'env': ['PATH=/bin']}]
args('cat', '/hook/log')"
same "prestart createRuntime createContainer poststart poststop" "$(cut -d' ' -f1 hooks.log | tr '\n' ' ' | sed 's/ $//')" "order of hooks"
grep -q '^poststop .*"status":"stopped"' hooks.log || bad "state of poststop: $(cat hooks.log)"
grep -q '^prestart .*"pid":[1-9]' hooks.log || bad "pid at prestart: $(cat hooks.log)"
finish

#!/bin/bash
# Bundles that are wrong: a clear error that names the place in config.json, nothing left, nothing outside touched.
. "$(dirname "$0")/lib.sh"
id=$prefix-x
bundle b
expect 0 '' sd run --bundle b "$id"
cp b/config.json good.json
python3 - "$work" "$SUNDOG" "$id" "$PLATFORM" <<'P' || bad "malformed configurations"
import copy, json, os, subprocess, sys
work, sundog, id, platform = sys.argv[1:]
good = json.load(open("good.json"))
good["hooks"] = {"poststop": [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 5}]}
good["annotations"] = {"a": "b"}
good["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}]
good["process"]["user"].update(umask=18, additionalGids=[5])
good["process"].update(noNewPrivileges=True, oomScoreAdj=0, consoleSize={"height": 1, "width": 2},
    scheduler={"policy": "SCHED_OTHER", "nice": 1}, ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 1})
good["domainname"] = "d"
l = good["linux"]
l["resources"] = {"memory": {"limit": 1 << 28, "swappiness": 10}, "cpu": {"shares": 10, "cpus": "0"}, "pids": {"limit": 100}, "blockIO": {"weight": 10,
    "throttleReadBpsDevice": [{"major": 1, "minor": 2, "rate": 3}]}, "devices": [{"allow": False, "access": "rwm"}],
    "hugepageLimits": [{"pageSize": "2MB", "limit": 1}], "network": {"classID": 1}, "unified": {"a.b": "c"}}
l["maskedPaths"] = ["/proc/keys"]; l["readonlyPaths"] = ["/proc/sys"]; l["sysctl"] = {"kernel.domainname": "d"}
l["devices"] = [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}]
l["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]}]}
l["cgroupsPath"] = "/" + id
l["rootfsPropagation"] = "private"; l["personality"] = {"domain": "LINUX"}
failures = 0
def run(text, want, what):
    global failures
    open("b/config.json", "w").write(text if isinstance(text, str) else json.dumps(text))
    p = subprocess.run([sundog, "--root", work + "/run", "--platform", platform, "create", "--bundle", "b", id], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=120)
    left = os.listdir("run") if os.path.isdir("run") else []
    if p.returncode != 1 or want not in p.stderr or left:
        print("FAIL:", what, "status", p.returncode, "wanted", repr(want), "got", p.stderr, "left", left)
        failures += 1
def wrong(v):
    if isinstance(v, bool): return "yes"
    if isinstance(v, (int, float)): return "7"
    if isinstance(v, str): return 7
    if isinstance(v, list): return {"x": 1}
    return [1]
def walk(node, path, name):
    for k in (node if isinstance(node, dict) else range(len(node))):
        where = ("%s[%d]" % (name, k) if isinstance(k, int) else (name + "." + k if name else k))
        yield path + [k], where
        if isinstance(node[k], (dict, list)): yield from walk(node[k], path + [k], where)
count = 0
for path, where in walk(good, [], ""):
    c = copy.deepcopy(good)
    at = c
    for k in path[:-1]: at = at[k]
    at[path[-1]] = wrong(at[path[-1]])
    run(c, "config.json: " + where, "wrong type of " + where)
    count += 1
for path in (["root"], ["root", "path"], ["ociVersion"], ["process", "cwd"], ["process", "args"], ["mounts", 0, "destination"], ["linux", "namespaces", 0, "type"]):
    c = copy.deepcopy(good)
    at = c
    for k in path[:-1]: at = at[k]
    del at[path[-1]]
    run(c, str(path[-1]), "without " + str(path))
def change(want, **kw):
    c = json.load(open("good.json"))
    kw["f"](c)
    run(c, want, want)
def f(fn): return fn
change("root.path", f=lambda c: c["root"].update(path="nosuch"))
change("root.path", f=lambda c: c["root"].update(path="../b2"))
change("root.path", f=lambda c: c["root"].update(path="link"))
change("root.path", f=lambda c: c["root"].update(path="/"))
change("ociVersion", f=lambda c: c.update(ociVersion="2.0.0"))
change("ociVersion", f=lambda c: c.update(ociVersion="one"))
change("process.cwd", f=lambda c: c["process"].update(cwd="relative"))
change("process.args", f=lambda c: c["process"].update(args=[]))
change("process.env[0]", f=lambda c: c["process"].update(env=["A=\u0000b"]))
change("process.apparmorProfile", f=lambda c: c["process"].update(apparmorProfile="x"))
change("linux.mountLabel", f=lambda c: c["linux"].update(mountLabel="x")) if os.path.exists("/sys/fs/selinux/enforce") else None
change("process.selinuxLabel", f=lambda c: c["process"].update(selinuxLabel="x"))
change("wrong rlimit", f=lambda c: c["process"].update(rlimits=[{"type": "RLIMIT_X", "soft": 1, "hard": 1}]))
change("is there twice", f=lambda c: c["process"].update(rlimits=[{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}] * 2))
change("user.uid", f=lambda c: c["process"]["user"].update(uid=-1))
change("user.uid", f=lambda c: c["process"]["user"].update(uid=1 << 40))
change("linux.namespaces[5]", f=lambda c: c["linux"]["namespaces"].append({"type": "pid"}))
change("linux.namespaces[5]", f=lambda c: c["linux"]["namespaces"].append({"type": "nosuch"}))
change("it is none of this type", f=lambda c: c["linux"]["namespaces"].__setitem__(1, {"type": "network", "path": "/proc/self/ns/uts"}))
change("no such file", f=lambda c: c["linux"]["namespaces"].__setitem__(1, {"type": "network", "path": "/nosuch"}))
change("it is none of this type", f=lambda c: c["linux"]["namespaces"].__setitem__(0, {"type": "pid", "path": "/proc/self/ns/uts"}))
change("cannot join", f=lambda c: c["linux"]["namespaces"].append({"type": "user", "path": "/proc/self/ns/user"}))
change("mounts[4]", f=lambda c: c["mounts"].append({"destination": "/x", "type": "nosuchfs", "source": "x"}))
change("mounts[4]", f=lambda c: c["mounts"].append({"destination": "/x", "type": "bind", "source": "/nosuch", "options": ["bind"]}))
change("inside /proc", f=lambda c: c["mounts"].append({"destination": "/proc/sys", "type": "bind", "source": "/tmp", "options": ["bind"]}))
change("inside /proc", f=lambda c: c["mounts"].append({"destination": "/tmp/../proc/self", "type": "tmpfs", "source": "tmpfs"}))
change("cannot be mounted over", f=lambda c: c["mounts"].append({"destination": "/..", "type": "tmpfs", "source": "tmpfs"}))
ids = [{"containerID": 0, "hostID": 1000, "size": 10}]
def bound(**kw): return lambda c: c["mounts"].append({"destination": "/x", "type": "bind", "source": "/tmp", "options": ["bind"], **kw})
change("mounts[4]: mounting \"/tmp\" to \"/x\": id-mapped", f=bound(uidMappings=ids, gidMappings=ids))
change("mounts[4]: mounting \"/tmp\" to \"/x\": id-mapped", f=bound(options=["bind", "idmap"]))
change("mounts[4]: mounting \"/tmp\" to \"/x\": id-mapped", f=bound(options=["rbind", "ridmap"]))
change("mounts[4]: uidMappings and gidMappings go together", f=bound(uidMappings=ids))
change("mounts[4]: only bind mounts can be id-mapped", f=lambda c: c["mounts"].append({"destination": "/x", "type": "tmpfs", "source": "tmpfs", "options": ["idmap"]}))
change("linux.cgroupsPath", f=lambda c: c["linux"].update(cgroupsPath="/../../x")) if os.geteuid() == 0 and os.path.isdir("/sys/fs/cgroup") and os.listdir("/sys/fs/cgroup") else None
change("not in a separate kernel namespace", f=lambda c: c["linux"].update(sysctl={"vm.swappiness": "1"}))
change("linux.seccomp.defaultAction", f=lambda c: c["linux"].update(seccomp={"defaultAction": "SCMP_ACT_NOTIFY"}))
change("linux.seccomp.syscalls[0].action", f=lambda c: c["linux"].update(seccomp={"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}))
change("linux.seccomp.listenerPath", f=lambda c: c["linux"].update(seccomp={"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/l.sock"}))
change("linux.intelRdt", f=lambda c: c["linux"].update(intelRdt={"closID": "x"}))
run("", "invalid JSON", "empty"); run("{", "invalid JSON", "unfinished"); run("[]", "object", "array"); run('{"a":1} x', "invalid JSON", "tail")
run('{"a":' * 100 + "1" + "}" * 100, "invalid JSON", "deep"); run('{"a": NaN}', "config.json", "NaN")
big = json.load(open("good.json")); big["annotations"] = {"k%d" % i: "v" * 1000 for i in range(10000)}; big["ociVersion"] = 1
run(big, "config.json: ociVersion", "10 MB")
run("x" * (17 << 20), "larger than", "17 MB")
print(count, "fields")
sys.exit(failures > 0)
P
# What a hostile image's symlinks point at stays as it was, whatever is mounted over them.
mkdir -p outside b/rootfs; ln -s "$work/outside" b/rootfs/esc; ln -s ../../../../../../../../../.. b/rootfs/up
cp good.json b/config.json
bundle b 'args("sh", "-c", "ls -d /esc/in /up/tmp/sundog-oci-in 2>/dev/null | wc -l"); c["root"]["readonly"] = True
mount("/esc/in", "tmpfs", "tmpfs"); mount("/up/tmp/sundog-oci-in", "tmpfs", "tmpfs"); mount("/tmp/../../../../x/y", "tmpfs", "tmpfs")'
sd run --bundle b "$id" >/dev/null 2>&1
same "" "$(ls outside)" "made outside of the root"
[ ! -e /tmp/sundog-oci-in ] || bad "made on the host: /tmp/sundog-oci-in"
# A mount that is refused leaves no mount point in the image, neither its own nor of those before it: with a read-only root they are made on the host.
for last in '"bind", "/tmp", "bind", "idmap"' '"bind", "/nosuch", "bind"' '"nosuchfs", "x"'; do
    bundle r "c['root']['readonly'] = True; mount('/left/first', 'tmpfs', 'tmpfs'); mount('/left/last', $last)"
    expect 1 'config.json: mounts.5.: ' sd run --bundle r "$id"
    [ ! -e r/rootfs/left ] || bad "a mount point was left: $last"
    rm -rf r/rootfs/left
done
bundle r "c['root']['readonly'] = True; mount('/made/first', 'tmpfs', 'tmpfs'); args('ls', '-d', '/made/first')"
expect 0 '^/made/first$' sd run --bundle r "$id"
# A hook that hangs, one that fails, one that is not there.
bundle h 'c["hooks"] = {"createContainer": [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}'
expect 1 'ran past its timeout' sd run --bundle h "$id"
bundle h 'c["hooks"] = {"prestart": [{"path": "/bin/sh", "args": ["sh", "-c", "echo words; exit 3"]}]}'
expect 1 'prestart hook #0: .*exit status 3, output: words' sd run --bundle h "$id"
bundle h 'c["hooks"] = {"createRuntime": [{"path": "/nosuch"}]}'
expect 1 'no such file' sd run --bundle h "$id"
same "" "$(ls run)" "state directories left"
finish

#!/bin/bash
# Many containers by concurrent clients, their processes and ours killed at random: after delete --force nothing is left.
. "$(dirname "$0")/lib.sh"
[ "$(id -u)" = 0 ] || skip "processes are found by their cgroups, which takes root"
bundle b 'sh("trap \"exit 3\" TERM; while :; do sleep 0.1; done"); l["cgroupsPath"] = "/CGROUP"'
mkdir -p /sys/fs/cgroup/pids/"$prefix-probe" 2>/dev/null || mkdir -p /sys/fs/cgroup/"$prefix-probe" 2>/dev/null || skip "no cgroups can be made here"
rmdir /sys/fs/cgroup/pids/"$prefix-probe" /sys/fs/cgroup/"$prefix-probe" 2>/dev/null
cat >churn.py <<'P'
import json, os, random, signal, subprocess, sys, threading, time
work, sundog, platform, prefix, count, seed = sys.argv[1:7]
count, rnd = int(count), random.Random(int(seed))
base = [sundog, "--root", work + "/run", "--platform", platform]
failures, lock = [], threading.Lock()
clis = set()
conf = json.load(open("b/config.json"))
def bad(what):
    with lock: failures.append(what)
def run(*words):
    """A verb; what matters is that it ends: whatever it works on may be killed at any time."""
    p = subprocess.Popen(base + list(words), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    with lock: clis.add(p)
    try:
        # a detached child of a create that was killed may hold the pipe: the verb's end counts
        p.wait(300)
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
        bad("hung: %s" % (words,))
    with lock: clis.discard(p)
    p.stderr.close()
    return p.returncode
def start_time(pid):
    return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[19]
def members():
    found = {}
    for d in os.listdir("/proc"):
        if not d.isdigit(): continue
        try:
            if "/" + prefix + "-" in open("/proc/%s/cgroup" % d).read(): found[int(d)] = start_time(int(d))
        except (OSError, IndexError): pass
    return found
seen, stop = {}, threading.Event()
kills = 0
def killer():
    global kills
    r = random.Random(int(seed) + 1)
    while not stop.is_set():
        m = members()
        seen.update(m)
        with lock: victims = list(m.items()) + list(clis)
        for v in r.sample(victims, min(len(victims), r.randrange(1, 5))):
            try:
                if isinstance(v, tuple):   # never another process that has got its number since
                    fd = os.pidfd_open(v[0])
                    if start_time(v[0]) == v[1]: signal.pidfd_send_signal(fd, signal.SIGKILL)
                    os.close(fd)
                else: v.kill()
                kills += 1
            except OSError: pass
        time.sleep(r.random() * 0.1)
def one(i, r):
    id = "%s-%d" % (prefix, i)
    b = work + "/b%d" % i
    os.mkdir(b)
    c = json.loads(json.dumps(conf))
    c["root"]["path"] = work + "/rootfs"
    c["linux"]["cgroupsPath"] = "/" + id
    if i % 4 == 0: c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "pid"]
    if i % 3 == 0: c["linux"]["resources"] = {"memory": {"limit": 1 << 28}, "pids": {"limit": 500}}
    json.dump(c, open(b + "/config.json", "w"))
    run("create", "--bundle", b, "--pid-file", b + "/pid", id)
    verbs = [("start", id), ("exec", id, "true"), ("exec", "--detach", id, "sleep", "100"), ("kill", id, r.choice(["TERM", "KILL", "USR1"])), ("state", id),
             ("pause", id), ("exec", id, "sh", "-c", "exit 5"), ("resume", id), ("ps", id), ("delete", id), ("kill", "--all", id, "KILL")]
    for v in [verbs[0]] + r.sample(verbs, r.randrange(2, 7)): run(*v)
todo = list(range(count))
def client(k):
    r = random.Random(int(seed) + 100 + k)
    while True:
        with lock:
            if not todo: return
            i = todo.pop(rnd.randrange(len(todo)))
        one(i, r)
k = threading.Thread(target=killer)
k.start()
clients = [threading.Thread(target=client, args=(n,)) for n in range(8)]
for t in clients: t.start()
for t in clients: t.join()
stop.set()
k.join()
seen.update(members())
for i in range(count):
    if run("delete", "--force", "%s-%d" % (prefix, i)): bad("delete --force %d failed" % i)
def alive():
    out = []
    for pid, born in list(seen.items()) + list(members().items()):
        try:
            stat = open("/proc/%d/stat" % pid).read()
            if stat.rsplit(")", 1)[1].split()[19] == born and stat.rsplit(")", 1)[1].split()[0] not in "ZX": out.append((pid, stat[:60]))
        except (OSError, IndexError): pass
    return out
end = time.time() + 60
while alive() and time.time() < end: time.sleep(0.2)
for p in alive(): bad("process left: %s" % (p,))
if os.listdir("run"): bad("state left: %s" % os.listdir("run"))
for d, sub, files in os.walk("/sys/fs/cgroup"):
    for s in sub:
        if s.startswith(prefix + "-"): bad("cgroup left: %s/%s" % (d, s))
for line in open("/proc/self/mountinfo"):
    if work in line: bad("mount left: " + line)
print("%d containers, %d kills, %d processes of theirs seen" % (count, kills, len(seen)))
if kills < count // 10: bad("only %d kills" % kills)
if len(seen) < count: bad("only %d processes were seen: were there containers at all?" % len(seen))
for f in failures: print("FAIL:", f)
sys.exit(bool(failures))
P
seed=${SUNDOG_CHURN_SEED:-$RANDOM}
echo "seed $seed (SUNDOG_CHURN_SEED repeats it)"
python3 churn.py "$work" "$SUNDOG" "$PLATFORM" "$prefix" "${SUNDOG_CHURN_COUNT:-100}" "$seed" || bad "churn, seed $seed"
finish

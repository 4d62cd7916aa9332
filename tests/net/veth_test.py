#!/usr/bin/env python3
"""A sandbox with the host's network in a namespace of its own, joined by a veth pair to another one that plays the world.

Roles: no argument: looks whether namespaces may be made and starts itself in one; --sandbox: sets up the network, runs
sundog; --peer: the world, commanded by lines on standard input; --guest: what runs inside the sandbox.
"""
import errno, json, os, select, socket, struct, subprocess, sys, threading, time

SELF = os.path.abspath(__file__)
WAIT = 60                       # seconds; nothing here takes that long unless it fails
P4, P6, G4, G6 = "10.77.0.1", "fd77::1", "10.77.0.2", "fd77::2"
ECHO, UDP, RST, KNOCK, GROUP = 7001, 7002, 7003, 7100, "239.77.0.1"


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def command(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def configure(dev, v4, v6):
    command("ip", "link", "set", "lo", "up")
    command("ip", "addr", "add", v4 + "/24", "dev", dev)
    subprocess.run(["ip", "addr", "add", v6 + "/64", "dev", dev, "nodad"], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "set", "dev", dev, "addrgenmode", "none"], stderr=subprocess.DEVNULL)    # no address that is tentative for a while
    command("ip", "link", "set", dev, "up")
    subprocess.run(["ip", "route", "add", "224.0.0.0/4", "dev", dev], stderr=subprocess.DEVNULL)


# --- the world ---

def dual(kind, port):
    try:
        s = socket.socket(socket.AF_INET6, kind)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        any_ = "::"
    except OSError:
        s, any_ = socket.socket(socket.AF_INET, kind), "0.0.0.0"
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((any_, port))
    if kind == socket.SOCK_STREAM:
        s.listen(64)
    return s


def serve_echo():
    s = dual(socket.SOCK_STREAM, ECHO)

    def one(c):
        while True:
            d = c.recv(65536)
            if not d:
                break
            c.sendall(d)
        c.close()
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def serve_udp():
    s = dual(socket.SOCK_DGRAM, UDP)
    while True:
        d, a = s.recvfrom(65536)
        s.sendto(d, a)


def serve_rst():
    s = dual(socket.SOCK_STREAM, RST)
    while True:
        c = s.accept()[0]
        c.recv(1)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()


def serve_dns():
    """A and AAAA of peer.test; NXDOMAIN for the rest."""
    s = dual(socket.SOCK_DGRAM, 53)
    while True:
        q, a = s.recvfrom(512)
        name, i = [], 12
        while q[i]:
            name.append(q[i + 1:i + 1 + q[i]].decode())
            i += 1 + q[i]
        end = i + 5
        kind = struct.unpack("!H", q[i + 1:i + 3])[0]
        known = ".".join(name) == "peer.test"
        data = {1: socket.inet_pton(socket.AF_INET, P4), 28: socket.inet_pton(socket.AF_INET6, P6)}.get(kind) if known else None
        answer = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data if data else b""
        s.sendto(q[:2] + struct.pack("!HHHHH", 0x8180 if known else 0x8183, 1, 1 if data else 0, 0, 0) + q[12:end] + answer, a)


def peer():
    sys.stdin.readline()
    configure("veth1", P4, P6)
    for f in (serve_echo, serve_udp, serve_rst, serve_dns):
        threading.Thread(target=f, daemon=True).start()
    while True:                 # they are listening when their ports answer
        try:
            for port in (ECHO, RST):
                socket.create_connection((P4, port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    print("ready", flush=True)
    for line in sys.stdin:
        what, *rest = line.split()
        if what == "dial":
            c = socket.create_connection((rest[0], KNOCK), WAIT)
            c.sendall(b"knock " + rest[0].encode())
            c.shutdown(socket.SHUT_WR)
            got = b""
            while d := c.recv(65536):
                got += d
            print("dialled", len(got), got[:20].decode(), flush=True)
        elif what == "group":
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(P4))
            s.sendto(b"to all", (GROUP, KNOCK))
            print("sent", flush=True)
        elif what == "udp":
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.sendto(b"unasked", (G4, KNOCK))
            print("sent", flush=True)


# --- inside the sandbox ---

def tell(word):
    print("GUEST", word, flush=True)
    return sys.stdin.readline().split()


def expect_errno(want, fn, *args):
    try:
        fn(*args)
    except OSError as e:
        assert e.errno == want, f"{e} where {errno.errorcode[want]} was expected"
    else:
        raise AssertionError(f"no error where {errno.errorcode[want]} was expected")


def recvall(s):
    got = b""
    while d := s.recv(65536):
        got += d
    return got


def guest_tcp(ip):
    data = os.urandom(1 << 20)
    c = socket.create_connection((ip, ECHO), WAIT)
    assert c.getpeername()[:2] == (ip, ECHO) and c.getsockname()[0] in (G4, G6)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
    assert c.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
    t = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(socket.SHUT_WR)))
    t.start()
    assert recvall(c) == data
    t.join()
    c.close()


def guest_refused(ip):
    expect_errno(errno.ECONNREFUSED, socket.create_connection, (ip, 1), WAIT)
    c = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
    c.setblocking(False)
    assert c.connect_ex((ip, 1)) == errno.EINPROGRESS
    p = select.epoll()
    p.register(c, select.EPOLLOUT | select.EPOLLET)
    assert p.poll(WAIT)[0][1] & select.EPOLLERR
    assert c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert c.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def guest_reset():
    c = socket.create_connection((P4, RST), WAIT)
    p = select.epoll()
    p.register(c, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)
    assert not p.poll(0)
    c.send(b"x")
    ev = p.poll(WAIT)[0][1]
    assert ev & select.EPOLLERR and ev & select.EPOLLHUP, hex(ev)
    expect_errno(errno.ECONNRESET, c.recv, 1)
    assert c.recv(1) == b""
    expect_errno(errno.EPIPE, c.send, b"x")


def guest_edges():
    """EPOLLET: an edge for each arrival, none without."""
    c = socket.create_connection((P4, ECHO), WAIT)
    p = select.epoll()
    p.register(c, select.EPOLLIN | select.EPOLLET)
    assert not p.poll(0.05)
    for n in range(3):          # nothing is read meanwhile
        c.send(b"x")
        assert p.poll(WAIT)[0][1] == select.EPOLLIN
        assert not p.poll(0)
        assert len(c.recv(16, socket.MSG_PEEK)) == n + 1
    assert c.recv(16) == b"xxx"
    c.setblocking(False)        # Python's own time-outs would wait
    expect_errno(errno.EAGAIN, c.recv, 1)
    c.shutdown(socket.SHUT_WR)
    assert p.poll(WAIT)[0][1] & select.EPOLLIN and c.recv(1) == b""


def guest_flags():
    c = socket.create_connection((P4, ECHO), WAIT)
    c.settimeout(None)
    for part in (b"abc", b"def"):
        c.sendall(part)
        time.sleep(0.02)
    assert c.recv(6, socket.MSG_WAITALL) == b"abcdef"
    c.settimeout(0.05)
    try:
        c.recv(1)
        raise AssertionError("recv without data")
    except TimeoutError:
        pass
    c.settimeout(None)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000))
    expect_errno(errno.EAGAIN, c.recv, 1)


def guest_udp(ip):
    fam = socket.AF_INET6 if ":" in ip else socket.AF_INET
    s = socket.socket(fam, socket.SOCK_DGRAM)
    s.settimeout(WAIT)
    for n in (0, 1, 1400, 20000):
        s.sendto(b"u" * n, (ip, UDP))
        d, a = s.recvfrom(65536)
        assert d == b"u" * n and a[:2] == (ip, UDP), (len(d), a)
    s.connect((ip, UDP))
    s.send(b"connected")
    d, anc, flags, a = s.recvmsg(4)
    assert d == b"conn" and flags & socket.MSG_TRUNC
    expect_errno(errno.EMSGSIZE, s.send, b"x" * 65536)
    # Nobody there: told by ICMP.
    u = socket.socket(fam, socket.SOCK_DGRAM)
    u.settimeout(WAIT)
    level, opt = (41, 25) if fam == socket.AF_INET6 else (0, 11)
    u.setsockopt(level, opt, 1)                     # IPV6_RECVERR, IP_RECVERR
    u.sendto(b"lost", (ip, 9))
    select.select([], [], [u], 0)
    p = select.poll()
    p.register(u, select.POLLERR)
    assert p.poll(WAIT * 1000)
    d, anc, flags, a = u.recvmsg(100, 200, socket.MSG_ERRQUEUE)
    assert d == b"lost" and flags & socket.MSG_ERRQUEUE and a[:2] == (ip, 9), (d, flags, a)
    assert struct.unpack_from("I", anc[0][2])[0] == errno.ECONNREFUSED and anc[0][:2] == (level, opt), anc


def guest_pktinfo():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", KNOCK))
    s.settimeout(WAIT)
    s.setsockopt(socket.IPPROTO_IP, 8, 1)           # IP_PKTINFO
    s.setsockopt(socket.IPPROTO_IP, 12, 1)          # IP_RECVTTL
    s.setsockopt(socket.SOL_SOCKET, 35, 1)          # SO_TIMESTAMPNS
    tell("udp")
    d, anc, flags, a = s.recvmsg(100, 200)
    got = {(l, t): v for l, t, v in anc}
    index, _, dst = struct.unpack("i4s4s", got[(0, 8)])
    assert d == b"unasked" and socket.if_indextoname(index) == "veth0" and socket.inet_ntoa(dst) == G4, anc
    assert struct.unpack("i", got[(0, 2)])[0] == 64 and (socket.SOL_SOCKET, 35) in got
    # With the source named, and a small hop count.
    s.sendmsg([b"out"], [(0, 8, struct.pack("i4s4s", index, socket.inet_aton(G4), b"\0" * 4)), (0, 2, struct.pack("i", 3))], 0, (P4, UDP))
    assert s.recv(10) == b"out"


def guest_multicast():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", KNOCK))
    s.settimeout(WAIT)
    join = socket.inet_aton(GROUP) + socket.inet_aton(G4)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
    expect_errno(errno.EADDRINUSE, s.setsockopt, socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
    tell("group")
    assert s.recv(100) == b"to all"
    s.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, join)


def guest_server(ip):
    fam = socket.AF_INET6 if ":" in ip else socket.AF_INET
    s = socket.socket(fam)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if fam == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("::" if ":" in ip else "0.0.0.0", KNOCK))
    s.listen(5)
    t = socket.socket(fam)
    expect_errno(errno.EADDRINUSE, t.bind, ("::" if ":" in ip else "0.0.0.0", KNOCK))
    got = []

    def take():
        c, a = s.accept()
        got.append((recvall(c), a[0]))
        c.sendall(b"who is there?" + b"." * 300000)
        c.close()
    th = threading.Thread(target=take)
    th.start()
    answer = tell("dial " + ip)
    th.join()
    assert got == [(b"knock " + ip.encode(), P6 if ":" in ip else P4)], got
    assert answer[:2] == ["dialled", str(300013)], answer


def guest_dns():
    found = {a[4][0] for a in socket.getaddrinfo("peer.test", 80)}
    assert P4 in found, found
    try:
        socket.getaddrinfo("nowhere.test", 80)
        raise AssertionError("a name that is not there was found")
    except socket.gaierror as e:
        assert e.errno == socket.EAI_NONAME, e


def checksum(b):
    n = sum(struct.unpack("!%dH" % (len(b) // 2), b))
    n = (n >> 16) + (n & 0xffff)
    return ~(n + (n >> 16)) & 0xffff


def guest_ping():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    s.settimeout(WAIT)
    for to in (P4, "127.0.0.1"):
        s.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, 7) + b"data", (to, 0))
        d, a = s.recvfrom(100)
        assert d[0] == 0 and d[6:] == b"\0\7data" and a[0] == to, (d, a)


def guest_view():
    """What ip(8) says is what it says outside; so do /proc and /sys."""
    want = json.loads(os.environ["VIEW"])
    got = view()
    assert sorted(os.listdir("/sys/class/net")) == sorted(l["ifname"] for l in want["addr"])
    for l in want["addr"]:
        at = "/sys/class/net/" + l["ifname"] + "/"
        assert open(at + "address").read().strip() == l["address"] and int(open(at + "mtu").read()) == l["mtu"] and int(open(at + "ifindex").read()) == l["ifindex"]
    for k in want:
        assert got[k] == want[k], f"{k}: inside {got[k]}, outside {want[k]}"


def view():
    def ip(*argv):
        return json.loads(subprocess.run(["ip", "-j", *argv], capture_output=True, text=True, check=True).stdout or "[]")
    return {"addr": ip("addr"), "route": ip("route"), "route6": ip("-6", "route"), "index": [list(x) for x in socket.if_nameindex()],
            "proc": open("/proc/net/route").read(), "dev": [l.split(":")[0] for l in open("/proc/net/dev")]}


def guest_elsewhere():
    expect_errno(errno.ENETUNREACH, socket.create_connection, ("203.0.113.9", 80), WAIT)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    expect_errno(errno.ENETUNREACH, s.sendto, b"x", ("203.0.113.9", 80))
    expect_errno(errno.EADDRNOTAVAIL, s.bind, ("203.0.113.9", 0))
    for fam, kind, proto in ((socket.AF_INET, socket.SOCK_RAW, 1), (socket.AF_PACKET, socket.SOCK_RAW, 0)):
        try:
            socket.socket(fam, kind, proto)
            raise AssertionError("a raw socket")
        except OSError:
            pass
    tcp = open("/proc/net/tcp").read().splitlines()
    assert len(tcp) == 1, tcp                       # nobody else's
    l = socket.create_server(("127.0.0.1", 0))
    tcp = open("/proc/net/tcp").read().splitlines()
    assert len(tcp) == 2 and "0100007F:%04X 00000000:0000 0A" % l.getsockname()[1] in tcp[1], tcp


def guest():
    six = os.environ["SIX"] == "1"
    tests = [(guest_view,), (guest_tcp, P4), (guest_udp, P4), (guest_refused, P4), (guest_reset,), (guest_edges,), (guest_flags,),
             (guest_server, G4), (guest_pktinfo,), (guest_multicast,), (guest_dns,), (guest_elsewhere,)]
    if six:
        tests += [(guest_tcp, P6), (guest_udp, P6), (guest_refused, P6), (guest_server, G6)]
    if os.environ["PING"] == "1":
        tests += [(guest_ping,)]
    for fn, *args in tests:
        fn(*args)
        print("ok", fn.__name__, *args, flush=True)
    print("GUEST done", flush=True)


# --- the driver ---

def sundog_child(pid, name):
    for _ in range(WAIT * 20):
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                stat = open(f"/proc/{p}/stat").read()
            except OSError:
                continue
            comm, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
            if int(rest[1]) == pid and comm == name[:15]:
                return int(p)
        time.sleep(0.05)
    raise AssertionError("no " + name)


def sandbox():
    sundog, platform = os.environ["SUNDOG"], os.environ.get("PLATFORM", "auto")
    world = subprocess.Popen(["unshare", "-n", sys.executable, SELF, "--peer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        # unshare execs: the namespace is there once it differs from ours
        while os.readlink(f"/proc/{world.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        try:
            command("ip", "link", "add", "veth0", "type", "veth", "peer", "name", "veth1", "netns", str(world.pid))
            configure("veth0", G4, G6)
        except subprocess.CalledProcessError as e:
            skip("no veth pair: " + e.stderr.strip())
        world.stdin.write("go\n")
        world.stdin.flush()
        assert world.stdout.readline() == "ready\n"
        try:
            with open("/proc/sys/net/ipv4/ping_group_range", "w") as f:
                f.write("0 0")
            ping = os.getegid() == 0
        except OSError as e:
            ping = False
            print("ping is not tried:", e)
        six = G6 in subprocess.run(["ip", "-6", "addr"], capture_output=True, text=True).stdout
        if not six:
            print("IPv6 is not tried: this host has none")
        conf = os.environ["WORK"] + "/resolv.conf"
        with open(conf, "w") as f:
            f.write(f"nameserver {P4}\noptions timeout:30 attempts:2\n")
        mounts = ["--ro", f"{SELF}:/tmp/veth_test.py", "--ro", f"{conf}:/etc/resolv.conf"]
        env = [f"--env=SIX={int(six)}", f"--env=PING={int(ping)}", "--env=VIEW=" + json.dumps(view())]
        box = subprocess.Popen([sundog, "run", "--platform", platform, "--net", "host", *mounts, *env, "--", "python3", "/tmp/veth_test.py", "--guest"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        done = False
        for line in box.stdout:
            if not line.startswith("GUEST "):
                print(line, end="", flush=True)
                continue
            if line == "GUEST done\n":
                done = True
                continue
            world.stdin.write(line[6:])
            world.stdin.flush()
            box.stdin.write(world.stdout.readline())
            box.stdin.flush()
        assert box.wait() == 0 and done, f"the sandbox ended with {box.returncode}"

        # The other kinds of network reach nothing of this.
        probe = f"import socket,errno\ntry: socket.create_connection(('{P4}',{ECHO})); print('reached')\nexcept OSError as e: print(errno.errorcode[e.errno])"
        for kind, want in (("loopback", "ENETUNREACH"), ("none", "EAFNOSUPPORT")):
            r = subprocess.run([sundog, "run", "--platform", platform, "--net", kind, "--", "python3", "-c", probe], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            assert r.stdout == want + "\n", (kind, r)

        # The sandbox does not outlive its broker.
        box = subprocess.Popen([sundog, "run", "--platform", platform, "--net", "host", "--", "sleep", "1000"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        os.kill(sundog_child(box.pid, "sundog-netbroker"), 9)
        assert box.wait(WAIT) == 125 and "network broker" in box.stderr.read(), box.returncode
        print("ok all")
    finally:
        world.kill()
        world.wait()


def main():
    import shutil, tempfile
    for tool in ("ip", "unshare"):
        if not shutil.which(tool):
            skip(tool + " is not installed")
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-Urn"]
    r = subprocess.run([*how, "true"], capture_output=True, text=True)
    if r.returncode:
        skip("no network namespace can be made here: " + r.stderr.strip())
    with tempfile.TemporaryDirectory(prefix="sundog-veth.") as work:
        os.environ["WORK"] = work
        os.chdir(work)
        sys.exit(subprocess.run([*how, sys.executable, SELF, "--sandbox"], stdin=subprocess.DEVNULL).returncode)


{"--sandbox": sandbox, "--peer": peer, "--guest": guest}.get(sys.argv[1] if len(sys.argv) > 1 else "", main)()

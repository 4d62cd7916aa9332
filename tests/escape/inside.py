"""Attempts to get out, run inside: prints one JSON object, name -> what happened. An attempt that reaches what it must
not raises Escaped; any other exception, or a return, means that it failed."""
import array, ctypes, errno, fcntl, json, mmap, os, signal, socket, struct, subprocess, sys, termios, threading, time

W, OUT, HOME, PORT_OK, PORT_NO, OUTER, ABSTRACT = sys.argv[1:8]
PORT_OK, PORT_NO, OUTER = int(PORT_OK), int(PORT_NO), int(OUTER)
libc = ctypes.CDLL(None, use_errno=True)
attempts = []


class Escaped(Exception):
    pass


def attempt(f):
    attempts.append(f)
    return f


def call(nr, *args):
    r = libc.syscall(nr, *args)
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r


def leak(path, **kw):
    fd = os.open(path, os.O_RDONLY, **kw)
    data = os.read(fd, 100)
    os.close(fd)
    if b'SECRET' in data:
        raise Escaped(path)


def must_not(what):
    raise Escaped(what)


D, RO, S = W + '/deny', W + '/ro', W + '/sub'

# --- names
@attempt
def read_denied(): leak(D + '/s')
@attempt
def read_denied_dotdot(): leak(W + '/sub/../deny/../deny/s')
@attempt
def read_denied_planted_symlink(): leak(W + '/link2')
@attempt
def read_denied_own_symlink():
    os.symlink('../deny/s', S + '/l1')
    leak(S + '/l1')
@attempt
def read_outside(): leak(OUT + '/secret')
@attempt
def read_outside_symlink():
    os.symlink(OUT + '/secret', S + '/l2')
    leak(S + '/l2')
@attempt
def read_outside_relative(): leak(W + '/../outside/secret')
@attempt
def read_home_key(): leak(HOME + '/.ssh/id')
@attempt
def read_home_symlink():
    os.symlink(HOME, S + '/l3')
    leak(S + '/l3/.ssh/id')
@attempt
def read_glob(): leak(W + '/x.key')
@attempt
def read_new_name_of_glob():
    os.rename(W + '/x.key', W + '/plain')
    leak(W + '/plain')
@attempt
def read_by_dirfd():
    fd = os.open(W, os.O_PATH)
    leak('deny/s', dir_fd=fd)
@attempt
def read_by_denied_dirfd():
    fd = os.open(D, os.O_PATH)
    leak('s', dir_fd=fd)
@attempt
def read_case_trick(): leak(W + '/DENY/s')
@attempt
def read_trailing(): leak(W + '/deny//./s')
@attempt
def list_denied(): must_not(repr(os.listdir(D)))
@attempt
def stat_denied():
    if os.stat(D + '/s').st_size: must_not('size')
@attempt
def readlink_denied(): must_not(os.readlink(D + '/l'))
@attempt
def chdir_denied():
    os.chdir(D)
    leak('s')

# --- /proc
@attempt
def proc_root(): leak('/proc/self/root' + OUT + '/secret')
@attempt
def proc_1_root(): leak('/proc/1/root' + OUT + '/secret')
@attempt
def proc_cwd(): leak('/proc/self/cwd/../outside/secret')
@attempt
def proc_fd_dotdot():
    fd = os.open(W, os.O_RDONLY)
    leak('/proc/self/fd/%d/../outside/secret' % fd)
@attempt
def proc_fd_reopen_path():
    fd = os.open(W, os.O_PATH)
    leak('/proc/self/fd/%d/deny/s' % fd)
@attempt
def proc_fd_reopen_writable():
    fd = os.open(RO + '/b', os.O_RDONLY)
    w = os.open('/proc/self/fd/%d' % fd, os.O_WRONLY)
    os.write(w, b'x')
    must_not('wrote')
@attempt
def proc_outer():
    if os.path.exists('/proc/%d/environ' % OUTER) and b'SUNDOG' in open('/proc/%d/environ' % OUTER, 'rb').read(): must_not('environ of the host')
@attempt
def proc_core_pattern():
    os.write(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY), b'|/bin/sh -c id')
    must_not('wrote')
@attempt
def proc_modprobe():
    open('/proc/sys/kernel/modprobe', 'w').write('/tmp/x')
    must_not('wrote')
@attempt
def proc_sysrq():
    open('/proc/sysrq-trigger', 'w').write('h')
    must_not('wrote')
@attempt
def proc_mem_of_init():
    fd = os.open('/proc/1/mem', os.O_RDWR)
    os.pwrite(fd, b'x', 0x1000)
@attempt
def proc_kcore(): must_not(repr(os.read(os.open('/proc/kcore', os.O_RDONLY), 10)))
@attempt
def sys_write():
    open('/sys/power/state', 'w').write('mem')
    must_not('wrote')

# --- handles
@attempt
def handle_of_denied():
    buf = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))
    mid = ctypes.c_int()
    call(303, -100, (D + '/s').encode(), buf, ctypes.byref(mid), 0)
    must_not('a handle')
@attempt
def open_by_handle():
    buf = ctypes.create_string_buffer(struct.pack('IiI', 8, 1, 2) + bytes(64))
    call(304, os.open('/', os.O_RDONLY), buf, 0)
    must_not('opened')

# --- links and moves
@attempt
def hardlink_readonly():
    os.link(RO + '/b', S + '/b')
    open(S + '/b', 'a').write('x')
    must_not('wrote')
@attempt
def hardlink_denied():
    os.link(D + '/s', S + '/s')
    leak(S + '/s')
@attempt
def hardlink_symlink_follow():
    call(265, -100, (W + '/link2').encode(), -100, (S + '/s2').encode(), 0x400)     # linkat, AT_SYMLINK_FOLLOW
    leak(S + '/s2')
@attempt
def hardlink_to_exec_place(): os.link(W + '/tool', W + '/x/tool'); must_not('linked')
@attempt
def rename_denied():
    os.rename(D, S + '/d')
    leak(S + '/d/s')
@attempt
def rename_readonly():
    os.rename(RO, S + '/r')
    must_not('moved')
@attempt
def rename_over_denied():
    os.mkdir(S + '/empty')
    os.rename(S + '/empty', D)
    must_not('replaced')
@attempt
def rename_exchange():
    call(316, -100, RO.encode(), -100, S.encode(), 2)
    must_not('exchanged')
@attempt
def rename_parent():
    os.rename(W, W + '2')
    must_not('moved')
@attempt
def rename_into_exec_place():
    os.rename(W + '/tool', W + '/x/tool3')
    must_not('moved')
@attempt
def move_dir_with_rules_below():
    os.rename(W + '/nest', W + '/other')
    leak(W + '/other/.env')

# --- writing what is read-only
@attempt
def write_readonly(): os.open(RO + '/b', os.O_WRONLY); must_not('opened')
@attempt
def append_readonly(): os.open(RO + '/b', os.O_RDWR | os.O_APPEND); must_not('opened')
@attempt
def trunc_readonly(): os.truncate(RO + '/b', 0); must_not('truncated')
@attempt
def trunc_by_open(): os.open(RO + '/b', os.O_RDONLY | os.O_TRUNC); must_not('opened')
@attempt
def ftrunc_readonly_fd(): os.ftruncate(os.open(RO + '/b', os.O_RDONLY), 0); must_not('truncated')
@attempt
def mmap_shared_write():
    m = mmap.mmap(os.open(RO + '/b', os.O_RDONLY), 1, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    m[0] = 0
    must_not('wrote')
@attempt
def chmod_readonly(): os.chmod(RO + '/b', 0o777); must_not('changed')
@attempt
def chown_readonly(): os.chown(RO + '/b', 1, 1); must_not('changed')
@attempt
def utime_readonly(): os.utime(RO + '/b', (1, 1)); must_not('changed')
@attempt
def xattr_readonly(): os.setxattr(RO + '/b', 'user.x', b'y'); must_not('set')
@attempt
def unlink_readonly(): os.unlink(RO + '/b'); must_not('removed')
@attempt
def rmdir_readonly(): os.rmdir(RO + '/d'); must_not('removed')
@attempt
def mkdir_readonly(): os.mkdir(RO + '/n'); must_not('made')
@attempt
def mkfifo_readonly(): os.mkfifo(RO + '/f'); must_not('made')
@attempt
def symlink_readonly(): os.symlink('x', RO + '/l'); must_not('made')
@attempt
def tmpfile_readonly(): os.open(RO, os.O_TMPFILE | os.O_RDWR); must_not('opened')
@attempt
def tmpfile_link_readonly():
    fd = os.open(S, os.O_TMPFILE | os.O_RDWR)
    os.link('/proc/self/fd/%d' % fd, RO + '/t', follow_symlinks=True)
    must_not('linked')
@attempt
def socket_readonly(): socket.socket(socket.AF_UNIX).bind(RO + '/sock'); must_not('bound')
@attempt
def create_denied(): os.open(D + '/new', os.O_CREAT | os.O_WRONLY); must_not('made')
@attempt
def create_in_system(): os.open('/usr/bin/new', os.O_CREAT | os.O_WRONLY); must_not('made')
@attempt
def write_passwd(): os.open('/etc/passwd', os.O_WRONLY); must_not('opened')
@attempt
def suid_file():
    os.chmod(W + '/a', 0o4755)
    must_not('set')
@attempt
def copy_range_denied(): call(326, os.open(D + '/s', os.O_RDONLY), None, os.open(S + '/c', os.O_CREAT | os.O_RDWR), None, 100, 0); must_not('copied')

# --- devices, mounts, namespaces
@attempt
def mknod_disk():
    os.mknod(S + '/disk', 0o60600, os.makedev(8, 0))
    must_not(repr(os.read(os.open(S + '/disk', os.O_RDONLY), 10)))
@attempt
def mknod_mem_in_tmp():
    os.mknod('/tmp/mem', 0o20600, os.makedev(1, 1))
    must_not(repr(os.read(os.open('/tmp/mem', os.O_RDONLY), 10)))
@attempt
def dev_mem(): os.open('/dev/mem', os.O_RDWR); must_not('opened')
@attempt
def dev_kmsg(): os.open('/dev/kmsg', os.O_WRONLY); must_not('opened')
def mount(src, at, kind, flags): call(165, src.encode() if src else None, at.encode(), kind.encode() if kind else None, flags, None)
@attempt
def bind_over_denied():
    mount(S, D, None, 4096)
    leak(W + '/deny/s')
@attempt
def bind_elsewhere():
    os.mkdir(S + '/m')
    mount(D, S + '/m', None, 4096)
    leak(S + '/m/s')
@attempt
def remount_writable():
    mount(None, RO, None, 32 | 4096)
    os.open(RO + '/b', os.O_WRONLY)
    must_not('opened')
@attempt
def mount_disk():
    os.mkdir(S + '/md')
    mount('/dev/sda1', S + '/md', 'ext4', 0)
    must_not('mounted')
@attempt
def umount_place(): call(166, W.encode(), 2); leak(OUT + '/secret')
@attempt
def chroot_out():
    os.mkdir(S + '/ch')
    fd = os.open('/', os.O_RDONLY)
    os.chroot(S + '/ch')
    must_not('chroot')
@attempt
def unshare_user():
    call(272, 0x10000000)   # namespaces inside are the sandbox's own
    leak(OUT + '/secret')
@attempt
def setns_of_init(): call(308, os.open('/proc/1/ns/mnt', os.O_RDONLY), 0); leak(OUT + '/secret')

# --- calls that a rule denies
@attempt
def ptrace_init(): call(101, 16, 1, 0, 0); must_not('attached')
@attempt
def vm_read(): call(310, 1, None, 0, None, 0, 0); must_not('read')
@attempt
def keyring(): call(250, 0, -3, 0, 0, 0); must_not('keyring')
@attempt
def add_key(): call(248, b'user', b'x', b'y', 1, -3); must_not('key')
@attempt
def load_module(): call(175, None, 0, b''); must_not('loaded')
@attempt
def kexec(): call(246, 0, 0, None, 0); must_not('kexec')
@attempt
def set_clock(): call(227, 0, struct.pack('qq', 1, 0)); must_not('set')
@attempt
def bpf(): call(321, 0, bytes(64), 64); must_not('bpf')
@attempt
def perf(): call(298, bytes(128), 0, -1, -1, 0); must_not('perf')
@attempt
def userfault(): call(323, 0); must_not('userfaultfd')
@attempt
def reboot(): call(169, 0xfee1dead, 672274793, 0x1234567, None); must_not('reboot')
@attempt
def swapoff(): call(168, b'/x'); must_not('swapoff')
@attempt
def hostname(): socket.sethostname('x'); must_not('set')
@attempt
def kernel_log(): call(103, 3, ctypes.create_string_buffer(100), 100); must_not('log')
@attempt
def iopl(): call(172, 3); must_not('iopl')

# --- processes, descriptors, terminal
@attempt
def inherited_descriptors():
    for fd in os.listdir('/proc/self/fd'):
        if int(fd) > 2 and 'secret' in (os.readlink('/proc/self/fd/' + fd) if os.path.islink('/proc/self/fd/' + fd) else ''): must_not(fd)
    os.lseek(7, 0, 0)
    if b'SECRET' in os.read(7, 100): must_not('descriptor 7')
@attempt
def kill_outer(): os.kill(OUTER, signal.SIGTERM); must_not('signalled')
@attempt
def pass_path_descriptor():
    a, b = socket.socketpair()
    a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.open(RO + '/b', os.O_PATH)]))])
    got = array.array('i')
    got.frombytes(b.recvmsg(1, 100)[1][0][2][:4])
    os.open('/proc/self/fd/%d' % got[0], os.O_WRONLY)
    must_not('opened')
@attempt
def tiocsti():
    fd = os.open('/dev/tty', os.O_RDWR)
    fcntl.ioctl(fd, termios.TIOCSTI, b'x')
    must_not('typed')
@attempt
def exec_noexec():
    subprocess.run([W + '/tool'])
    must_not('ran')
@attempt
def exec_by_loader():
    if subprocess.run(['/lib64/ld-linux-x86-64.so.2', W + '/elf'], capture_output=True).returncode == 0: must_not('ran')
@attempt
def map_exec_noexec(): mmap.mmap(os.open(W + '/elf', os.O_RDONLY), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC); must_not('mapped')
@attempt
def protect_exec_noexec():
    m = mmap.mmap(os.open(W + '/elf', os.O_RDONLY), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)
    addr = libc.mmap
    addr.restype = ctypes.c_void_p
    p = addr(None, 4096, 1, 2, os.open(W + '/elf', os.O_RDONLY), 0)
    call(10, ctypes.c_void_p(p), 4096, 5)
    must_not('executable')
@attempt
def preload_across_exec():
    r = subprocess.run(['/usr/bin/true'], env={'LD_PRELOAD': W + '/elf'}, capture_output=True)
    if b'cannot' not in r.stderr and b'ERROR' not in r.stderr: must_not('loaded')
@attempt
def exec_denied_program(): subprocess.run(['/usr/bin/env', 'true']); must_not('ran')
@attempt
def many_processes():
    pids = []
    try:
        for _ in range(400):
            p = os.fork()
            if not p:
                signal.pause()
            pids.append(p)
    finally:
        for p in pids: os.kill(p, 9)
        for p in pids: os.waitpid(p, 0)
    must_not('made %d' % len(pids))

# --- network
def tcp(family, addr): s = socket.socket(family); s.settimeout(20); s.connect(addr); must_not('connected to %r' % (addr,))
def udp(family, addr): socket.socket(family, socket.SOCK_DGRAM).sendto(b'x', addr); must_not('sent to %r' % (addr,))
I4, I6 = socket.AF_INET, socket.AF_INET6
@attempt
def net_other_port(): tcp(I4, ('127.0.0.1', PORT_NO))
@attempt
def net_mapped(): tcp(I6, ('::ffff:127.0.0.1', PORT_NO))
@attempt
def net_any(): tcp(I4, ('0.0.0.0', PORT_NO))
@attempt
def net_other_loopback(): tcp(I4, ('127.0.0.2', PORT_OK))
@attempt
def net_loopback6(): tcp(I6, ('::1', PORT_NO))
@attempt
def net_literal(): tcp(I4, ('192.0.2.1', 443))
@attempt
def net_literal_hex(): tcp(I4, ('0x7f.1', PORT_NO))
@attempt
def net_literal6(): tcp(I6, ('2001:db8::1', 443))
@attempt
def net_udp_allowed_port(): udp(I4, ('127.0.0.1', PORT_OK))
@attempt
def net_udp_connected():
    s = socket.socket(I4, socket.SOCK_DGRAM)
    s.connect(('127.0.0.1', PORT_NO))
    must_not('connected')
@attempt
def dns_udp(): udp(I4, ('8.8.8.8', 53))
@attempt
def dns_tcp(): tcp(I4, ('8.8.8.8', 53))
@attempt
def dns_local(): udp(I4, ('127.0.0.53', 53))
@attempt
def dns_unknown_name(): tcp(I4, (socket.gethostbyname('tunnel.example.org'), 443))
@attempt
def dns_rebinding(): tcp(I4, (socket.gethostbyname('rebind.allowed.example'), PORT_NO))
@attempt
def dns_rebinding_metadata(): must_not(socket.gethostbyname('metadata.allowed.example'))
@attempt
def dns_rebinding_mapped():
    got = [a[4][0] for a in socket.getaddrinfo('mapped.allowed.example', 443, socket.AF_INET6)]
    must_not(got)
@attempt
def dns_rebinding_second_answer():
    # the first answer has another address than the later ones: what was pinned stays, what comes is screened again
    for _ in range(4):
        try: tcp(I4, (socket.gethostbyname('flip.allowed.example'), PORT_NO))
        except OSError: pass
    raise OSError(errno.EACCES, 'none of them')
@attempt
def dns_name_at_other_port():
    tcp(I4, (socket.gethostbyname('pinned.allowed.example'), 444))
@attempt
def dns_name_by_udp(): udp(I4, (socket.gethostbyname('pinned.allowed.example'), 443))
@attempt
def dns_sibling_address():
    socket.gethostbyname('pinned.allowed.example')
    tcp(I4, ('198.51.100.8', 443))
@attempt
def dns_alias_leads_away(): tcp(I4, (socket.gethostbyname('alias.allowed.example'), 80))
def dns_raw(q, tcp_too):
    s = socket.socket(I4, socket.SOCK_STREAM if tcp_too else socket.SOCK_DGRAM)
    s.settimeout(20)
    s.connect(('127.53.53.53', 53))
    s.sendall((struct.pack('>H', len(q)) if tcp_too else b'') + q)
    a = s.recv(4096)[2 if tcp_too else 0:]
    if a[3] & 15 == 0: must_not('answered %r' % a)
    raise OSError(errno.EACCES, 'rcode %d' % (a[3] & 15))
def dns_question(labels, qtype=1): return struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + b''.join(bytes([len(l)]) + l for l in labels) + b'\0' + struct.pack('>HH', qtype, 1)
@attempt
def dns_tunnel_by_tcp(): dns_raw(dns_question([b'data-over-tcp', b'example', b'org']), True)
@attempt
def dns_tunnel_by_txt(): dns_raw(dns_question([b'data-in-txt', b'example', b'org'], 16), False)
@attempt
def dns_oversized_label(): dns_raw(dns_question([b'a' * 63, b'b' * 63, b'c' * 63, b'd' * 63, b'allowed', b'example']), False)
@attempt
def dns_nul_in_name(): dns_raw(dns_question([b'pinned.allowed.example\0.evil', b'org']), False)
@attempt
def dns_unicode_name(): dns_raw(dns_question(['\u0430llowed'.encode(), b'example']), False)
@attempt
def dns_punycode_lookalike(): must_not(socket.gethostbyname('pinned.xn--llowed-2fg.example'))
@attempt
def dns_suffix_lookalike(): must_not(socket.gethostbyname('pinned.allowed.example.evil.org'))
@attempt
def dns_prefix_lookalike(): must_not(socket.gethostbyname('notallowed.example'))
@attempt
def dns_resolver_other_port(): tcp(I4, ('127.53.53.53', 853))
@attempt
def net_mapped_of_pinned():
    socket.gethostbyname('pinned.allowed.example')
    tcp(I6, ('::ffff:198.51.100.7', 8080))
@attempt
def net_listen_unbound():
    s = socket.socket(I4)
    s.listen()
    must_not('listens')
@attempt
def net_listen_any_port():
    s = socket.socket(I4)
    s.bind(('127.0.0.1', 0))
    s.listen()
    must_not('listens')
@attempt
def dns_oversized_name(): must_not(socket.gethostbyname('a' * 60 + '.' + 'b' * 63 + '.' + 'c' * 63 + '.' + 'd' * 63 + '.example.org'))
@attempt
def fastopen():
    socket.socket(I4).sendto(b'x', 0x20000000, ('127.0.0.1', PORT_NO))
    must_not('sent')
@attempt
def net_bind_any(): socket.socket(I4).bind(('0.0.0.0', 8099)); must_not('bound')
@attempt
def net_reuse_after_connect():
    s = socket.socket(I4)
    s.settimeout(20)
    s.connect(('127.0.0.1', PORT_OK))
    s2 = socket.socket(fileno=os.dup(s.fileno()))
    s2.connect(('127.0.0.1', PORT_NO))
    must_not('connected')
@attempt
def net_raw(): socket.socket(I4, socket.SOCK_RAW, 1); must_not('made')
@attempt
def net_packet(): socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0); must_not('made')
@attempt
def net_vsock(): socket.socket(40, socket.SOCK_STREAM); must_not('made')
@attempt
def unix_host_socket(): s = socket.socket(socket.AF_UNIX); s.connect(OUT + '/sock'); must_not('connected')
@attempt
def unix_host_abstract(): s = socket.socket(socket.AF_UNIX); s.connect('\0' + ABSTRACT); must_not('connected')

# --- races
def race(flip, look, seconds=1.5):
    stop = []
    def run():
        while not stop:
            try: flip()
            except OSError: pass
    t = threading.Thread(target=run)
    t.start()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try: look()
            except OSError: pass
    finally:
        stop.append(1)
        t.join()
@attempt
def race_symlink():
    os.mkdir(S + '/r1')
    open(S + '/r1/s', 'w').write('mine')
    n = [0]
    def flip():
        n[0] += 1
        os.symlink(('r1', '../deny')[n[0] % 2], S + '/flip.new')
        os.replace(S + '/flip.new', S + '/flip')
    race(flip, lambda: leak(S + '/flip/s'))
@attempt
def race_rename_dotdot():
    os.makedirs(S + '/r2/a/b')
    def flip():
        os.rename(S + '/r2/a', S + '/r3')
        os.rename(S + '/r3', S + '/r2/a')
    race(flip, lambda: leak(S + '/r2/a/b/../../../../../outside/secret'))
@attempt
def race_file_for_symlink():
    n = [0]
    def flip():
        n[0] += 1
        if n[0] % 2: os.symlink(OUT + '/secret', S + '/f.new')
        else: open(S + '/f.new', 'w').close()
        os.replace(S + '/f.new', S + '/f')
    race(flip, lambda: leak(S + '/f'))

os.chdir(S)
results = {}
for f in attempts:
    try:
        f()
        results[f.__name__] = 'failed'
    except Escaped as e:
        results[f.__name__] = 'ESCAPED: %s' % e
    except OSError as e:
        results[f.__name__] = errno.errorcode.get(e.errno, str(e))
    except Exception as e:
        results[f.__name__] = '%s: %s' % (type(e).__name__, e)
print(json.dumps(results))

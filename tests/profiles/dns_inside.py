"""Inside the sandbox of dns_test.py: questions by hand and by the C library. Prints one JSON object."""
import errno, json, socket, struct, sys

PORT, OTHER, UPSTREAM = map(int, sys.argv[1:4])
NS = ('127.53.53.53', 53)
out = {}


def wire(name):
    return b''.join(bytes([len(l)]) + l for l in name.split(b'.') if l) + b'\0'


def ask(name, qtype=1, edns=0, tcp=False, raw=None, family=socket.AF_INET, connect=True):
    q = raw or struct.pack('>HHHHHH', 4711, 0x100, 1, 0, 0, 1 if edns else 0) + wire(name) + struct.pack('>HH', qtype, 1)
    if edns and not raw:
        q += b'\0' + struct.pack('>HHIH', 41, edns, 0, 0)
    s = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    s.settimeout(60)
    to = NS if family == socket.AF_INET else ('::ffff:' + NS[0], 53)
    if tcp:
        s.connect(to)
        s.sendall(struct.pack('>H', len(q)) + q)
        f = s.makefile('rb')
        head = f.read(2)
        return f.read(struct.unpack('>H', head)[0]) if head else None
    if connect:
        s.connect(to)
        s.send(q)
    else:
        s.sendto(q, to)
    a, peer = s.recvfrom(65535)
    assert peer[:2] == to, peer
    assert s.getsockname()[1]
    return a


def summary(a):
    if a is None:
        return 'closed'
    ident, flags, n, answers, _, more = struct.unpack('>HHHHHH', a[:12])
    assert ident == 4711 and flags & 0x8000 and flags & 0x80, hex(flags)
    at = 12
    def skip(at):
        while True:
            c = a[at]
            if c >= 0xc0: return at + 2
            if not c: return at + 1
            at += 1 + c
    for _ in range(n):
        at = skip(at) + 4
    kinds, ips, ttl = [], [], set()
    for _ in range(answers + more):
        at = skip(at)
        t, _, life, size = struct.unpack('>HHIH', a[at:at + 10])
        at += 10
        if t in (1, 28): ips.append(socket.inet_ntop(socket.AF_INET if t == 1 else socket.AF_INET6, a[at:at + size]))
        if t == 5: kinds.append('CNAME')
        if t in (1, 5, 28): ttl.add(life)
        at += size
    assert at == len(a)
    assert not ttl or ttl == {300}, ttl
    rcode = {0: '', 1: 'FORMERR ', 2: 'SERVFAIL ', 3: 'NXDOMAIN ', 4: 'NOTIMP ', 5: 'REFUSED '}[flags & 15]
    text = ' '.join(sorted(ips)) if len(ips) < 5 else '%d addresses' % len(ips)
    return (rcode + ('TC ' if flags & 0x200 else '') + 'CNAME ' * len(kinds) + 'OPT ' * more + text).strip()


def put(name, f, *a, **kw):
    try:
        out[name] = f(*a, **kw)
    except OSError as e:
        out[name] = errno.errorcode.get(e.errno, type(e).__name__)


def dig(*a, **kw): return summary(ask(*a, **kw))


put('a', dig, b'api.example.org')
put('aaaa', dig, b'api.example.org', 28)
put('upper', dig, b'API.Example.ORG')
put('cname', dig, b'www.example.org')
put('tcp', dig, b'api.example.org', tcp=True)
put('unconnected', dig, b'api.example.org', connect=False)
put('v6 socket', dig, b'api.example.org', family=socket.AF_INET6)
put('v6 socket tcp', dig, b'api.example.org', tcp=True, family=socket.AF_INET6)
put('mx', dig, b'api.example.org', 15)
put('any', dig, b'api.example.org', 255)
put('many, small', dig, b'many.example.org')
put('many, edns', dig, b'many.example.org', edns=4096)
put('many, tcp', dig, b'many.example.org', tcp=True)
put('absent', dig, b'nothing.example.org')
put('refused', dig, b'secret.example.com')
put('refused, edns', dig, b'secret.example.com', edns=1232)
put('apex is not below it', dig, b'example.org')
put('denied below', dig, b'no.example.org')
put('rebind', dig, b'rebind.example.org')
put('rebind6', dig, b'rebind.example.org', 28)
put('mixed', dig, b'mixed.example.org')
put('loop', dig, b'loop.example.org')
put('site address of a site name', dig, b'db.example.internal')
put('loopback of a site name', dig, b'lo.example.internal')
put('broken upstream', dig, b'broken.example.org')
put('answer about another name', dig, b'lies.example.org')
put('second try', dig, b'slow.example.org')
put('reverse', dig, b'1.0.0.127.in-addr.arpa', 12)
# hostile questions
H = struct.pack('>HHHHHH', 4711, 0x100, 1, 0, 0, 0)
put('label of 64', dig, b'', raw=H + b'\x40' + b'a' * 64 + b'\0' + struct.pack('>HH', 1, 1))
put('oversized name', dig, b'', raw=H + wire(b'.'.join([b'a' * 63] * 4)) + struct.pack('>HH', 1, 1))
put('byte of a name', dig, b'', raw=H + wire(b'a\x00b.example.org') + struct.pack('>HH', 1, 1))
put('dot in a label', dig, b'', raw=H + b'\x0bexample.org\0' + struct.pack('>HH', 1, 1))
put('pointer to itself', dig, b'', raw=H + b'\xc0\x0c' + struct.pack('>HH', 1, 1))
put('two questions', dig, b'', raw=struct.pack('>HHHHHH', 4711, 0x100, 2, 0, 0, 0) + (wire(b'api.example.org') + struct.pack('>HH', 1, 1)) * 2)
put('chaos class', dig, b'', raw=H + wire(b'api.example.org') + struct.pack('>HH', 1, 3))
put('update', dig, b'', raw=struct.pack('>HHHHHH', 4711, 0x2800, 1, 0, 0, 0) + wire(b'api.example.org') + struct.pack('>HH', 1, 1))
put('tcp of 60000', dig, b'', tcp=True, raw=b'x' * 60000)


def conn(host, port, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_INET, kind)
    s.settimeout(60)
    s.connect((host, port))
    return 'connected'


put('by name', conn, 'web.example.org', PORT)
put('other port of the name', conn, 'web.example.org', OTHER)
put('udp to the name', conn, 'web.example.org', PORT, socket.SOCK_DGRAM)
put('address that was only told about another', conn, '93.184.0.66', PORT)
put('upstream itself', conn, '127.0.0.1', UPSTREAM, socket.SOCK_DGRAM)
put('another server, udp', conn, '8.8.8.8', 53, socket.SOCK_DGRAM)
put('another server, tcp', conn, '8.8.8.8', 53)
put('other port of the resolver', conn, NS[0], 54)
s = socket.socket(); s.settimeout(60); s.connect(NS)
out['peer name'] = list(s.getpeername())
print(json.dumps(out))

"""A name server for tests, UDP and TCP on one port of 127.0.0.1: serve(zone) -> (port, log). zone: name -> list of (type, value) with
type A AAAA CNAME, or a function of (query bytes, by tcp) -> answer bytes or None (says nothing). log gets (name, type, 'udp' or 'tcp')."""
import ipaddress, socket, struct, threading

TYPES = {'A': 1, 'CNAME': 5, 'AAAA': 28}


def wire(name):
    return b''.join(bytes([len(l)]) + l.encode() for l in name.split('.') if l) + b'\0'


def question(q):
    at, labels = 12, []
    while q[at]:
        labels.append(q[at + 1:at + 1 + q[at]].decode())
        at += 1 + q[at]
    return '.'.join(labels).lower(), struct.unpack('>H', q[at + 1:at + 3])[0], q[12:at + 5]


def record(name, kind, value, ttl=300):
    data = wire(value) if kind == 'CNAME' else ipaddress.ip_address(value).packed
    return wire(name) + struct.pack('>HHIH', TYPES[kind], 1, ttl, len(data)) + data


def answer(q, records, rcode=0, flags=0x8180, truncate=False):
    _, _, asked = question(q)
    if truncate:
        records, flags = [], flags | 0x200
    return q[:2] + struct.pack('>HHHHH', flags | rcode, 1, len(records), 0, 0) + asked + b''.join(records)


def by_zone(zone, q, tcp):
    name, qtype, _ = question(q)
    if name not in zone:
        return answer(q, [], 3)
    entry = zone[name]
    if callable(entry):
        return entry(q, tcp)
    records, at = [], name
    for _ in range(20):
        alias = [v for t, v in zone.get(at, []) if t == 'CNAME']
        if not alias:
            break
        records.append(record(at, 'CNAME', alias[0]))
        at = alias[0]
    records += [record(at, t, v) for t, v in zone.get(at, []) if TYPES[t] == qtype and t != 'CNAME']
    out = answer(q, records)
    return out if tcp or len(out) <= 1232 else answer(q, [], truncate=True)


def serve(zone):
    log = []
    while True:
        t, u = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        t.bind(('127.0.0.1', 0))
        try:
            u.bind(t.getsockname())
            break
        except OSError:
            t.close(), u.close()
    t.listen(16)

    def udp():
        while True:
            q, peer = u.recvfrom(4096)
            log.append(question(q)[:2] + ('udp',))
            a = by_zone(zone, q, False)
            if a is not None:
                u.sendto(a, peer)

    def one(c):
        with c, c.makefile('rb') as f:
            head = f.read(2)
            q = f.read(struct.unpack('>H', head)[0])
            log.append(question(q)[:2] + ('tcp',))
            a = by_zone(zone, q, True)
            if a is not None:
                c.sendall(struct.pack('>H', len(a)) + a)

    def tcp():
        while True:
            threading.Thread(target=one, args=(t.accept()[0],), daemon=True).start()
    for f in (udp, tcp):
        threading.Thread(target=f, daemon=True).start()
    return t.getsockname()[1], log

#!/usr/bin/env python3
"""The resolver of a sandbox with a profile: what rules name is looked up and can be connected to; other names, other name servers
and addresses that public names must not have are refused and in the record. The name server outside is our own (dns_server.py)."""
import json, os, shutil, socket, struct, subprocess, sys, tempfile, threading

here = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, here)
import dns_server as ns

sundog = os.path.realpath(os.environ.get('SUNDOG', 'build/sundog'))
top = tempfile.mkdtemp(prefix='sundog-dns-')
env = dict(os.environ, HOME=top + '/home', XDG_STATE_HOME=top + '/state', LC_ALL='C')
for v in ('SUNDOG_PROFILES', 'http_proxy', 'https_proxy', 'all_proxy', 'HTTP_PROXY', 'RES_OPTIONS', 'LOCALDOMAIN'):
    env.pop(v, None)
os.makedirs(top + '/home')
bad = []


def check(ok, text):
    if not ok:
        bad.append(text)


def server():
    """Says who it is to each connection, as HTTP; returns its port."""
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen(64)

    def run():
        while True:
            c, _ = s.accept()
            c.settimeout(60)
            try:
                c.recv(4096)
                c.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n')
            except OSError:
                pass
            c.close()
    threading.Thread(target=run, daemon=True).start()
    return s.getsockname()[1]


PORT, OTHER = server(), server()
flaky = [0]


def silent_once(q, tcp):
    flaky[0] += 1
    return None if flaky[0] == 1 else ns.answer(q, [ns.record('slow.example.org', 'A', '192.88.0.9')] if ns.question(q)[1] == 1 else [])


zone = {
    'web.example.org': [('A', '127.0.0.1')],                          # its address is allowed by a rule of its own
    'api.example.org': [('A', '93.184.0.1'), ('AAAA', '2a00:1::1')],
    'exact.example.net': [('A', '93.184.0.2')],
    'www.example.org': [('CNAME', 'a.cdn.example'), ('A', '0.0.0.0')],
    'a.cdn.example': [('CNAME', 'b.cdn.example')],
    'b.cdn.example': [('A', '93.184.0.3'), ('A', '93.184.0.4')],
    'many.example.org': [('A', '93.185.%d.%d' % (i // 250, i % 250 + 1)) for i in range(120)],
    'rebind.example.org': [('A', '169.254.169.254'), ('A', '10.0.0.1'), ('A', '192.168.7.7'), ('AAAA', 'fd00::1'), ('AAAA', '::1'), ('AAAA', '::ffff:10.0.0.2')],
    'mixed.example.org': [('A', '10.1.1.1'), ('A', '93.184.0.5')],
    'loop.example.org': [('CNAME', 'loop2.example.org')],
    'loop2.example.org': [('CNAME', 'loop.example.org')],
    'db.example.internal': [('A', '10.3.3.3')],
    'lo.example.internal': [('A', '127.0.0.9')],
    'broken.example.org': lambda q, tcp: ns.answer(q, [])[:14],
    'lies.example.org': lambda q, tcp: ns.answer(q, [ns.record('other.example.org', 'A', '93.184.0.66')]),
    'slow.example.org': silent_once,
    'secret.example.com': [('A', '93.184.0.7')],
    'no.example.org': [('A', '93.184.0.8')],
}
dns_port, log = ns.serve(zone)
open(top + '/t.profile', 'w').write('''profile 1 dns
include system
include network
[files]
rox %s
rox %s
[net]
connect *.example.org:%d tcp
deny    no.example.org:*
connect exact.example.net:443 tcp
connect *.example.internal:5432 tcp
connect 127.0.0.1:%d tcp
[limit]
processes 200
''' % (here, os.path.realpath(sys.prefix), PORT, PORT))


EXPECTED = {
    'a': '93.184.0.1', 'aaaa': '2a00:1::1', 'upper': '93.184.0.1', 'cname': 'CNAME CNAME 93.184.0.3 93.184.0.4', 'tcp': '93.184.0.1',
    'unconnected': '93.184.0.1', 'v6 socket': '93.184.0.1', 'v6 socket tcp': '93.184.0.1', 'mx': '', 'any': '',
    'many, small': 'TC', 'many, edns': 'OPT 64 addresses', 'many, tcp': '64 addresses',
    'absent': 'NXDOMAIN', 'refused': 'NXDOMAIN', 'refused, edns': 'NXDOMAIN OPT', 'apex is not below it': 'NXDOMAIN', 'denied below': 'NXDOMAIN',
    'rebind': '', 'rebind6': '', 'mixed': '93.184.0.5', 'loop': 'SERVFAIL', 'site address of a site name': '10.3.3.3', 'loopback of a site name': '',
    'broken upstream': 'SERVFAIL', 'answer about another name': '', 'second try': '192.88.0.9', 'reverse': 'NXDOMAIN',
    'label of 64': 'FORMERR', 'oversized name': 'FORMERR', 'byte of a name': 'FORMERR', 'dot in a label': 'FORMERR', 'pointer to itself': 'FORMERR',
    'two questions': 'FORMERR', 'chaos class': 'REFUSED', 'update': 'NOTIMP', 'tcp of 60000': 'ECONNRESET',
    'by name': 'connected', 'other port of the name': 'EACCES', 'udp to the name': 'EACCES', 'address that was only told about another': 'EACCES',
    'upstream itself': 'EACCES', 'another server, udp': 'EACCES', 'another server, tcp': 'EACCES', 'other port of the resolver': 'EACCES',
    'peer name': ['127.53.53.53', 53],
}


def inside(*cmd, status=0, extra=(), mode=()):
    r = subprocess.run([sundog, 'run', '--profile', top + '/t.profile', '--dns', '127.0.0.1:%d' % dns_port, '--platform',
                        os.environ.get('SUNDOG_TEST_PLATFORM', 'auto'), *extra, *mode, '--', *cmd], env=env, cwd='/', stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=200)
    if status is not None:
        check(r.returncode == status, '%s: status %d\n%s%s' % (' '.join(cmd)[:200], r.returncode, r.stdout, r.stderr))
    return r.stdout


def denials():
    out = subprocess.run([sundog, 'why', '--json'], env=env, capture_output=True, text=True).stdout
    return json.loads(out)['denials']


def main():
    py = os.path.realpath(sys.executable)
    check('nameserver 127.53.53.53' in inside('cat', '/etc/resolv.conf'), 'the resolver is not in resolv.conf')
    if shutil.which('getent'):
        check('127.0.0.1' in inside('getent', 'ahostsv4', 'web.example.org'), 'getent web.example.org')
        check('93.184.0.3' in inside('getent', 'ahostsv4', 'www.example.org'), 'getent over two aliases')
        check('2a00:1::1' in inside('getent', 'ahostsv6', 'api.example.org'), 'getent of an IPv6 address')
        inside('getent', 'ahosts', 'secret.example.com', status=2)
        check(any(d['operation'] == 'resolve' and d['object'] == 'secret.example.com' and d['allow'] == '[net] connect secret.example.com:443 tcp' for d in denials()),
              'the refused name is not in `why`')
        check(not any(l[0] == 'secret.example.com' for l in log), 'a refused name left the sandbox')
    else:
        print('left out: no getent')
    if shutil.which('curl'):
        check('hello' in inside('curl', '-sS', 'http://web.example.org:%d/' % PORT), 'curl by name')
        inside('curl', '-sS', 'http://web.example.org:%d/' % OTHER, status=7)
        check(any(d['operation'] == 'connect' and ':%d/' % OTHER in d['object'] for d in denials()), 'the other port is not in `why`')
        inside('curl', '-sS', 'http://no.example.org:%d/' % PORT, status=6)
    else:
        print('left out: no curl')
    out = inside(py, here + '/dns_inside.py', str(PORT), str(OTHER), str(dns_port))
    try:
        got = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        got = {}
        check(False, 'the program inside did not end: ' + out)
    want = EXPECTED
    for k, v in want.items():
        check(got.get(k) == v, '%s: %r, not %r' % (k, got.get(k), v))
    check(set(got) == set(want), 'not expected: %s' % (set(got) - set(want)))
    record = denials()
    for part in ('rebind.example.org -> 169.254.169.254', 'rebind.example.org -> 10.0.0.1', 'rebind.example.org -> fd00::1', 'rebind.example.org -> ::1',
                 'mixed.example.org -> 10.1.1.1', 'lo.example.internal -> 127.0.0.9', 'no.example.org', 'secret.example.com', '(a malformed question)'):
        check(any(d['operation'] == 'resolve' and d['object'] == part for d in record), 'not in the record: ' + part)
    for part in ('127.0.0.1:%d/udp' % dns_port, '8.8.8.8:53/udp', '8.8.8.8:53/tcp', '93.184.0.66:'):
        check(any(d['operation'] == 'connect' and part in d['object'] for d in record), 'not in the record: ' + part)
    check(any(l[2] == 'tcp' and l[0] == 'many.example.org' for l in log), 'a truncated answer was not asked for again by TCP')
    if shutil.which('dig'):
        check('93.184.0.2' in inside('dig', '+short', 'exact.example.net'), 'dig')
        check('93.184.0.2' in inside('dig', '+tcp', '+short', 'exact.example.net'), 'dig +tcp')
        check('EDE: 15' in inside('dig', 'secret.example.com'), 'dig of a refused name shows no extended error')
    else:
        print('left out: no dig')
    node = shutil.which('node')
    if node:
        js = "require('dns').resolve4('api.example.org', (e, a) => console.log(e ? e.code : a.join()))"
        check('93.184.0.1' in inside(node, '-e', js, extra=('--rox', os.path.realpath(os.path.dirname(os.path.realpath(node))))), "node's own resolver")
    else:
        print('left out: no node')
    # Warn: answered, and said.
    if shutil.which('getent'):
        check('93.184.0.7' in inside('getent', 'ahostsv4', 'secret.example.com', mode=('--mode', 'warn')), 'warn does not answer')
        check(any(d['verdict'] == 'warned' and d['object'] == 'secret.example.com' for d in denials()), 'warn does not record')


try:
    main()
finally:
    shutil.rmtree(top, ignore_errors=True)
for b in bad:
    print('FAIL:', b)
sys.exit(1 if bad else 0)

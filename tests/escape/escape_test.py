#!/usr/bin/env python3
"""Over a hundred attempts to get out of a profile (inside.py), in one sandbox: none may succeed, the host must be as it
was, and what a rule refused must be in the record that `sundog why` reads."""
import json, os, shutil, socket, subprocess, sys, tempfile, threading

sundog = os.path.realpath(os.environ.get('SUNDOG', 'build/sundog'))
here = os.path.dirname(os.path.realpath(__file__))
top = tempfile.mkdtemp(prefix='sundog-escape-')
env = dict(os.environ, HOME=top + '/home', XDG_STATE_HOME=top + '/state')
env.pop('SUNDOG_PROFILES', None)
bad = []

# Attempts whose refusal is a rule's, with a part of the object as the record has it. The others are refused by what the
# sandbox is (no such device, no such call, its own namespaces): no rule had to say anything.
IN_RECORD = {
    'read_denied': 'deny/s', 'read_denied_planted_symlink': 'deny/s', 'read_denied_own_symlink': 'deny/s', 'read_outside': 'outside/secret',
    'read_outside_symlink': 'outside/secret', 'read_home_key': '.ssh/id', 'read_glob': 'x.key', 'read_by_dirfd': 'deny/s', 'list_denied': 'deny',
    'hardlink_readonly': 'ro/b', 'hardlink_denied': 'deny/s', 'rename_denied': 'deny', 'rename_readonly': '/ro', 'write_readonly': 'ro/b',
    'hardlink_to_exec_place': '->', 'trunc_readonly': 'ro/b', 'unlink_readonly': 'ro/b', 'mkdir_readonly': 'ro/n', 'mkfifo_readonly': 'ro/f',
    'symlink_readonly': 'ro/l', 'tmpfile_link_readonly': 'ro/t', 'socket_readonly': 'ro/sock', 'create_denied': 'deny/new',
    'exec_noexec': '/tool', 'map_exec_noexec': '/elf', 'exec_denied_program': '/usr/bin/env', 'ptrace_init': 'ptrace', 'vm_read': 'process_vm_readv',
    'keyring': 'keyctl', 'add_key': 'add_key', 'load_module': 'init_module', 'kexec': 'kexec_load', 'set_clock': 'clock_settime', 'bpf': 'bpf',
    'perf': 'perf_event_open', 'userfault': 'userfaultfd', 'reboot': 'reboot', 'swapoff': 'swapoff', 'hostname': 'sethostname', 'kernel_log': 'syslog',
    'iopl': 'iopl', 'bind_over_denied': 'mount', 'umount_place': 'umount2', 'chroot_out': 'chroot', 'many_processes': 'processes',
    'net_other_port': '127.0.0.1:', 'net_other_loopback': '127.0.0.2:', 'net_loopback6': '[::1]:', 'net_literal': '192.0.2.1:443',
    'net_literal6': '[2001:db8::1]:443', 'net_udp_allowed_port': '/udp', 'dns_udp': '8.8.8.8:53/udp', 'dns_tcp': '8.8.8.8:53/tcp',
    'dns_local': '127.0.0.53:53/udp', 'net_bind_any': '0.0.0.0:8099', 'unix_host_socket': 'outside/sock',
}


def check(ok, text):
    if not ok:
        bad.append(text)


def snapshot():
    out = {}
    for d, dirs, files in os.walk(top):
        if d.startswith((top + '/state', top + '/p/sub')):
            continue
        for n in dirs + files:
            p = os.path.join(d, n)
            st = os.lstat(p)
            data = open(p, 'rb').read() if os.path.isfile(p) and not os.path.islink(p) else os.readlink(p) if os.path.islink(p) else None
            if p not in (top + '/p/sub', top + '/p'):
                out[p] = (st.st_mode, st.st_uid, data)
    return out


def main():
    for d in ('home/.ssh', 'state', 'p/deny', 'p/ro/d', 'p/sub', 'p/x', 'p/nest', 'outside'):
        os.makedirs(top + '/' + d)
    for name, text in {'home/.ssh/id': 'SECRET', 'p/deny/s': 'SECRET', 'p/x.key': 'SECRET', 'p/nest/.env': 'SECRET', 'outside/secret': 'SECRET',
                       'p/ro/b': 'b', 'p/a': 'a', 'p/tool': '#!/bin/sh\nexit 0\n'}.items():
        open(top + '/' + name, 'w').write(text)
    os.chmod(top + '/p/tool', 0o755)
    os.symlink('s', top + '/p/deny/l')
    os.symlink('deny/s', top + '/p/link2')
    shutil.copy('/bin/true', top + '/p/elf')
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(top + '/outside/sock')
    unix.listen()
    name = 'sundog-escape-%d' % os.getpid()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind('\0' + name)
    abstract.listen()
    ports = []
    for _ in range(2):
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(64)
        ports.append(s)
    ok, no = (s.getsockname()[1] for s in ports)
    open(top + '/t.profile', 'w').write('''profile 1 escape
include system
[files]
rw   ${W}
ro   ${W}/ro
deny ${W}/deny
deny ${W}/*.key
deny ${W}/nest/.env
rwx  ${W}/x
deny ${HOME}/.ssh
ro   ${HERE}
rox  ${PYTHON}
[exec]
deny /usr/bin/env
[net]
connect 127.0.0.1:%d tcp
[sys]
deny @mount @io-uring @numa
[limit]
processes 100
''' % ok)
    before = snapshot()
    secret = os.open(top + '/outside/secret', os.O_RDONLY)
    os.dup2(secret, 7)
    python = os.path.realpath(sys.executable)
    cmd = [sundog, 'run', '--profile', top + '/t.profile', '--net', 'host', '--platform', os.environ.get('SUNDOG_TEST_PLATFORM', 'auto'),
           '--param', 'W=' + top + '/p', '--param', 'HERE=' + here, '--param', 'PYTHON=' + os.path.realpath(sys.prefix), '--', python, here + '/inside.py',
           top + '/p', top + '/outside', top + '/home', str(ok), str(no), str(os.getpid()), name]
    r = subprocess.run(cmd, env=env, cwd=top + '/p', stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=400, pass_fds=(7,))
    try:
        results = json.loads(r.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        sys.exit('the attempts did not end: status %d\n%s\n%s' % (r.returncode, r.stdout[-2000:], r.stderr[-4000:]))
    for k, v in results.items():
        check(not v.startswith('ESCAPED'), '%s: %s' % (k, v))
        if os.environ.get('VERBOSE'):
            print('%-28s %s' % (k, v))
    check(len(results) >= 60, 'only %d attempts were made' % len(results))
    check(snapshot() == before, 'the host changed: %s' % sorted(set(before.items()) ^ set(snapshot().items()), key=str)[:4] if snapshot() != before else '')
    why = subprocess.run([sundog, 'why', '--json'], env=env, capture_output=True, text=True)
    record = json.loads(why.stdout)['denials']
    objects = [d['object'] for d in record]
    for k, part in IN_RECORD.items():
        check(k in results, 'no attempt ' + k)
        check(any(part in o for o in objects), '%s (%s) is not in the record: nothing with `%s`' % (k, results.get(k), part))
    for d in record:
        check(d['verdict'] == 'absent' or d['rule'] or d['operation'] in ('connect', 'listen', 'resolve', 'limit') or d['where'] is None, str(d))
    # Rules themselves: names that look like others are refused where they are written.
    for rule in ('connect \u0430pple.com:443', 'connect ex\u00e4mple.org:443', 'connect a..b:443', 'connect ' + 'a' * 64 + '.org:443'):
        p = subprocess.run([sundog, 'explain', '--profile', top + '/t.profile', '--param', 'W=/w', '--param', 'HERE=/h', '--param', 'PYTHON=/p', '--rule',
                            '[net] ' + rule, 'connect:apple.com:443'], env=env, capture_output=True, text=True)
        check(p.returncode == 125, 'the rule `%s` was taken' % rule)
    print('%d attempts, %d of them refused by a rule and found in the record' % (len(results), len(IN_RECORD)))


try:
    main()
finally:
    shutil.rmtree(top, ignore_errors=True)
for b in bad:
    print('FAIL:', b)
sys.exit(1 if bad else 0)

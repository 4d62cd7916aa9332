#!/usr/bin/env python3
"""Over a hundred attempts to get out of a profile (inside.py), in one sandbox: none may succeed, the host must be as it
was, and what a rule refused must be in the record that `sundog why` reads."""
import json, os, shutil, socket, subprocess, sys, tempfile, threading

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)) + '/../profiles')
import dns_server

sundog = os.path.realpath(os.environ.get('SUNDOG', 'build/sundog'))
here = os.path.dirname(os.path.realpath(__file__))
top = tempfile.mkdtemp(prefix='sundog-escape-')
env = dict(os.environ, HOME=top + '/home', XDG_STATE_HOME=top + '/state')
env.pop('SUNDOG_PROFILES', None)
bad = []

# What each attempt ends at. A tuple: a decision of the policy, which the record that `why` reads must hold: the operations it may be
# recorded as, and a part of the object (W is the project, OUT a directory outside, HOME the home; OK, NO two ports). A text: the sandbox's
# kernel refuses by its own rules, or there is nothing there to reach: no rule decides, and nothing is recorded.
FILE = ('read', 'write', 'exec', 'absent')
TABLE = {
    'read_denied': (FILE, 'W/deny/s'), 'read_denied_dotdot': (FILE, 'W/deny'), 'read_denied_planted_symlink': (FILE, 'W/deny/s'),
    'read_denied_own_symlink': (FILE, 'W/deny/s'), 'read_outside': (FILE, 'OUT/secret'), 'read_outside_symlink': (FILE, 'OUT/secret'),
    'read_outside_relative': (FILE, 'OUT/secret'), 'read_home_key': (FILE, 'HOME/.ssh/id'), 'read_home_symlink': (FILE, 'HOME/.ssh/id'),
    'read_glob': (FILE, 'W/x.key'), 'read_new_name_of_glob': (FILE, 'W/x.key'), 'read_by_dirfd': (FILE, 'W/deny/s'), 'read_by_denied_dirfd': (FILE, 'W/deny'),
    'read_case_trick': 'no file has that name', 'read_trailing': (FILE, 'W/deny'), 'list_denied': (FILE, 'W/deny'), 'stat_denied': (FILE, 'W/deny/s'),
    'readlink_denied': (FILE, 'W/deny/l'), 'chdir_denied': (FILE, 'W/deny'),
    'proc_root': (FILE, 'OUT/secret'), 'proc_1_root': (FILE, 'OUT/secret'), 'proc_cwd': (FILE, 'secret'), 'proc_fd_dotdot': (FILE, 'OUT/secret'),
    'proc_fd_reopen_path': (FILE, 'W/deny/s'), 'proc_fd_reopen_writable': (FILE, 'W/ro/b'), 'proc_outer': 'the host\'s processes do not exist inside',
    'proc_core_pattern': 'the sandbox\'s own, and a name for files only', 'proc_modprobe': 'not in the sandbox\'s own /proc', 'proc_sysrq': 'not in the sandbox\'s own /proc',
    'proc_mem_of_init': 'nothing is mapped at that address of its own process 1', 'proc_kcore': 'not in the sandbox\'s own /proc', 'sys_write': 'the sandbox\'s own /sys is read-only',
    'handle_of_denied': 'file handles are not given', 'open_by_handle': 'not by the rights the program has',
    'hardlink_readonly': (FILE, 'W/ro/b'), 'hardlink_denied': (FILE, 'W/deny/s'), 'hardlink_symlink_follow': (FILE, 'W/deny/s'),
    'hardlink_to_exec_place': (FILE, 'W/tool -> W/x/tool'), 'rename_denied': (FILE, 'W/deny'), 'rename_readonly': (FILE, 'W/ro'),
    'rename_over_denied': (FILE, 'W/deny'), 'rename_exchange': (FILE, 'W/ro'), 'rename_parent': 'a mount point cannot be moved (EBUSY)',
    'rename_into_exec_place': (FILE, 'W/tool -> W/x/tool3'), 'move_dir_with_rules_below': (FILE, 'W/nest -> W/other'),
    'write_readonly': (FILE, 'W/ro/b'), 'append_readonly': (FILE, 'W/ro/b'), 'trunc_readonly': (FILE, 'W/ro/b'), 'trunc_by_open': (FILE, 'W/ro/b'),
    'ftrunc_readonly_fd': 'the descriptor is not open for writing', 'mmap_shared_write': 'the descriptor is not open for writing',
    'chmod_readonly': (FILE, 'W/ro/b'), 'chown_readonly': (FILE, 'W/ro/b'), 'utime_readonly': (FILE, 'W/ro/b'), 'xattr_readonly': (FILE, 'W/ro/b'),
    'unlink_readonly': (FILE, 'W/ro/b'), 'rmdir_readonly': (FILE, 'W/ro/d'), 'mkdir_readonly': (FILE, 'W/ro/n'), 'mkfifo_readonly': (FILE, 'W/ro/f'),
    'symlink_readonly': (FILE, 'W/ro/l'), 'tmpfile_readonly': (FILE, 'W/ro'), 'tmpfile_link_readonly': (FILE, 'W/ro/t'), 'socket_readonly': (FILE, 'W/ro/sock'),
    'create_denied': (FILE, 'W/deny'), 'create_in_system': (FILE, '/usr/bin/new'), 'write_passwd': (FILE, '/etc/passwd'),
    'suid_file': 'the gofer sets no such bits', 'copy_range_denied': (FILE, 'W/deny/s'), 'mknod_disk': 'devices cannot be made in files of the host',
    'mknod_mem_in_tmp': 'no such device, and /tmp is mounted without devices', 'dev_mem': 'not in the sandbox\'s own /dev', 'dev_kmsg': 'not in the sandbox\'s own /dev',
    'bind_over_denied': ('syscall', 'mount'), 'bind_elsewhere': ('syscall', 'mount'), 'remount_writable': ('syscall', 'mount'), 'mount_disk': ('syscall', 'mount'),
    'umount_place': ('syscall', 'umount2'), 'chroot_out': ('syscall', 'chroot'), 'unshare_user': (FILE, 'OUT/secret'), 'setns_of_init': 'not by the rights the program has',
    'ptrace_init': ('syscall', 'ptrace'), 'vm_read': ('syscall', 'process_vm_readv'), 'keyring': ('syscall', 'keyctl'), 'add_key': ('syscall', 'add_key'),
    'load_module': ('syscall', 'init_module'), 'kexec': ('syscall', 'kexec_load'), 'set_clock': ('syscall', 'clock_settime'), 'bpf': ('syscall', 'bpf'),
    'perf': ('syscall', 'perf_event_open'), 'userfault': ('syscall', 'userfaultfd'), 'reboot': ('syscall', 'reboot'), 'swapoff': ('syscall', 'swapoff'),
    'hostname': ('syscall', 'sethostname'), 'kernel_log': ('syscall', 'syslog'), 'iopl': ('syscall', 'iopl'),
    'inherited_descriptors': 'only 0, 1 and 2 come in; descriptor 7 is another file inside, or none', 'kill_outer': 'the host\'s processes do not exist inside',
    'pass_path_descriptor': (FILE, 'W/ro/b'), 'tiocsti': 'there is no terminal; a terminal inside is the sandbox\'s own',
    'exec_noexec': ('exec', 'W/tool'), 'exec_by_loader': ('exec', 'W/elf'), 'map_exec_noexec': ('exec', 'W/elf'),
    'protect_exec_noexec': 'the mount is not for execution, as with noexec', 'preload_across_exec': ('exec', 'W/elf'), 'exec_denied_program': ('exec', '/usr/bin/env'),
    'many_processes': ('limit', 'processes'),
    'net_other_port': ('connect', '127.0.0.1:NO/tcp'), 'net_mapped': ('connect', '127.0.0.1:NO/tcp'), 'net_any': ('connect', '127.0.0.1:NO/tcp'),
    'net_other_loopback': ('connect', '127.0.0.2:OK/tcp'), 'net_loopback6': ('connect', '[::1]:NO/tcp'), 'net_literal': ('connect', '192.0.2.1:443/tcp'),
    'net_literal_hex': ('connect', '127.0.0.1:NO/tcp'), 'net_literal6': ('connect', '[2001:db8::1]:443/tcp'), 'net_udp_allowed_port': ('connect', '127.0.0.1:OK/udp'),
    'net_udp_connected': ('connect', '127.0.0.1:NO/udp'), 'dns_udp': ('connect', '8.8.8.8:53/udp'), 'dns_tcp': ('connect', '8.8.8.8:53/tcp'),
    'dns_local': ('connect', '127.0.0.53:53/udp'), 'dns_unknown_name': ('resolve', 'tunnel.example.org'),
    'dns_rebinding': ('resolve', 'rebind.allowed.example -> 127.0.0.3'), 'dns_rebinding_metadata': ('resolve', 'metadata.allowed.example -> 169.254.169.254'),
    'dns_rebinding_mapped': ('resolve', 'mapped.allowed.example -> 10.0.0.1'), 'dns_rebinding_second_answer': ('resolve', 'flip.allowed.example -> 127.0.0.3'),
    'dns_name_at_other_port': ('connect', '198.51.100.7:444/tcp'), 'dns_name_by_udp': ('connect', '198.51.100.7:443/udp'),
    'dns_sibling_address': ('connect', '198.51.100.8:443/tcp'), 'dns_alias_leads_away': ('connect', '198.51.100.9:80/tcp'),
    'dns_tunnel_by_tcp': ('resolve', 'data-over-tcp.example.org'), 'dns_tunnel_by_txt': ('resolve', 'data-in-txt.example.org'),
    'dns_oversized_label': ('resolve', '(a malformed question)'), 'dns_nul_in_name': ('resolve', '(a malformed question)'),
    'dns_unicode_name': ('resolve', '(a malformed question)'), 'dns_punycode_lookalike': ('resolve', 'pinned.xn--llowed-2fg.example'),
    'dns_suffix_lookalike': ('resolve', 'pinned.allowed.example.evil.org'), 'dns_prefix_lookalike': ('resolve', 'notallowed.example'),
    'dns_resolver_other_port': ('connect', '127.53.53.53:853/tcp'), 'net_mapped_of_pinned': ('connect', '198.51.100.7:8080/tcp'),
    'net_listen_unbound': ('listen', '0.0.0.0:'), 'net_listen_any_port': ('listen', '127.0.0.1:'),
    'dns_oversized_name': 'the C library does not send such a name',
    'fastopen': 'data with a connect is not offered', 'net_bind_any': ('listen', '0.0.0.0:8099'), 'net_reuse_after_connect': ('connect', '127.0.0.1:NO/tcp'),
    'net_raw': 'raw sockets are not offered', 'net_packet': 'packet sockets are not offered', 'net_vsock': 'no such family inside',
    'unix_host_socket': (FILE, 'OUT/sock'), 'unix_host_abstract': 'abstract names are the sandbox\'s own',
    'race_symlink': (FILE, 'W/deny/s'), 'race_rename_dotdot': (FILE, 'OUT/secret'), 'race_file_for_symlink': (FILE, 'OUT/secret'),
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
    flips = []

    def flip(q, tcp):
        flips.append(1)
        return dns_server.answer(q, [dns_server.record('flip.allowed.example', 'A', '198.51.100.20' if len(flips) < 2 else '127.0.0.3', 0)] if dns_server.question(q)[1] == 1 else [])
    dns, _ = dns_server.serve({
        'rebind.allowed.example': [('A', '127.0.0.3')], 'metadata.allowed.example': [('A', '169.254.169.254')],
        'mapped.allowed.example': [('AAAA', '::ffff:10.0.0.1')], 'pinned.allowed.example': [('A', '198.51.100.7')],
        'alias.allowed.example': [('CNAME', 'www.elsewhere.example')], 'www.elsewhere.example': [('A', '198.51.100.9')],
        'tunnel.example.org': [('A', '198.51.100.30')], 'pinned.allowed.example.evil.org': [('A', '198.51.100.31')], 'notallowed.example': [('A', '198.51.100.32')],
        'pinned.xn--llowed-2fg.example': [('A', '198.51.100.33')], 'flip.allowed.example': flip})
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
connect *.allowed.example:443 tcp
[sys]
deny @mount @io-uring @numa
[limit]
processes 100
''' % ok)
    before = snapshot()
    secret = os.open(top + '/outside/secret', os.O_RDONLY)
    os.dup2(secret, 7)
    python = os.path.realpath(sys.executable)
    cmd = [sundog, 'run', '--profile', top + '/t.profile', '--dns', '127.0.0.1:%d' % dns, '--platform', os.environ.get('SUNDOG_TEST_PLATFORM', 'auto'),
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
    check(set(results) == set(TABLE), 'attempts and table differ: %s' % sorted(set(results) ^ set(TABLE)))
    check(snapshot() == before, 'the host changed: %s' % sorted(set(before.items()) ^ set(snapshot().items()), key=str)[:4] if snapshot() != before else '')
    why = subprocess.run([sundog, 'why', '--json'], env=env, capture_output=True, text=True)
    record = json.loads(why.stdout)['denials']
    # As many refusals are recorded of an object as attempts end at it: each has its own.
    visible, want = 0, {}
    for k, end in TABLE.items():
        if isinstance(end, str):
            continue
        visible += 1
        ops = (end[0],) if isinstance(end[0], str) else end[0]
        part = end[1]
        for word, value in (('W/', top + '/p/'), ('OUT/', top + '/outside/'), ('HOME/', top + '/home/'), (':OK/', ':%d/' % ok), (':NO/', ':%d/' % no)):
            part = part.replace(word, value)
        want.setdefault((ops, part), []).append(k)
    for (ops, part), names in want.items():
        n = sum(d['count'] for d in record if d['operation'] in ops and part in d['object'])
        check(n >= len(names), 'the record has %d refusals of `%s`; %s end there (%s)' % (n, part, ', '.join(names), ', '.join(str(results.get(k)) for k in names)))
    check(visible >= 60, 'only %d attempts are the policy\'s to refuse' % visible)
    for d in record:
        check(d['verdict'] == 'absent' or d['rule'] or d['operation'] in ('connect', 'listen', 'resolve', 'limit') or d['where'] is None, str(d))
    # Rules themselves: names that look like others are refused where they are written.
    for rule in ('connect \u0430pple.com:443', 'connect ex\u00e4mple.org:443', 'connect a..b:443', 'connect ' + 'a' * 64 + '.org:443'):
        p = subprocess.run([sundog, 'explain', '--profile', top + '/t.profile', '--param', 'W=/w', '--param', 'HERE=/h', '--param', 'PYTHON=/p', '--rule',
                            '[net] ' + rule, 'connect:apple.com:443'], env=env, capture_output=True, text=True)
        check(p.returncode == 125, 'the rule `%s` was taken' % rule)
    print('%d attempts refused; %d of them are decided by the policy, and in the record' % (len(results), visible))


try:
    main()
finally:
    shutil.rmtree(top, ignore_errors=True)
for b in bad:
    print('FAIL:', b)
sys.exit(1 if bad else 0)

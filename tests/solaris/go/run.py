#!/usr/bin/env python3
"""run.py PLATFORM NAME...: the Go programs beside this file, built for Solaris and for illumos, run inside; what they print, and their
status, must be what the same program prints that was built for Linux and runs natively. Skips (77) without Go or the platform."""
import os, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SUNDOG = os.path.abspath(os.environ.get('SUNDOG') or os.path.join(os.environ.get('SUNDOG_BUILD', 'build'), 'sundog'))
CACHE = os.path.join(os.path.dirname(SUNDOG), 'solaris-go')

def build(name, goos):
    out = os.path.join(CACHE, name + '.' + goos)
    src = os.path.join(HERE, name + '.go')
    if not os.path.exists(out) or os.path.getmtime(out) < os.path.getmtime(src):
        os.makedirs(CACHE, exist_ok=True)
        env = dict(os.environ, GOOS=goos, GOARCH='amd64', CGO_ENABLED='0', GO111MODULE='off', GOFLAGS='', GOCACHE=os.path.join(CACHE, 'cache'))
        subprocess.run(['go', 'build', '-o', out + '.new', src], env=env, cwd=CACHE, check=True)
        os.rename(out + '.new', out)
    return out

def run(cmd, program):
    with tempfile.TemporaryDirectory(prefix='sundog-go-') as d:
        shutil.copy(program, d + '/prog')
        r = subprocess.run(cmd + ['./prog'], cwd=d, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    return r.returncode, r.stdout, r.stderr

def main(platform, names):
    if not shutil.which('go'):
        print('go is not installed')
        return 77
    if subprocess.run([SUNDOG, 'run', '--platform', platform, '--', '/bin/true'], cwd='/', stderr=subprocess.PIPE).returncode:
        print('platform %s does not work on this host' % platform)
        return 77
    bad = 0
    for name in names:
        want = run([], build(name, 'linux'))
        for goos in ('solaris', 'illumos'):
            got = run([SUNDOG, 'run', '--platform', platform, '--'], build(name, goos))
            if got[:2] == want[:2]:
                print('ok %s %s: %d lines' % (goos, name, len(want[1].splitlines())))
                continue
            bad += 1
            print('WRONG %s %s: status %d, want %d\n--- got\n%s--- want\n%s--- its other output\n%s' %
                  (goos, name, got[0], want[0], got[1].decode('latin-1'), want[1].decode('latin-1'), got[2].decode('latin-1')[-3000:]))
    return 1 if bad else 0

sys.exit(main(sys.argv[1], sys.argv[2:]))

#!/usr/bin/env python3
"""run.py PLATFORM FAMILY...: compiles the C programs of a family for Solaris with sundog-solaris-cc, runs them inside (each in an
empty directory, one sandbox for all), and compares what they print with NAME.expect. The first line of each names the source
of the expectation."""
import glob, os, shutil, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SUNDOG = os.path.abspath(os.environ.get('SUNDOG') or os.path.join(os.environ.get('SUNDOG_BUILD', 'build'), 'sundog'))
BUILD = os.path.dirname(SUNDOG)
USERLAND = os.path.join(HERE, '../../../abi/solaris/userland')

def main(platform, families):
    lib = os.path.join(BUILD, 'abi/solaris/userland')
    if not os.path.exists(lib + '/libc.so.1'):
        print('the Solaris userland is not built (musl-dev is missing)')
        return 77
    if subprocess.run([SUNDOG, 'run', '--platform', platform, '--', '/bin/true'], cwd='/', stderr=subprocess.PIPE).returncode:
        print('platform %s does not work on this host' % platform)
        return 77
    if not shutil.which('clang') or not shutil.which('ld.lld'):
        print('clang and lld are not installed')
        return 77
    env = dict(os.environ, SUNDOG_SOLARIS_LIB=lib)
    bad = 0
    with tempfile.TemporaryDirectory(prefix='sundog-solaris-c-') as d:
        script = []
        progs = []
        for src in sorted(s for f in families for s in glob.glob('%s/%s/*.c' % (HERE, f))):
            name = os.path.basename(os.path.dirname(src)) + '_' + os.path.basename(src)[:-2]
            if name.endswith('_lib'):
                continue
            first = open(src).readline()
            extra = ['-lm']
            libsrc = src[:-2] + '_lib.c'
            cc = [USERLAND + '/sundog-solaris-cc', '-O1', '-w']
            if os.path.exists(libsrc):   # a library beside the program
                subprocess.run(cc + ['-shared', '-o', '%s/lib%s.so' % (d, name), libsrc], env=env, check=True)
            r = subprocess.run(cc + ['-o', '%s/%s' % (d, name), src] + extra, env=env, stderr=subprocess.PIPE, text=True)
            if r.returncode or 'Source:' not in first:
                print('%s: does not compile, or names no source:\n%s' % (name, r.stderr))
                bad += 1
                continue
            progs.append((name, src))
            script.append('mkdir -p run/%s; (cd run/%s; TOP=$HERE; export TOP; ../../%s </dev/null >../../out.%s 2>&1; echo "status $?" >>../../out.%s)' % ((name,) * 5))
        script.append('for f in out.*; do echo "=== $f"; cat $f; done')
        r = subprocess.run([SUNDOG, 'run', '--platform', platform, '--', '/bin/sh', '-c', 'HERE=$PWD\n' + '\n'.join(script)], cwd=d,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=600)
        got = {}
        for part in r.stdout.decode('latin-1').split('=== out.')[1:]:
            name, text = part.split('\n', 1)
            got[name] = text
        for name, src in progs:
            want = open(src[:-2] + '.expect', 'rb').read().decode('latin-1')
            if not want.rstrip('\n').split('\n')[-1].startswith('status '):
                want += 'status 0\n'
            if got.get(name) == want:
                print('ok %s' % name)
            else:
                bad += 1
                print('WRONG %s\n--- got\n%s--- want\n%s' % (name, got.get(name, 'nothing\n'), want))
    print('%d programs, %d wrong' % (len(progs), bad))
    return 1 if bad else 0

sys.exit(main(sys.argv[1], sys.argv[2:]))

#!/usr/bin/env python3
"""run.py PLATFORM NAME...: programs that others built for SunOS, from npm. NAME: version, bundle, serve, ngrok.
Skips (77) where npm or its registry cannot be reached. The Linux build of the same version says what is right."""
import os, shutil, subprocess, sys, tempfile, time
import npm
from npm import ESBUILD, NGROK

HERE = os.path.dirname(os.path.abspath(__file__))
SUNDOG = os.environ.get('SUNDOG') or os.path.join(os.environ.get('SUNDOG_BUILD', 'build'), 'sundog')
PLATFORM, NAMES = sys.argv[1], sys.argv[2:]
CACHE = os.path.join(os.path.dirname(os.path.abspath(SUNDOG)), 'solaris-real')

def skip(why):
    print(why)
    sys.exit(77)

def package(name, version, program):
    try:
        return npm.package(CACHE, name, version, program)
    except npm.Missing as e:
        skip(e)

def inside(cwd, *cmd, **kw):
    return subprocess.run([SUNDOG, 'run', '--platform', PLATFORM, '--'] + list(cmd), cwd=cwd, timeout=900, **kw)

def check(ok, what):
    if not ok:
        sys.exit('wrong: ' + what)
    print('ok: ' + what)

def version(work):
    shutil.copy(package('@esbuild/sunos-x64', ESBUILD, 'bin/esbuild'), work + '/esbuild')
    r = inside(work, './esbuild', '--version', stdout=subprocess.PIPE, text=True)
    check(r.returncode == 0 and r.stdout == ESBUILD + '\n', 'esbuild --version: %r' % r.stdout)

def bundle(work):
    shutil.copy(package('@esbuild/sunos-x64', ESBUILD, 'bin/esbuild'), work + '/esbuild')
    linux = package('@esbuild/linux-x64', ESBUILD, 'bin/esbuild')
    subprocess.run([sys.executable, HERE + '/project.py', work + '/p'], check=True)
    args = ['p/src/main.ts', '--bundle', '--minify', '--sourcemap', '--jsx=automatic', '--external:react/jsx-runtime', '--log-level=error']
    t = time.monotonic()
    subprocess.run([linux] + args + ['--outdir=native'], cwd=work, check=True)
    native = time.monotonic() - t
    # The copy-on-write directory is dropped at the end: what was built leaves through a pipe.
    r = inside(work, '/bin/sh', '-c', './esbuild "$@" --outdir=sun && tar c sun', 'sh', *args, stdout=subprocess.PIPE)
    check(r.returncode == 0, 'the bundle is built')
    subprocess.run(['tar', 'x', '-C', work], input=r.stdout, check=True)
    names = sorted(os.listdir(work + '/native'))
    check(names == sorted(os.listdir(work + '/sun')) and len(names) == 4, 'the same files: %s' % names)
    for n in names:
        a, b = (open('%s/%s/%s' % (work, d, n), 'rb').read() for d in ('native', 'sun'))
        check(a == b, '%s is byte-identical (%d bytes)' % (n, len(a)))
    t = time.monotonic()
    inside(work, './esbuild', *args, '--outdir=again')
    took = time.monotonic() - t
    print('one run each: %.2f s natively (Linux build), %.2f s inside with start-up' % (native, took))

def serve(work):
    shutil.copy(package('@esbuild/sunos-x64', ESBUILD, 'bin/esbuild'), work + '/esbuild')
    subprocess.run([sys.executable, HERE + '/project.py', work + '/p'], check=True)
    shutil.copy(HERE + '/inside.py', work)
    # react is not there; --serve and --watch of this project need the stub
    os.makedirs(work + '/p/node_modules/react', exist_ok=True)
    open(work + '/p/node_modules/react/index.js', 'w').write('exports.createElement = () => null;\n')
    r = inside(work, '/usr/bin/python3', 'inside.py', './esbuild', 'p', stdout=subprocess.PIPE, text=True)
    print(r.stdout, end='')
    check(r.returncode == 0, '--serve and --watch')

def ngrok(work):
    shutil.copy(package('@expo/ngrok-bin-sunos-x64', NGROK, 'ngrok'), work + '/ngrok')
    r = inside(work, './ngrok', 'version', stdout=subprocess.PIPE, text=True)
    check(r.returncode == 0 and r.stdout == 'ngrok version %s\n' % NGROK, 'ngrok version: %r' % r.stdout)
    r = inside(work, './ngrok', 'help', stdout=subprocess.PIPE, text=True)
    check(r.returncode == 0 and 'ngrok exposes local networked services' in r.stdout and 'COMMANDS' in r.stdout, 'ngrok help')
    script = './ngrok http 80 -log=stdout & for i in $(seq 600); do grep -q "failed to reconnect session" log && break; sleep 0.1; done; kill $!; wait'
    r = inside(work, '/bin/sh', '-c', ': >log; exec 3>&1; (%s) >log 2>&1; cat log >&3' % script.replace('$!', '$!'), stdout=subprocess.PIPE, text=True)
    check('starting web service' in r.stdout and 'failed to reconnect session' in r.stdout and 'network is unreachable' in r.stdout,
          'ngrok http says why it cannot connect')

if inside('/', '/bin/true', stderr=subprocess.DEVNULL).returncode:
    skip('platform %s does not work on this host' % PLATFORM)
for name in NAMES:
    with tempfile.TemporaryDirectory(prefix='sundog-solaris-') as d:
        globals()[name](d)

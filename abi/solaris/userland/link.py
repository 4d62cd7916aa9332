#!/usr/bin/env python3
"""Compiles and links one piece of the Solaris userland with the host's compiler, freestanding.

link.py KIND OUTPUT --cc CC... --dir SOURCE_DIR [--musl LIBC_A] [--libc LIBC_SO] [--depfile F] SOURCES...
KIND is rtld, libc, libm, stub (a library that only leads to libc.so.1) or crt (one object file).
"""
import argparse, os, subprocess, sys, tempfile

COMMON = ('-std=gnu11 -O2 -mstackrealign -g -fPIC -ffreestanding -fno-builtin -fno-stack-protector -fcf-protection=none '
          '-fno-strict-aliasing -fno-sanitize=all -fno-omit-frame-pointer -nostdinc -Wall -Wextra -Wshadow '
          '-Wstrict-prototypes -Wno-unused-parameter -Werror').split()
LINK = ('-shared -nostdlib -Wl,-z,noexecstack -Wl,--hash-style=both -Wl,-z,max-page-size=4096 -Wl,-z,nognustack '
        '-Wl,--build-id=none').split()
LINK.remove('-Wl,-z,nognustack')

def words(path):
    return open(path).read().split()

def run(cmd):
    r = subprocess.run(cmd)
    if r.returncode:
        sys.exit(r.returncode)

def main():
    p = argparse.ArgumentParser()
    p.add_argument('kind')
    p.add_argument('output')
    p.add_argument('--cc', action='append')
    p.add_argument('--dir')
    p.add_argument('--musl')
    p.add_argument('--libc')
    p.add_argument('--soname')
    p.add_argument('sources', nargs='*')
    a = p.parse_intermixed_args()
    gcc_inc = subprocess.check_output(a.cc + ['-print-file-name=include'], text=True).strip()
    flags = COMMON + ['-isystem', os.path.join(a.dir, 'include'), '-isystem', gcc_inc]
    soname = a.soname or os.path.basename(a.output)
    link = LINK + ['-Wl,-soname,' + soname, '-o', a.output]
    if a.kind == 'crt':
        run(a.cc + flags + ['-c', a.sources[0], '-o', a.output])
        return
    if a.kind == 'rtld':
        run(a.cc + flags + ['-mgeneral-regs-only', '-fvisibility=hidden'] + a.sources + link +
            ['-Wl,-e,_rt_boot', '-Wl,-Bsymbolic', '-Wl,--no-undefined'])
        return
    if a.kind == 'stub':
        with tempfile.NamedTemporaryFile('w', suffix='.c') as empty:
            run(a.cc + flags + [empty.name] + link + ['-s', '-Wl,--no-as-needed', a.libc])
        return
    names = words(os.path.join(a.dir, 'libc', 'musl.list' if a.kind == 'libc' else 'libm.list'))
    with tempfile.TemporaryDirectory() as tmp:
        version = os.path.join(tmp, 'map')
        if a.kind == 'libc':
            # everything of ours is public unless hidden in the source; of musl only what the list names
            public = words(os.path.join(a.dir, 'libc', 'private-names.list'))
            body = '{ global: %s; *; local: __*; };\n' % '; '.join(public)
        else:
            body = '{ global: %s; local: *; };\n' % '; '.join(names)
        open(version, 'w').write(body)
        # musl's vsnprintf and vsscanf run its own stream functions; these names are also ours, over our streams
        musl = os.path.join(tmp, 'musl.a')
        stdio = ['vfprintf', 'vfscanf', 'fwrite', 'fwrite_unlocked', 'fputwc', 'fwide', 'ungetc', 'getc',
                 'fprintf', 'fscanf', 'vsnprintf', 'vfwprintf', 'vfwscanf', 'fwprintf', 'getwc', 'ungetwc', 'fgetwc']
        run(['objcopy'] + ['--redefine-sym=%s=__musl_%s' % (n, n) for n in stdio] + [a.musl, musl])
        wanted = ['-Wl,-u,' + n for n in names]
        tail = ['-Wl,--version-script=' + version, '-Wl,-Bsymbolic', '-Wl,--gc-sections', musl]
        if a.kind == 'libm':
            tail.append(a.libc)
        libgcc = subprocess.check_output(a.cc + ['-print-libgcc-file-name'], text=True).strip()
        objs = []
        jobs = []
        for s in a.sources:
            o = os.path.join(tmp, os.path.basename(s) + '.o')
            objs.append(o)
            jobs.append(subprocess.Popen(a.cc + flags + ['-c', s, '-o', o]))
            if len(jobs) > 1 and jobs.pop(0).wait():
                sys.exit(1)
        for j in jobs:
            if j.wait():
                sys.exit(1)
        run(a.cc + link + objs + wanted + tail + [libgcc, '-Wl,--no-undefined', '-Wl,--exclude-libs,libgcc.a'])

main()

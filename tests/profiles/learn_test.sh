#!/bin/bash
# learn, then enforce, for real programs: each runs natively first (what does not, is named and left out), then under `learn`, then by
# the profile that was learned, in a fresh copy of its directory: same output, same status, same files. No profile grants a home or `/`.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cli/lib.sh"
export HOME=$work/home XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/home/.config XDG_CACHE_HOME=$work/home/.cache LC_ALL=C
unset SUNDOG_PROFILES SUNDOG_SYSCONF http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy
mkdir -p home/.ssh home/.config home/.cache; echo KEY >home/.ssh/id
tried=0
opts=()

# learned NAME PROGRAM[,PROGRAM..] COMMAND...: in a copy of the directory $work/NAME.src
learned() {
    local name=$1 p want got list
    IFS=, read -ra list <<<"$2"
    shift 2
    for p in "${list[@]}"; do command -v "$p" >/dev/null || { echo "left out: $name needs $p"; return; }; done
    fresh() { rm -rf "$work/$name"; cp -a "$work/$name.src" "$work/$name"; cd "$work/$name" || exit 99; }
    files() { (cd "$work/$name" && find . -type f ! -path './.git/*' ! -name '*.pyc' -exec sh -c 'for f; do echo "$f $(wc -c <"$f")"; done' sh {} + | sort); }
    fresh
    local want_files=
    if [ $native = yes ]; then
        want=$("$@" 2>&1 </dev/null) || { echo "left out: $name does not run natively here: $want"; return; }
        want_files=$(files)
    fi
    fresh
    got=$("$SUNDOG" learn --platform "$PLATFORM" "${opts[@]}" -o "$work/$name.profile" -- "$@" 2>"$work/learn.err" </dev/null)
    p=$?
    ((p == 0)) || bad "learn of $name: status $p: $got $(cat "$work/learn.err")"
    fresh
    got=$(run "${opts[@]}" --profile "$work/$name.profile" -- "$@" 2>&1 </dev/null)
    p=$?
    ((p == 0)) || bad "$name by its profile: status $p: $got; $("$SUNDOG" why); $(cat "$work/$name.profile")"
    [ $native = no ] || same "$want" "$got" "output of $name by its profile"
    [ $native = no ] || same "$want_files" "$(files)" "files of $name by its profile"
    grep -Ex '(ro|rox|rw|rwx|overlay) +(/|/home|/root|/home/[^/]*|\$\{HOME\}/?)' "$work/$name.profile" && bad "the profile of $name grants a home or the root"
    # A secret, another place and another host are not in it.
    expect 1 'denied|No such' run "${opts[@]}" --profile "$work/$name.profile" -- cat "$HOME/.ssh/id"
    expect 1 '' run "${opts[@]}" --profile "$work/$name.profile" -- touch /usr/new /var/new
    tried=$((tried + 1))
    cd "$work" || exit 99
}
native=yes
cd "$work" || exit 99

mkdir git.src make.src pip.src node.src sqlite.src curl.src convert.src vim.src tar.src
printf 'one\n' >git.src/f
learned git git sh -c 'git -c init.defaultBranch=m init -q . && git add f && git -c user.name=u -c user.email=e@x commit -qm first && git log --format=%s && git status --short'
printf 'all: t\n\t./t\nt: t.c u.o\n\t$(CC) -O1 -o $@ $^\nu.o: u.c\n\t$(CC) -c -o $@ $<\n' >make.src/Makefile
printf '#include <stdio.h>\nint u(void);\nint main(void) { printf("u is %%d\\n", u()); return 0; }\n' >make.src/t.c
printf 'int u(void) { return 42; }\n' >make.src/u.c
learned make make,gcc make -s CC=gcc
mkdir pip.src/pkg
printf 'from setuptools import setup\nsetup(name="tinypkg", version="1", py_modules=["tinypkg"])\n' >pip.src/pkg/setup.py
printf 'def f():\n    return "from tinypkg"\n' >pip.src/pkg/tinypkg.py
python=$(command -v /usr/bin/python3 || command -v python3)
learned pip python3 sh -c "$python -m pip -q --disable-pip-version-check install --no-index --no-build-isolation --target lib ./pkg >pip.log 2>&1 || { cat pip.log; exit 1; }; rm -rf pip.log pkg/build pkg/*.egg-info; PYTHONPATH=lib $python -c 'import tinypkg; print(tinypkg.f())'"
printf '{"a": 1}\n' >node.src/d.json
printf 'const fs = require("fs"); const d = JSON.parse(fs.readFileSync("d.json")); fs.writeFileSync("out.json", JSON.stringify({b: d.a + 1})); console.log(fs.readFileSync("out.json", "utf8"));\n' >node.src/t.js
learned node node node t.js
learned sqlite sqlite3 sqlite3 t.db 'pragma journal_mode=wal; create table t(x); insert into t values(1),(2); select sum(x) from t;'
learned tar tar,gzip sh -c 'echo in >in; tar czf t.tgz --mtime=@0 in; mkdir out; tar xzf t.tgz -C out; tar tzf t.tgz; cat out/in'
printf 'one\ntwo\n' >vim.src/f.txt
learned vim vim vim -Nu NONE -i NONE -n -es -c '%s/one/ONE/' -c wq f.txt
if command -v convert >/dev/null; then
    learned convert convert sh -c 'convert -size 8x8 xc:red a.png && convert a.png -resize 4x4 b.ppm && head -c 2 b.ppm && convert b.ppm -format "%w %h" info:'
elif command -v ffmpeg >/dev/null; then
    learned convert ffmpeg sh -c 'ffmpeg -v error -f lavfi -i testsrc=size=16x16:duration=1 -frames:v 1 -bitexact a.ppm && head -c 2 a.ppm'
else
    echo 'left out: neither convert nor ffmpeg'
fi

# curl, by name from a server on the loopback: the name is the name server's of this test.
cat >"$work/servers.py" <<'T'
import socket, sys, threading
sys.path.insert(0, sys.argv[1])
import dns_server
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(64)
port, _ = dns_server.serve({'web.example.org': [('A', '127.0.0.1')], 'other.example.org': [('A', '127.0.0.1')]})
print(port, s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    c.recv(4096); c.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n'); c.close()
T
python3 "$work/servers.py" "$here" >"$work/ports" &
servers=$!
until_true 60 test -s "$work/ports"
read -r dns web <"$work/ports"
opts=(--dns "127.0.0.1:$dns")
native=no               # natively the name, or the program, means nothing
learned curl curl curl -sS "http://web.example.org:$web/"
if command -v curl >/dev/null; then
    grep -q "^connect web.example.org:$web tcp" "$work/curl.profile" || bad "the learned profile has not the name: $(cat "$work/curl.profile")"
    mkdir -p "$work/curl" && cd "$work/curl" || exit 99
    expect 0 '^hello$' run "${opts[@]}" --profile "$work/curl.profile" -- curl -sS "http://web.example.org:$web/"
    expect 6 'resolve' run "${opts[@]}" --profile "$work/curl.profile" -- curl -sS "http://other.example.org:$web/"
    expect 7 '' run "${opts[@]}" --profile "$work/curl.profile" -- curl -sS "http://web.example.org:$dns/"
fi
kill "$servers"
native=yes opts=()

if [ "${1-}" = long ]; then
    # npm's esbuild for Solaris.
    cd "$work" && mkdir esbuild.src && cd esbuild.src || exit 99
    printf 'import { x } from "./m.js"; console.log(x);\n' >e.js; printf 'export const x = 42, unused = 1;\n' >m.js
    if command -v npm >/dev/null && timeout 120 npm pack --silent @esbuild/sunos-x64@0.25.0 >/dev/null 2>&1 && tar xzf esbuild-sunos-x64-*.tgz && rm -f -- *.tgz; then
        native=no
        learned esbuild tar package/bin/esbuild --bundle e.js --log-level=error
        cd "$work/esbuild" && expect 0 'var x = 42' run --profile "$work/esbuild.profile" -- package/bin/esbuild --bundle e.js --log-level=error
    else
        echo 'left out: the Solaris esbuild cannot be had from npm'
    fi
fi
((tried >= 4)) || bad "only $tried programs were tried"
echo "$tried programs learned and enforced"
finish

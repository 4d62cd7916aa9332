#!/bin/bash
# The profiles for networks, builds, servers, databases, converters and Solaris tools with the real programs they are for. Each works;
# then by the same profile a planted secret, a file elsewhere, a write outside and a host that no rule names are refused, where
# it can be by the program itself. Arguments: the kinds to try. A program that is not installed is named and left out.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cli/lib.sh"
build=$(dirname "$SUNDOG")
export HOME=$work/home XDG_STATE_HOME=$work/home/state XDG_CONFIG_HOME=$work/home/.config LC_ALL=C
unset SUNDOG_PROFILES SUNDOG_SYSCONF http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
mkdir -p home/.ssh outside; echo KEY >home/.ssh/id; echo ELSEWHERE >outside/f
as=() tried=0
children=()
trap 'kill "${children[@]}" 2>/dev/null; cd /; chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT
run() { "${as[@]}" "$SUNDOG" run --platform "$PLATFORM" "$@"; }
why() { "${as[@]}" "$SUNDOG" why; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# kind NAME PROGRAM...: an empty directory with a secret in it; false when a program is missing.
kind() {
    local name=$1 p
    shift
    for p in "$@"; do command -v "$p" >/dev/null || { echo "left out: $name needs $p"; return 1; }; done
    mkdir -p "$work/$name" && cd "$work/$name" || exit 99
    echo SECRET >.env
    tried=$((tried + 1))
}
# refused OPTIONS...: what no profile lets through. The server on the host's loopback, $web, stands for a host that no rule names.
refused() {
    expect 1 'denied|No such' run "$@" -- cat .env
    expect 1 'No such' run "$@" -- cat "$work/outside/f"
    expect 1 'denied|No such' run "$@" -- cat "$HOME/.ssh/id"
    expect 1 '' run "$@" -- touch /usr/new
    expect 1 '' run "$@" -- touch "$work/outside/new"
    [ ! -e /usr/new ] && [ ! -e "$work/outside/new" ] || bad "a write outside went through: $*"
    (: >"/dev/tcp/127.0.0.1/$web") 2>/dev/null || bad 'the server that is to be refused does not run'
    expect 1 'refused|denied' run "$@" -- bash -c ": >/dev/tcp/127.0.0.1/$web"
}
cat >servers.py <<'T'
import http.server, os, sys, threading
sys.path.insert(0, sys.argv[1])
import dns_server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '6'); self.end_headers(); self.wfile.write(b'hello\n')
    def log_message(self, *a): pass
servers = [http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page) for _ in range(2)]
dns, _ = dns_server.serve({'web.example.org': [('A', '127.0.0.1')], 'other.example.org': [('A', '127.0.0.1')]})
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
with open('ports.new', 'w') as f: print(dns, *(s.server_address[1] for s in servers), file=f)
os.rename('ports.new', 'ports')
servers[0].serve_forever()
T
python3 servers.py "$here" &
children+=($!)
until_true 60 test -s ports || { echo "the test's own servers did not start"; exit 99; }
read -r dns allowed web <ports

network() {
    kind network-client curl || return
    local o=(--profile network-client --dns "127.0.0.1:$dns" --param HOST=web.example.org --param "PORT=$allowed")
    # The name's address is the host's loopback, which a rule must name.
    o+=(--rule "[net] connect 127.0.0.1:$allowed tcp")
    expect 0 '^hello$' run "${o[@]}" -- curl -sS "http://web.example.org:$allowed/"
    expect 0 '' run "${o[@]}" -- curl -sS -o page "http://web.example.org:$allowed/"
    same hello "$(cat page)" 'what curl saved'
    expect 6 'resolve' run "${o[@]}" -- curl -sS "http://other.example.org:$allowed/"
    expect 1 'denied: resolve other.example.org' why
    expect 7 '' run "${o[@]}" -- curl -sS "http://web.example.org:$web/"
    expect 37 '' run "${o[@]}" -- curl -sS "file://$PWD/.env"
    expect 23 '' run "${o[@]}" -- curl -sS -o "$work/outside/new" "http://web.example.org:$allowed/"
    refused "${o[@]}"
}
ssh_client() {
    kind ssh-client ssh || return
    expect 0 'OpenSSH' run --profile ssh-client -- ssh -V
    refused --profile ssh-client
    expect 255 "Can't open|No such" run --profile ssh-client -- ssh -F "$HOME/.ssh/id" localhost
    local sshd=/usr/sbin/sshd port d=$work/ssh
    [ -x $sshd ] && command -v ssh-keygen >/dev/null || { echo "left out: ssh to a server needs $sshd"; return; }
    [ "$(id -u)" = 0 ] || { echo 'left out: ssh to a server: only root can start one'; return; }
    port=$(free_port)
    mkdir "$d" && ssh-keygen -q -t ed25519 -N '' -f "$d/host" && ssh-keygen -q -t ed25519 -N '' -f "$d/key" || exit 99
    printf '%s\n' "Port $port" 'ListenAddress 127.0.0.1' "HostKey $d/host" "AuthorizedKeysFile $d/key.pub" 'StrictModes no' 'UsePAM no' \
        'PidFile none' 'PermitRootLogin yes' 'PasswordAuthentication no' >"$d/config"
    # sshd wants a directory in /run, which the host need not have: it gets a /run of its own.
    unshare -m sh -c "mount -t tmpfs run /run && mkdir -m 755 /run/sshd && exec $sshd -D -e -f $d/config" 2>"$d/log" &
    children+=($!)
    local ssh=(ssh -F none -o BatchMode=yes -o "UserKnownHostsFile=$d/known" -i "$d/key" -p "$port") name
    for name in web.example.org other.example.org 127.0.0.1; do echo "[$name]:$port $(cut -d' ' -f1,2 "$d/host.pub")"; done >"$d/known"
    until_true 30 grep -q 'listening on' "$d/log" && "${ssh[@]}" 127.0.0.1 true 2>/dev/null </dev/null ||
        { echo "left out: ssh to a server: sshd does not let root in here: $(tail -n 3 "$d/log")"; return; }
    local o=(--profile ssh-client --dns "127.0.0.1:$dns" --param HOST=web.example.org --param "PORT=$port" --rule "[files] ro $d/known" --rule "[net] connect 127.0.0.1:$port tcp")
    expect 0 '^over ssh 42$' run "${o[@]}" --rule "[files] ro $d/key" -- "${ssh[@]}" web.example.org 'echo over ssh $((6 * 7))'
    expect 255 'Permission denied' run "${o[@]}" -- "${ssh[@]}" web.example.org true      # without its key
    expect 255 'resolve' run "${o[@]}" --rule "[files] ro $d/key" -- "${ssh[@]}" other.example.org true
    expect 255 'denied|refused' run "${o[@]}" --rule "[files] ro $d/key" -- "${ssh[@]/#$port/$web}" web.example.org true
}
web_server() {
    kind web-server nginx curl || return
    local port n
    port=$(free_port)
    echo 'a page' >index.html
    printf '%s\n' 'daemon off; worker_processes 1; error_log stderr; pid /tmp/nginx.pid;' 'events { worker_connections 64; }' \
        'http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u;' \
        "scgi_temp_path /tmp/s; server { listen 127.0.0.1:$port; root $PWD;" \
        "location /elsewhere/ { alias $work/outside/; } location /key/ { alias $HOME/.ssh/; }" \
        "location /proxy/ { proxy_pass http://127.0.0.1:$web/; } } }" >nginx.conf
    local o=(--profile web-server --param "PORT=$port")
    # On the sandbox's own loopback: seen from inside only.
    expect 0 'a page' run "${o[@]}" -- sh -c "nginx -c $PWD/nginx.conf 2>/dev/null & curl -sS --retry 20 --retry-delay 1 --retry-connrefused http://127.0.0.1:$port/ && kill \$! && wait"
    refused "${o[@]}"
    (start "${o[@]}" --net host -- nginx -c "$PWD/nginx.conf") 2>nginx.log &
    n=$!
    children+=($n)
    expect 0 'a page' curl -sS --retry 60 --retry-delay 1 --retry-connrefused "http://127.0.0.1:$port/"
    code() { curl -sS -o body -w '%{http_code}' "http://127.0.0.1:$port/$1"; }
    same 403 "$(code .env)" 'the status of .env'
    same 404 "$(code elsewhere/f)" 'the status of a file elsewhere'
    [[ $(code key/id) == 40[34] ]] || bad "the status of a key: $(code key/id)"
    same 502 "$(code proxy/)" 'the status of a host that no rule names'
    kill $n
    wait $n
    expect 1 "denied: read $PWD/.env" why
    expect 1 "denied: connect 127.0.0.1:$web" why
    expect 1 'Permission denied' timeout 60 "$SUNDOG" run --platform "$PLATFORM" "${o[@]}" --net host -- sh -c "sed 's/listen 127.0.0.1:$port/listen 127.0.0.1:1/' nginx.conf >/tmp/c && nginx -c /tmp/c"
    refused "${o[@]}" --net host
}
build_tools() {
    kind build make gcc || return
    printf 'all: t\n\t./t\nt: t.o u.o\n\tgcc -o $@ $^\n%%.o: %%.c\n\tgcc -O1 -c -o $@ $<\nsteal:\n\tgcc -c -o /dev/null s.c\nspill:\n\techo >%s/outside/new\n' "$work" >Makefile
    printf '#include <stdio.h>\nint u(void);\nint main(void) { printf("u is %%d\\n", u()); return 0; }\n' >t.c
    printf 'int u(void) { return 42; }\n' >u.c
    printf '#include "%s/outside/f"\n#include ".env"\n#include "%s/.ssh/id"\n' "$work" "$HOME" >s.c
    expect 0 '^u is 42$' run --profile build -- make -s
    same 'u is 42' "$(./t)" 'what was built, run outside'
    expect 2 'No such' run --profile build -- make -s -k steal
    expect 2 'Error' run --profile build -- make -s spill
    local out
    out=$(run --profile build -- make -k steal 2>&1)
    [[ $out == *SECRET* || $out == *ELSEWHERE* || $out == *KEY* ]] && bad "gcc showed a secret: $out"
    refused --profile build
}
solaris() {
    [ -e "$build/abi/solaris/userland/libc.so.1" ] || { echo 'left out: solaris-tool needs the Solaris userland, which is not built'; return; }
    kind solaris-tool clang ld.lld || return
    cat >tool.c <<'C'
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{
    if (argc == 2) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int s = socket(AF_INET, SOCK_STREAM, 0);
        if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a))) return perror("connect"), 3;
        return puts("connected"), 0;
    }
    char line[256];
    FILE *in = fopen(argv[1], "r"), *out;
    if (!in) return perror(argv[1]), 4;
    if (!(out = fopen(argv[2], "w"))) return perror(argv[2]), 5;
    while (fgets(line, sizeof(line), in)) fprintf(out, "%d %s", (int)strlen(line), line);
    return fclose(out) ? 6 : 0;
}
C
    SUNDOG_SOLARIS_LIB=$build/abi/solaris/userland "$here/../../abi/solaris/userland/sundog-solaris-cc" -O1 -w -o tool tool.c -lsocket || { bad 'the Solaris tool does not compile'; return; }
    echo text >in
    expect 0 '' run --profile solaris-tool -- ./tool in out
    same '5 text' "$(cat out)" 'what the Solaris tool wrote'
    expect 4 'denied' run --profile solaris-tool -- ./tool .env out
    expect 4 'No such' run --profile solaris-tool -- ./tool "$work/outside/f" out
    expect 4 'No such|denied' run --profile solaris-tool -- ./tool "$HOME/.ssh/id" out
    expect 5 '' run --profile solaris-tool -- ./tool in /usr/new
    expect 5 '' run --profile solaris-tool -- ./tool in "$work/outside/new"
    expect 3 'refused|denied' run --profile solaris-tool -- ./tool "$web"
    refused --profile solaris-tool
}
media() {
    local any=no
    # PostScript is a language: a document of which the sandbox is the only restraint (-dNOSAFER) reads and writes what it can.
    if kind media gs pdftotext; then
        any=yes
        printf '%%!PS\n/Helvetica findfont 24 scalefont setfont 20 20 moveto (a page of text) show showpage\n' >a.ps
        expect 0 '' run --profile media -- gs -q -dNOPAUSE -dBATCH -sDEVICE=pdfwrite -sOutputFile=a.pdf a.ps
        expect 0 'a page of text' run --profile media -- pdftotext a.pdf -
        expect 0 '' run --profile media -- pdftoppm -r 20 -png a.pdf page
        ls page*.png >/dev/null 2>&1 || bad 'pdftoppm wrote no page'
        reads() { gs=("$@" gs -q -dNOSAFER -dNODISPLAY -dBATCH -c "($f) (r) file 64 string readline pop print flush quit"); "${gs[@]}" 2>&1; }
        local f out
        for f in "$PWD/.env" "$work/outside/f" "$HOME/.ssh/id"; do
            [[ $(reads) =~ SECRET|ELSEWHERE|KEY ]] || bad "the document does not read $f even natively"
            out=$(reads run --profile media --)
            [[ $out =~ SECRET|ELSEWHERE|KEY ]] && bad "the document read $f: $out"
            [[ $out =~ invalidfileaccess|undefinedfilename|ioerror ]] || bad "the document that reads $f: $out"
        done
        expect 1 'invalidfileaccess|undefinedfilename|ioerror' run --profile media -- gs -q -dNOSAFER -dNODISPLAY -dBATCH -c "($work/outside/new) (w) file (x) writestring quit"
    fi
    if kind media convert; then
        any=yes
        expect 0 '' run --profile media -- convert -size 8x8 xc:red a.png
        expect 0 '^4 4$' run --profile media -- convert a.png -resize 4x4 -format '%w %h\n' info:
        expect 1 'denied|unable' run --profile media -- convert a.png "$work/outside/new.png"
    fi
    if kind media ffmpeg; then
        any=yes
        expect 0 '' run --profile media -- ffmpeg -v error -y -f lavfi -i testsrc=size=16x16:duration=1 -frames:v 1 -bitexact a.ppm
        same P6 "$(head -c 2 a.ppm)" 'what ffmpeg wrote'
        run --profile media -- ffmpeg -v error -y -i a.ppm "$work/outside/new.png" 2>/dev/null && bad 'ffmpeg wrote outside'
    fi
    [ $any = no ] || refused --profile media
}
database() {
    kind database sqlite3 && {
        expect 0 '^7$' run --profile database -- sqlite3 t.db 'create table t(x); insert into t values(7); select x from t'
        expect 1 'unable to open|denied|readonly' run --profile database -- sqlite3 "$work/outside/new" 'create table t(x)'
    }
    local bin=
    for bin in /usr/lib/postgresql/*/bin; do :; done
    [ -x "$bin/initdb" ] && [ -x "$bin/psql" ] || { echo 'left out: database needs initdb and psql of /usr/lib/postgresql'; return; }
    # initdb refuses root, so that root becomes somebody else, with a sundog that this user can run.
    if [ "$(id -u)" = 0 ]; then
        command -v setpriv >/dev/null || { echo 'left out: database needs setpriv'; return; }
        mkdir "$work/bin" && cp "$build"/sundog{,-sentry,-gofer,-netbroker} "$work/bin" && cp -r "$here/../../profiles" "$work" || exit 99
        mkdir -p "$work/database"
        chmod 755 "$work" && chown -R 65534:65534 "$work/home" "$work/database"
        export SUNDOG_PROFILES=$work/profiles
        SUNDOG=$work/bin/sundog as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    fi
    kind database sh
    expect 0 '' run --profile database -- "$bin/initdb" -D d --no-sync -A trust
    cat >session <<T
$bin/pg_ctl -D d -w -t 120 -o '-k /tmp -c fsync=off' -l log start >/dev/null || { cat log; exit 9; }
q() { $bin/psql -h 127.0.0.1 -d postgres -Atqc "\$1" 2>&1; }
q 'create table t(x int); insert into t values (7), (8); select sum(x) from t'
q 'create table s(x text)'
q "copy s from '$work/outside/f'"
q "copy s from '$PWD/.env'"
q "copy t to '$work/outside/new'"
q "copy s from program 'cat $HOME/.ssh/id'"
q 'select count(*) from s'
$bin/pg_ctl -D d -m fast stop >/dev/null
T
    local out
    out=$(run --profile database -- sh session 2>&1) || bad "PostgreSQL: $out"
    [[ $out == 15$'\n'* && $out == *$'\n'0 ]] || bad "PostgreSQL: $out"
    [[ $out == *"$work/outside/f\" for reading: No such file"* && $out == *".env\" for reading: Permission denied"* &&
       $out == *"$work/outside/new\" for writing: "* && $out == *'program "cat'*failed* ]] || bad "PostgreSQL was refused too little: $out"
    expect 1 "denied: read $PWD/.env" why
    refused --profile database
}
for t in "$@"; do "$t"; done
cd "$work" || exit 99
[ ! -e outside/new ] && [ ! -e outside/new.png ] || bad 'something was written outside'
if [ $tried = 0 ]; then exit 77; fi
finish

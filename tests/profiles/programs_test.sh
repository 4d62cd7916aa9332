#!/bin/bash
# Each profile that ships, with a program it is for: what it should do works; a planted secret, a write outside and (where
# it has a network) another host are refused. A program that is not installed is named and left out.
. "$(dirname "$0")/../cli/lib.sh"
export HOME=$work/home XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/home/.config
unset SUNDOG_PROFILES SUNDOG_SYSCONF
mkdir -p home/.ssh p outside; echo KEY >home/.ssh/id; echo OUT >outside/f
cd p || exit 99
echo SECRET >.env
tried=0
# profile NAME PROGRAM WANT COMMAND...: the command works; then the common refusals
profile() {
    local name=$1 program=$2 want=$3
    shift 3
    command -v "$program" >/dev/null || { echo "left out: $name needs $program"; return; }
    tried=$((tried + 1))
    expect 0 "$want" run --profile "$name" "$@"
    [ "$name" = default ] || expect 1 'denied|No such' run --profile "$name" -- cat .env
    expect 1 'No such' run --profile "$name" -- cat "$work/outside/f"
    expect 1 'denied|No such' run --profile "$name" -- cat "$HOME/.ssh/id"
    expect 1 '' run --profile "$name" -- touch /usr/new
}
profile default sh '^made$' -- sh -c 'echo made >made; cat made'
[ -e made ] && bad 'default let a change through'
profile untrusted sh '^made$' -- sh -c 'echo made >made; cat made'
[ -e made ] && bad 'untrusted let a change through'
profile offline-tool gzip '^text$' -- sh -c 'echo text | gzip >t.gz; gzip -d <t.gz'
same text "$(gzip -d <t.gz)" 'what offline-tool wrote'
printf 'all:\n\t@echo built >out; cat out\n' >Makefile
profile offline-tool make '^built$' -- make -s
printf 'print("python", 6 * 7)\n' >t.py
command -v /usr/bin/python3 >/dev/null && expect 0 '^python 42$' run --profile python --net loopback -- /usr/bin/python3 t.py
printf 'console.log("node", 6 * 7)\n' >t.js
profile node node '^node 42$' -- node t.js
profile database sqlite3 '^7$' -- sqlite3 t.db 'create table t(x); insert into t values(7); select x from t'
profile media gzip '^m$' -- sh -c 'echo m | gzip | gzip -d'
profile web-server sh '^up$' -- python3 -c '
import socket, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("0.0.0.0", 8080)); s.listen()
threading.Thread(target=lambda: s.accept()[0].send(b"up"), daemon=True).start()
print(socket.create_connection(("127.0.0.1", 8080)).recv(9).decode())'
expect 1 'Permission denied|PermissionError' run --profile web-server -- python3 -c 'import socket; socket.socket().bind(("0.0.0.0", 8081))'
command -v git >/dev/null && expect 0 'first' run --profile git --net loopback -- sh -c 'git init -q . && git add t.js && git -c user.name=u -c user.email=e@x commit -qm first && git log --oneline'
# Every profile that ships is sound, and none shows a home or the root.
for f in "$("$SUNDOG" show | sed -n 's/ (packaged)$//p')"/*.profile; do
    out=$("$SUNDOG" check "$f" 2>&1) || bad "check $f: $out"
    [[ $out == *'whole home'* || $out == *'whole host'* || $out == *'secrets are within reach'* ]] && bad "$f exposes too much: $out"
done
((tried >= 4)) || bad "only $tried programs were tried"
# learn, then enforce: the second run behaves as the first, and no home or root is granted.
cd .. && rm -rf q && mkdir q && cd q || exit 99
printf 'all:\n\t@echo built; cat in\n' >Makefile; echo in >in; echo '{"a":1}' >j.json
learned() {
    local want=$1 prog=$2
    shift
    command -v "$prog" >/dev/null || { echo "left out: learn needs $prog"; return; }
    expect 0 "$want" "$SUNDOG" learn --platform "$PLATFORM" -o "$work/l.profile" -- "$@"
    expect 0 "$want" run --profile "$work/l.profile" -- "$@"
    grep -Ex '[a-z]+ +(/|/home|/root|\$\{HOME\})' "$work/l.profile" && bad "the profile of $* grants a home or the root"
}
learned 'built' make -s
learned '1' python3 -c 'import json; print(json.load(open("j.json"))["a"])'
learned '1' sqlite3 l.db 'create table if not exists t(x); delete from t; insert into t values(1); select x from t'
learned 'in' tar cvf t.tar in
learned 'in' sh -c 'gzip -c in | gzip -d'
learned 'p 1' perl -e 'print "p 1\n"'
learned 'n 1' node -e 'console.log("n", JSON.parse(require("fs").readFileSync("j.json")).a)'
learned '' git -c init.defaultBranch=m init -q r
learned 'in' curl -s "file://$PWD/in"
finish

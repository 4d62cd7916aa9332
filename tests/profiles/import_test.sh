#!/bin/bash
# Settings of firejail, flatpak and OCI become profiles: which check accepts, that hold when a program runs by them, and
# that list what was left out. The samples are ours; firejail's own collection is read too where it is installed.
. "$(dirname "$0")/../cli/lib.sh"
export HOME=$work/home XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
unset SUNDOG_PROFILES SUNDOG_SYSCONF XDG_CACHE_HOME XDG_DATA_HOME
mkdir -p home/.ssh home/Documents home/.config/tool home/other in
echo key >home/.ssh/id; echo doc >home/Documents/d; echo conf >home/.config/tool/c; echo far >home/other/o
has() { grep -qxF -- "$2" "$1" || bad "$1 has no line \`$2\`: $(cat "$1")"; }
hasnt() { ! grep -qF -- "$2" "$1" || bad "$1 has \`$2\`"; }

# --- firejail: whitelist and blacklist, includes, macros, what is taken back ---
cat >in/tool.profile <<'T'
# a tool
include tool.local
ignore noexec ${HOME}
include parts.inc
include missing.inc
noblacklist ${PATH}/cat
whitelist ${HOME}/.config/tool	# a comment behind
whitelist ~/Documents
whitelist ${RUNUSER}/bus
read-only ${HOME}/Documents
?HAS_APPIMAGE: whitelist /srv
caps.drop all
nonewprivs
net none
seccomp !chroot
private-bin cat,sh,ls
private-etc passwd,group,ld.so.cache
rlimit-nofile 64
rlimit-as 1g
env COLOUR=a b
hostname elsewhere
memory-deny-write-execute
bogus word
T
cat >in/parts.inc <<'T'
blacklist ${PATH}/cat
blacklist ${PATH}/base64
blacklist ${HOME}/other
noexec ${HOME}
include parts.inc.local
T
expect 0 'rules; [0-9]+ settings dropped' "$SUNDOG" import firejail in/tool.profile -o fj.profile
expect 0 'fj.profile: ' "$SUNDOG" check ./fj.profile
has fj.profile 'profile 1 tool'
has fj.profile 'rwx     ${HOME}/.config/tool'
has fj.profile 'rox     ${HOME}/Documents'
has fj.profile 'deny    /usr/bin/base64'
has fj.profile 'open-files 64'
has fj.profile 'memory  1G'
has fj.profile 'set     "COLOUR=a b"'
has fj.profile 'allow   chroot'
hasnt fj.profile 'deny    /usr/bin/cat'
hasnt fj.profile '[net]'
hasnt fj.profile '${HOME}/other'
for d in 'in/tool.profile:5: include missing.inc: there is no such file' 'in/tool.profile:9: /run/user/${UID}/bus: sockets and devices' \
    'in/tool.profile:11: ?HAS_APPIMAGE: whitelist /srv: conditions' 'in/tool.profile:21: hostname elsewhere: ' 'in/tool.profile:23: bogus word: there is no counterpart'; do
    grep -qF "#   $d" fj.profile || bad "the list of what was dropped lacks: $d"
done
fj() { run --profile ./fj.profile "$@"; }
expect 0 '^doc$' fj -- cat "$HOME/Documents/d"
expect 2 'Read-only' fj -- sh -c "echo x >$HOME/Documents/d"
expect 0 '^$' fj -- sh -c "echo y >$HOME/.config/tool/new"
same y "$(cat home/.config/tool/new)" 'what was written'
expect 1 'No such' fj -- cat "$HOME/other/o"
expect 1 'No such' fj -- cat "$HOME/.ssh/id"
expect 126 'denied' fj -- head -c1 /etc/passwd
expect 0 '^64$' fj -- sh -c 'ulimit -n'
printf 'include a.inc\n' >in/a.inc; printf 'include a.inc\n' >in/circle.profile
expect 125 'a.inc:1: .*in a circle' "$SUNDOG" import firejail in/circle.profile
printf 'x\0y' >in/zero.profile
expect 125 'in/zero.profile: .*zero byte' "$SUNDOG" import firejail in/zero.profile

# --- flatpak ---
cat >in/metadata <<'T'
[Application]
name=org.example.Tool
runtime=org.example.Platform/x86_64/1
command=tool

[Context]
shared=network;ipc;
sockets=x11;wayland;
devices=dri;
filesystems=xdg-documents:ro;~/.config/tool;!home/secret;xdg-run/pipewire-0;/nowhere/**;
persistent=.tool;
features=devel;

[Session Bus Policy]
org.example.Other=talk

[Environment]
WORDS=two\swords
T
expect 0 'rules; [0-9]+ settings dropped' "$SUNDOG" import flatpak in/metadata -o fp.profile
expect 0 'fp.profile: ' "$SUNDOG" check ./fp.profile
has fp.profile 'profile 1 org.example.Tool'
has fp.profile 'ro      ${HOME}/Documents'
has fp.profile 'rw      ${HOME}/.config/tool'
has fp.profile 'deny    ${HOME}/secret'
has fp.profile 'rwx     ${HOME}/.var/app/org.example.Tool'
has fp.profile 'connect *:*'
has fp.profile 'set     "WORDS=two words"'
has fp.profile 'allow   ptrace'
for d in 'in/metadata:8: x11: sockets' 'in/metadata:10: /nowhere/**: not a path' 'in/metadata:11: .tool: ' 'in/metadata:15: [Session Bus Policy] org.example.Other=talk: no message bus'; do
    grep -qF "#   $d" fp.profile || bad "the list of what was dropped lacks: $d"
done
expect 0 '^doc$' run --profile ./fp.profile -- cat "$HOME/Documents/d"
expect 1 'No such' run --profile ./fp.profile -- cat "$HOME/other/o"
cat >in/manifest.json <<'T'
{ /* comments are usual here */ "id": "org.example.Two", "runtime": "org.example.Platform", "command": "two",
  "finish-args": [ "--filesystem=home:ro", "--nofilesystem=~/other", "--env=A=b", "--socket=pulseaudio", "--talk-name=org.example.X" ], "modules": [] }
T
expect 0 'rules' "$SUNDOG" import flatpak in/manifest.json -o fm.profile
has fm.profile 'ro      ${HOME}'
has fm.profile 'deny    ${HOME}/other'
has fm.profile 'set     A=b'
hasnt fm.profile '[net]'
expect 1 'denied' run --profile ./fm.profile -- cat "$HOME/other/o"
expect 1 'denied' run --profile ./fm.profile -- cat "$HOME/.ssh/id"
printf 'id: org.example.Three\nfinish-args:\n  - --share=network\n' >in/m.yaml
expect 125 'YAML is not understood.*flatpak info' "$SUNDOG" import flatpak in/m.yaml
printf '[Context]\nfilesystems home\n' >in/bad
expect 125 'in/bad:2: KEY=VALUE' "$SUNDOG" import flatpak in/bad

# --- oci ---
"$SUNDOG" spec --bundle in || bad 'sundog spec'
mkdir -p "$work/data"; echo shared >data/f
command -v python3 >/dev/null && python3 - "$work" <<'T'
import json, sys
w = sys.argv[1]
c = json.load(open("in/config.json"))
c["hostname"] = "box 1"
c["process"]["env"] += ["HELLO=wide world"]
c["mounts"] += [{"destination": w + "/data", "source": w + "/data", "type": "bind", "options": ["rbind", "ro"]},
                {"destination": "/other", "source": w + "/data", "type": "bind", "options": ["rbind"]}]
c["linux"].setdefault("resources", {}).update({"memory": {"limit": 1 << 28}, "pids": {"limit": 50}})
c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["keyctl", "add_key", "request_key", "personality"], "action": "SCMP_ACT_ERRNO"},
    {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]}]}
json.dump(c, open("in/config.json", "w"))
T
expect 0 'rules' "$SUNDOG" import oci in/config.json -o oci.profile
expect 0 'oci.profile: ' "$SUNDOG" check ./oci.profile
if command -v python3 >/dev/null; then
    has oci.profile 'profile 1 box-1'
    has oci.profile 'set     "HELLO=wide world"'
    has oci.profile "rox     $work/data"
    has oci.profile 'memory  268435456'
    has oci.profile 'processes 50'
    has oci.profile 'deny    @keyring'
    has oci.profile 'deny    personality'
    hasnt oci.profile 'deny    socket'
    grep -qF '#   in/config.json: mounts: /other from ' oci.profile || bad 'a bind mount at another place is not in the list'
    expect 0 '^shared$' run --profile ./oci.profile -- cat "$work/data/f"
    "$SUNDOG" import oci in/config.json --json | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d["format"] == "oci" and d["profile"].startswith("profile 1 box-1\n") and d["rules"] > 20, d
assert any("args" in x["setting"] and x["reason"] for x in d["dropped"]), d["dropped"]' || bad 'import --json'
else
    echo 'SKIP import of a full config.json: python3 is missing'
fi
echo '{"ociVersion": 7}' >in/c2.json
expect 125 'in/c2.json: .*ociVersion' "$SUNDOG" import oci in/c2.json
expect 125 '`firejial` is no format: did you mean firejail' "$SUNDOG" import firejial in/metadata
expect 125 'No such file' "$SUNDOG" import oci in/none

# --- firejail's own collection, a sample of it ---
if [ -d /etc/firejail ]; then
    n=0
    for p in $(find /etc/firejail -name '*.profile' | sort | awk 'NR % 60 == 1'); do
        "$SUNDOG" import firejail "$p" -o real.profile 2>err || bad "$p: $(cat err)"
        "$SUNDOG" check ./real.profile >out 2>&1 || bad "check of $p: $(tail -1 out)"
        n=$((n + 1))
    done
    ((n)) || bad 'no profile in /etc/firejail'
else
    echo 'SKIP the profiles of firejail: /etc/firejail is missing (package firejail-profiles)'
fi
finish

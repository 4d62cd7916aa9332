#!/bin/bash
# What is made from the tables: help, man pages, completions; and that each verb's --json is JSON.
root=$(realpath "$(dirname "$0")/../..")
. "$(dirname "$0")/lib.sh"
export HOME=$work/home XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/config
mkdir -p home p
docs=$(dirname "$SUNDOG")/runtime

cd "$work" || exit 99
verbs=$("$SUNDOG" help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p')
for v in run learn check show explain why diff import doctor top report commit discard create start state kill delete exec ps list events pause resume update spec features; do
    grep -qx "$v" <<<"$verbs" || bad "help does not list $v"
    expect 0 "^usage: sundog .*$v" "$SUNDOG" help "$v"
done
expect 125 'no verb nothing' "$SUNDOG" help nothing
for v in create exec update list; do expect 0 "usage: sundog .* $v" "$SUNDOG" "$v" --help; done
expect 1 '' "$SUNDOG" checkpoint --help

# Man pages: every verb and option, every key and group; and no complaint of the formatter.
for v in $verbs; do grep -q "^\.SS $v" "$docs/sundog.1" || bad "sundog.1 lacks $v"; done
for o in --bundle --pid-file --record --interval --cpu-quota; do grep -qF -- "${o//-/\\-}" "$docs/sundog.1" || bad "sundog.1 lacks $o"; done
for k in inherit include param locked rox overlay connect listen memory cpu-time pass set '@debug' '@keyring' '[files]' '[env]' ptrace keyctl; do
    grep -qF -- "$k" "$docs/sundog-profile.5" || bad "sundog-profile.5 lacks $k"
done
for s in files exec net ipc sys limit env; do grep -qxF ".SH [$s]" "$docs/sundog-profile.5" || bad "sundog-profile.5 lacks the section $s"; done
# The keys of the page and those that the parser knows are one set: an unknown key names the nearest of them.
sed -n '/^\.SH \[limit\]/,/^\.SH /s/^\\fB\([a-z-]*\)\\fR.*/\1/p' "$docs/sundog-profile.5" | while read -r k; do
    printf 'profile 1 x\n[limit]\n%s\n' "$k" >k.profile
    "$SUNDOG" check ./k.profile 2>&1 | grep -q "\`$k .*\` is wanted" || echo "$k"
done >lost
[ ! -s lost ] || bad "keys of the page that the parser does not know: $(cat lost)"
if [ -n "$root" ] && [ -f "$root/docs/profile-language.md" ]; then
    sed -n 's/^\\fB\([@a-z-]*\)\\fR.*/\1/p' "$docs/sundog-profile.5" | sort -u | while read -r k; do
        grep -qwF -- "$k" "$root/docs/profile-language.md" || echo "$k"
    done >lost
    [ ! -s lost ] || bad "docs/profile-language.md does not speak of: $(cat lost)"
fi
if command -v man >/dev/null && command -v groff >/dev/null; then
    for m in sundog.1 sundog-profile.5; do
        out=$(LC_ALL=C.UTF-8 groff -man -Tutf8 -ww -z "$docs/$m" 2>&1)
        [ -z "$out" ] || bad "groff: $m: $out"
    done
else
    echo 'SKIP the formatting of the man pages: man or groff is missing'
fi

# Completions
bash -n "$docs/sundog" || bad 'the bash completion'
complete_words() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _sundog 2>/dev/null; printf "%s\n" "${COMPREPLY[@]}"' _ "$docs/sundog" "$@"
}
same import "$(complete_words sundog impo)" 'completion of impo'
same create "$(complete_words sundog crea)" 'completion of crea'
same --console-socket "$(complete_words sundog create --cons)" 'completion of create --cons'
same 'table json' "$(complete_words sundog ps --format '' | xargs)" 'completion of ps --format'
same 'firejail flatpak' "$(complete_words sundog import f | xargs)" 'completion of import f'
for s in zsh fish; do
    f=$docs/_sundog
    [ $s = zsh ] || f=$docs/sundog.fish
    grep -q 'cpu-quota' "$f" && grep -q 'firejail' "$f" || bad "the $s completion lacks words"
    if command -v $s >/dev/null; then $s -n "$f" || bad "the $s completion"; else echo "SKIP the syntax of the $s completion: $s is missing"; fi
done

# --json
if command -v python3 >/dev/null; then
    json() { # STATUS COMMAND...: its standard output is one JSON document
        local want=$1 got
        shift
        "$@" >json.out 2>json.err
        got=$?
        [ $got = "$want" ] || bad "${*:2}: status $got, not $want: $(cat json.err)"
        python3 -c 'import json,sys; json.load(open("json.out"))' 2>/dev/null || bad "${*:2}: not JSON: $(head -c 300 json.out)"
    }
    printf 'profile 1 t\ninclude system\n[files]\nrw %s/p\ndeny %s/p/s\n' "$work" "$work" >t.profile
    printf 'profile 1 u\ninclude system\n' >u.profile
    printf 'blacklist /usr/bin/x\nnet none\n' >f.profile
    echo s >p/s
    (cd p && run --record --profile ../t.profile -- cat s 2>/dev/null)
    json 0 "$SUNDOG" check --json ./t.profile
    json 0 "$SUNDOG" show --json
    json 0 "$SUNDOG" show --json ./t.profile
    json 1 "$SUNDOG" explain --json --profile ./t.profile "open:r:$work/p/s"
    json 1 "$SUNDOG" why --json
    json 1 "$SUNDOG" diff --json ./t.profile ./u.profile
    json 0 "$SUNDOG" import --json firejail f.profile
    json 0 "$SUNDOG" top --json
    json 0 "$SUNDOG" report --json
    json 0 "$SUNDOG" doctor --json
    json 0 "$SUNDOG" syscalls --json
    (cd p && json 0 "$SUNDOG" learn --json --platform "$PLATFORM" -o "$work/l.profile" -- true)
else
    echo 'SKIP --json of each verb: python3 is missing'
fi
finish

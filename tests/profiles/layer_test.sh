#!/bin/bash
# Layers: the changes of runs kept, shown, applied or dropped; conflicts refused.
. "$(dirname "$0")/../cli/lib.sh"
export HOME=$work/home XDG_STATE_HOME=$work/state
unset SUNDOG_PROFILES SUNDOG_SYSCONF
mkdir -p home state p/dir p/gone p/rep
touch state/t
setfattr -n user.overlay.x -v y state/t 2>/dev/null || python3 -c 'import os; os.setxattr("state/t", "user.overlay.x", b"y")' 2>/dev/null ||
    { echo "the file system of $work keeps no user.* attributes"; exit 77; }
cd p || exit 99
echo a >a; echo b >b; echo c >dir/c; echo g >gone/g; echo r >rep/r; ln -s a link; echo same >same
sleep 0.02
L() { run --overlay t "$@"; }
expect 0 '' L -- sh -c 'echo new >n; echo changed >>a; rm b; mkdir -p sub/deep; echo d >sub/deep/d; rm -r gone; rm -r rep; echo now-a-file >rep; ln -sf b link; chmod 700 dir/c; echo same >same'
same a "$(cat a)" 'the host after a run with a layer'
[ -e n ] && bad 'a new file reached the host'
# The next run goes on from there.
expect 0 '^a changed new d now-a-file$' L -- sh -c 'echo $(cat a n sub/deep/d rep)'
expect 1 'No such' L -- cat b
expect 0 '' L -- sh -c 'mkdir gone; echo x >gone/x; ls gone | grep -c g && exit 9; true'
expect 125 'is a directory|another|no file system|./' run --overlay .hidden -- true
out=$("$SUNDOG" diff t); rc=$?
same 1 $rc 'status of diff'
for want in "A $work/p/n" "M $work/p/a" "D $work/p/b" "A $work/p/sub/" "A $work/p/sub/deep/d" "R $work/p/gone/" "A $work/p/gone/x" "R $work/p/rep" "M $work/p/link" "M $work/p/dir/c"; do
    grep -qxF "$want" <<<"$out" || bad "diff lacks \`$want\`: $out"
done
grep -q same <<<"$out" && bad "diff shows what is the same: $out"
"$SUNDOG" diff --json t | python3 -c 'import json, sys; assert any(c["change"] == "D" for c in json.load(sys.stdin))' || bad 'diff --json'
# What changed underneath is a conflict: nothing is applied.
cp -p a ../a.keep; echo other >>a
expect 1 'CONFLICT' "$SUNDOG" commit t
[ -e n ] && bad 'commit applied something in spite of a conflict'
cp -p ../a.keep a
expect 0 'applied' "$SUNDOG" commit t             # the file that it was, by inode, size and time
same 'a changed' "$(echo $(cat a))" 'a after commit'
same 'new d x now-a-file b' "$(echo $(cat n sub/deep/d gone/x rep) $(readlink link))" 'the others after commit'
[ -e b ] && bad 'b is still there after commit'
[ -e gone/g ] && bad 'gone/g is still there after commit'
same 700 "$(stat -c %a dir/c)" 'mode after commit'
[ -e "$work/state/sundog/layers/t" ] && bad 'the layer is still there after commit'
ls -A | grep -q sundog-commit && bad 'a temporary file is left'
expect 0 '' L -- sh -c 'echo 2 >>a'
echo 3 >>a
expect 1 'CONFLICT' "$SUNDOG" commit t
expect 0 'applied' "$SUNDOG" commit --force t
same 'a changed 2' "$(echo $(cat a))" 'a after a forced commit'
# Links that a sandbox planted are not followed by commit.
mkdir ../outside
expect 0 '' L -- sh -c 'rm -r dir; ln -s ../outside dir; true'
expect 0 'applied' "$SUNDOG" commit t
[ -L dir ] || bad 'a link is not a link after commit'
expect 0 '' L -- sh -c 'echo x >y'
expect 0 '' "$SUNDOG" discard t
[ -e y ] && bad 'discard applied a change'
expect 125 'there is none' "$SUNDOG" diff t
# A directory of one's own, and a profile's overlay places.
printf 'profile 1 o\ninclude system\n[files]\noverlay ${CWD}\nro ${CWD}/sub\n' >../o.profile
expect 0 '' run --profile "$work/o.profile" --overlay "$work/mine" -- sh -c 'echo z >z; echo no 2>/dev/null >sub/no || true'
expect 1 "A $work/p/z" "$SUNDOG" diff "$work/mine"
expect 0 '' "$SUNDOG" discard "$work/mine"
finish

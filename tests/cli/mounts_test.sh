#!/bin/bash
# --ro --rox --rw --rwx, and the current directory as copy on write.
. "$(dirname "$0")/lib.sh"
mkdir d; echo text >d/f; cp /bin/true d/true; mkdir d/sub
expect 0 '^text$' run --ro "$work/d:/m" -- cat /m/f
expect 0 '^text$' run --ro "$work/d" --cwd "$work/d" -- cat f
for o in --ro --rox; do
    for c in 'echo x >/m/f' 'echo x >/m/new' 'rm /m/f' 'mkdir /m/dir' 'mv /m/f /m/g' 'chmod 777 /m/f' 'touch /m/f' 'ln /m/f /m/l' 'ln -s a /m/s' 'truncate -s 0 /m/f' 'rmdir /m/sub'; do
        expect 0 'Read-only file system' run $o "$work/d:/m" -- sh -c "$c && exit 0; [ \$? -ne 0 ]"
    done
done
same text "$(cat d/f)" 'a file shown read-only'
for o in --ro --rw; do
    expect 126 '' run $o "$work/d:/m" -- /m/true
    expect 126 'Permission denied' run $o "$work/d:/m" -- sh -c /m/true
    expect 0 'EPERM' run $o "$work/d:/m" -- python3 -c '
import mmap, os, errno
fd = os.open("/m/true", os.O_RDONLY)
try: mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC); print("mapped")
except OSError as e: print(errno.errorcode[e.errno])'
done
for o in --rox --rwx; do expect 0 '' run $o "$work/d:/m" -- /m/true; done
for o in --rw --rwx; do
    expect 0 '' run $o "$work/d:/m" -- sh -c 'echo new >/m/f && mkdir /m/x && mv /m/f /m/x/f && ln /m/x/f /m/y && ln -s y /m/z && chmod 640 /m/y && rm -r /m/x'
    same new "$(cat d/y)" "a file written through $o"
    same 640 "$(stat -c %a d/y)" "its mode"
    same y "$(readlink d/z)" "a link made"
    rm -f d/y d/z; echo text >d/f
done
# One file, two options, nested.
expect 0 '^text$' run --ro "$work/d/f:/etc-file" -- cat /etc-file
expect 0 '^in$' run --ro "$work/d:/m" --rw "$work/d/sub:/m/sub" -- sh -c 'echo in >/m/sub/f; cat /m/sub/f'
same in "$(cat d/sub/f)" 'a nested writable mount'
# Links cannot lead out of what is shown.
echo secret >outside; ln -s ../outside d/out; ln -s "$work/outside" d/abs
expect 1 'No such file' run --ro "$work/d:/m" --cwd / -- cat /m/out
mkdir c; echo keep >c/f; echo gone >c/g; mkdir c/dir; ln -s f c/l; cd c || exit 99
list() { find . -printf '%p %y %s %m %T@ %u %g %n\n' | sort; sha256sum f g; }
before=$(list)
expect 0 '^changed$' run -- sh -c 'echo changed >f; rm g; rmdir dir; mkdir n; touch n/a; chmod 777 l; mv l k; ln f h; truncate -s 5 h; chown 5:6 f; echo changed'
same "$before" "$(list)" 'the current directory after a run'
expect 0 '^keep' run -- cat f
# The host's change of a shown directory is seen.
mkdir ../live; expect 0 '^late$' run --ro "$work/live:/live" --rw "$work/live:/w" -- sh -c 'ls /live/x 2>/dev/null; echo late >/w/x; cat /live/x'
# Owners are the host's, also after the file was opened (the sentry's user namespace maps only one id).
echo own >../d/own; chown 12:34 ../d/own 2>/dev/null; owner=$(stat -c %u:%g ../d/own)
expect 0 "^$owner"$'\n'"own"$'\n'"$owner\$" run --ro "$work/d:/m" -- sh -c 'stat -c %u:%g /m/own; cat /m/own; stat -c %u:%g /m/own'
# Set-user-ID bits and device nodes do not count.
cp "$(command -v id)" ../d/suid; chown 1234 ../d/suid 2>/dev/null; chmod 4755 ../d/suid
expect 0 '^77$' run --rox "$work/d:/m" --uid 77 --gid 77 -- /m/suid -u
expect 0 '^(EPERM|EACCES|EROFS)$' run --rw "$work/d:/m" -- python3 -c '
import os, errno
try: os.mknod("/m/null", 0o20666, os.makedev(1, 3)); open("/m/null").read(); print("opened")
except OSError as e: print(errno.errorcode[e.errno])'
finish

#!/bin/bash
# A root of one's own: --rootfs keeps changes in memory, --rootfs-rw makes them.
. "$(dirname "$0")/lib.sh"
busybox=$(command -v busybox) || { echo "no busybox on this host"; exit 77; }
mkdir -p root/bin root/etc root/tmp root/data
cp "$busybox" root/bin/busybox
for a in sh ls cat mount ps echo rm mv ln id mkdir touch stat grep vi tar; do ln -s busybox root/bin/$a; done
echo 'root:x:0:0:root:/:/bin/sh' >root/etc/passwd
echo kept >root/data/file
before=$(cd root && find . | sort | xargs stat -c '%n %s %Y %a' 2>/dev/null | sha256sum)
expect 0 '^kept$' run --rootfs root -- /bin/cat /data/file
expect 0 '^root$' run --rootfs root --uid 0 -- sh -c 'id -un'
expect 0 '^changed gone new$' run --rootfs root -- sh -c 'echo changed >/data/file; rm /etc/passwd; mkdir /new; mv /data /moved; ln -s x /link; echo $(cat /moved/file) $([ -e /etc/passwd ] || echo gone) $([ -d /new ] && echo new)'
same "$before" "$(cd root && find . | sort | xargs stat -c '%n %s %Y %a' 2>/dev/null | sha256sum)" 'the root after --rootfs'
expect 0 'proc /proc proc' run --rootfs root -- cat /proc/mounts
expect 127 '' run --rootfs root -- /usr/bin/python3
expect 1 '' run --rootfs root -- sh -c '[ -e /usr ]'
expect 0 '^out$' run --rootfs-rw root -- sh -c 'echo out >/data/made; mkdir /data/d; mv /data/file /data/renamed; cat /data/made'
same out "$(cat root/data/made)" 'a file made through --rootfs-rw'
same kept "$(cat root/data/renamed)" 'a file renamed through --rootfs-rw'
[ -d root/data/d ] && [ ! -e root/data/file ] || bad 'directory or rename through --rootfs-rw'
# Links that point out of the root stay within it.
ln -s /etc/shadow root/data/abs; ln -s ../../../../../../etc/hostname root/data/up; echo inside >root/etc/hostname
expect 0 '^inside$' run --rootfs root -- cat /data/up
expect 1 '' run --rootfs root -- cat /data/abs
finish

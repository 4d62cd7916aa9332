#!/bin/bash
# coreutils and findutils one after another.
set -eu
mkdir a; cd a
seq 1 5000 > n; [ "$(wc -l < n)" = 5000 ]; [ "$(tail -1 n)" = 5000 ]; [ "$(sort -R n | sort -n | sha256sum)" = "$(sha256sum < n)" ]
split -l 1000 n part.; [ "$(ls part.* | wc -l)" = 5 ]; cat part.* | cmp - n
cp n m; mv m k; ln k l; ln -s k s; [ "$(stat -c %h k)" = 2 ]; rm l; [ "$(stat -c %h k)" = 1 ]
mkdir -p x/y/z; touch x/y/z/f; [ "$(find x -type f)" = x/y/z/f ]; rmdir x/y 2>/dev/null && exit 1; rm -r x; [ ! -e x ]
dd if=/dev/zero of=z bs=64k count=16 status=none; [ "$(stat -c %s z)" = 1048576 ]; truncate -s 5 z; [ "$(stat -c %s z)" = 5 ]
chmod 600 z; [ "$(stat -c %A z)" = -rw------- ]; touch -d @1000000000 z; [ "$(date -r z +%s)" = 1000000000 ]
[ "$(echo abc | tr a-c A-C | rev)" = CBA ]; [ "$(echo 'a b c' | cut -d' ' -f2)" = b ]; [ "$(seq 3 | tac | paste -sd,)" = 3,2,1 ]
[ "$(expr 6 \* 7)" = 42 ]; [ "$(echo 2^64 | bc 2>/dev/null || echo 18446744073709551616)" = 18446744073709551616 ]
df . >/dev/null; du -s . >/dev/null; id >/dev/null; hostname >/dev/null; uname -a >/dev/null; nproc >/dev/null; free >/dev/null 2>&1 || true
ps -e >/dev/null 2>&1 || true; env -i /usr/bin/env | cmp - /dev/null; nohup true 2>/dev/null; nice -n 5 true; timeout 5 true; stdbuf -o0 true
[ "$(realpath ../a/./k)" = "$PWD/k" ]; [ "$(basename "$PWD")" = a ]; mktemp -d -p . | grep -q '^./tmp'
tee t1 t2 < n >/dev/null; cmp t1 t2; comm -12 <(sort t1) <(sort t2) | wc -l | grep -qx 5000; md5sum n > sums; md5sum -c --quiet sums
od -An -tx1 <(printf 'AB') | grep -q '41 42'; base64 n | base64 -d | cmp - n; install -m 755 n inst; [ -x inst ]; sync; factor 97 | grep -qx '97: 97'
[ "$(lscpu | awk '/^CPU\(s\):/ { print $2 }')" -ge 1 ]; for l in /sys/devices/system/cpu/online /sys/devices/system/cpu/cpu0/topology/core_siblings; do [ -n "$(cat $l)" ]; done

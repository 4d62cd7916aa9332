#!/bin/bash
# tar | gzip and back, with modes, times, links and a sparse file kept.
set -eu
mkdir w; cd w; mkdir -p src/deep/er
for i in $(seq 1 200); do head -c $((i * 37)) /dev/urandom > src/f$i; done
ln -s f1 src/link; ln src/f2 src/hard; chmod 750 src/deep; chmod 4711 src/f3; touch -d '2001-02-03 04:05:06' src/f4
truncate -s 10M src/sparse; mkfifo src/fifo
tar -cSf - src | gzip > a.tar.gz
gzip -t a.tar.gz
mkdir out; tar -xzSpf a.tar.gz -C out
diff <(cd src && find . -type f | sort | xargs sha256sum) <(cd out/src && find . -type f | sort | xargs sha256sum)
[ "$(readlink out/src/link)" = f1 ]
[ out/src/f2 -ef out/src/hard ]
[ "$(stat -c %a out/src/deep)" = 750 ]; [ "$(stat -c %a out/src/f3)" = 4711 ]
[ "$(stat -c %Y out/src/f4)" = "$(stat -c %Y src/f4)" ]
[ -p out/src/fifo ]; [ "$(stat -c %s out/src/sparse)" = 10485760 ]
cp -a src again; diff <(cd src; find . -printf '%p %m %T@ %l\n' | sort) <(cd again; find . -printf '%p %m %T@ %l\n' | sort)
rm -rf src out again a.tar.gz
[ -z "$(ls -A)" ]

#!/bin/bash
# git init, commit, and the clone of a local repository of 2,000 files.
set -eu
export GIT_CONFIG_NOSYSTEM=1 HOME=$PWD GIT_AUTHOR_NAME=t GIT_AUTHOR_EMAIL=t@example.org GIT_COMMITTER_NAME=t GIT_COMMITTER_EMAIL=t@example.org
git init -q -b main repo
cd repo
for d in $(seq 0 19); do
    mkdir "d$d"
    for f in $(seq 0 99); do echo "file $d $f" > "d$d/f$f.txt"; done
done
git add .
git commit -q -m "Two thousand files"
[ -z "$(git status --porcelain)" ]
cd ..
git clone -q repo copy
[ "$(git -C copy ls-files | wc -l)" = 2000 ]
diff -r --exclude=.git repo copy
git -C copy log --format=%s | grep -qx "Two thousand files"
echo changed > copy/d3/f7.txt
git -C copy diff --stat | grep -q "1 file changed"
git -C copy fsck --no-progress

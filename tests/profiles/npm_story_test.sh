#!/bin/bash
# The README's npm project, as written there: install and test by the packaged profile; a denial, why, one line that allows.
. "$(dirname "$0")/../cli/lib.sh"
command -v npm >/dev/null || { echo 'npm is not installed'; exit 77; }
timeout 60 npm view is-odd@3.0.1 name >/dev/null 2>&1 || { echo 'the npm registry cannot be reached'; exit 77; }
export HOME=$work/home XDG_STATE_HOME=$work/state XDG_CONFIG_HOME=$work/home/.config
unset SUNDOG_PROFILES SUNDOG_SYSCONF
mkdir -p home/.ssh my-project; echo KEY >home/.ssh/id
cd my-project || exit 99
echo SECRET=1 >.env
cat >package.json <<'T'
{ "name": "t", "version": "1.0.0", "scripts": { "test": "node t.js" }, "dependencies": { "is-odd": "3.0.1" } }
T
cat >t.js <<'T'
console.log('odd', require('is-odd')(3));
try { console.log('key', require('fs').readFileSync(process.env.HOME + '/.ssh/id', 'utf8')); } catch (e) { console.log('key', e.code); }
console.log('env', require('fs').readFileSync('.env', 'utf8'));
T
prun() { run --profile npm "$@"; }
expect 1 'odd true' prun -- sh -c 'npm install && npm test'
[ -d node_modules/is-odd ] || bad 'nothing was installed'
out=$("$SUNDOG" why)
[[ $out == *"denied: read $PWD/.env"*"allow: [files] ro $PWD/.env"* ]] || bad "why: $out"
expect 1 'key ENOENT' prun -- npm test
expect 0 'SECRET=1' prun --rule '[files] ro ${CWD}/.env' -- npm test
mkdir -p "$XDG_CONFIG_HOME/sundog/profiles"
printf '[files]\nro ${CWD}/.env\n' >>"$XDG_CONFIG_HOME/sundog/profiles/npm.local"
expect 0 'SECRET=1' prun -- npm test
expect 1 'EACCES|EAI_AGAIN|ENOTFOUND' prun -- node -e "fetch('https://example.org/').then(() => process.exit(0), e => { console.log(e.cause.code); process.exit(1); })"
expect 1 'EACCES' prun -- node -e "require('net').connect(443, '192.0.2.1').on('error', e => { console.log(e.code); process.exit(1); })"
finish

#!/bin/bash
# node with its own test runner: files, child processes, HTTP over the loopback, worker threads, streams and timers.
set -eu
command -v node >/dev/null || { echo "skipped: node is not installed"; exit 77; }
mkdir t
cat >t/kernel.test.js <<'J'
const test = require('node:test'), assert = require('node:assert'), fs = require('node:fs'), http = require('node:http');
const { execFile, fork } = require('node:child_process'), { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { once } = require('node:events'), zlib = require('node:zlib'), { pipeline } = require('node:stream/promises'), os = require('node:os');
test('files', async () => {
  await fs.promises.writeFile('a', 'x'.repeat(100000));
  await pipeline(fs.createReadStream('a'), zlib.createGzip(), zlib.createGunzip(), fs.createWriteStream('b'));
  assert.equal(fs.readFileSync('b', 'utf8').length, 100000);
  fs.mkdirSync('d/e/f', { recursive: true }); fs.rmSync('d', { recursive: true }); assert(!fs.existsSync('d'));
});
test('watch', async () => {
  const w = fs.watch('.'); const seen = once(w, 'change'); setTimeout(() => fs.writeFileSync('watched', '1'), 50);
  await seen; w.close();
});
test('children', async () => {
  const r = await new Promise((ok, no) => execFile('sh', ['-c', 'echo out; echo err >&2; exit 3'], (e, o, s) => ok([e.code, o, s])));
  assert.deepEqual(r, [3, 'out\n', 'err\n']);
});
test('http', async () => {
  const s = http.createServer((q, a) => { q.pipe(a); }); s.listen(0, '127.0.0.1'); await once(s, 'listening');
  const all = await Promise.all([...Array(20).keys()].map(i => fetch(`http://127.0.0.1:${s.address().port}/`, { method: 'POST', body: 'n' + i }).then(r => r.text())));
  assert.deepEqual(all, [...Array(20).keys()].map(i => 'n' + i)); s.close(); s.closeAllConnections();
});
test('workers', async () => {
  const src = 'const {parentPort, workerData} = require("worker_threads"); let s = 0; for (let i = 0; i < 1e6; i++) s += i % workerData; parentPort.postMessage(s)';
  const sums = await Promise.all([2, 3, 5].map(n => new Promise((ok, no) => { const w = new Worker(src, { eval: true, workerData: n }); w.on('message', ok); w.on('error', no); })));
  assert.deepEqual(sums, [500000, 999999, 2000000]);
});
test('shared memory', async () => {
  const b = new SharedArrayBuffer(8), a = new Int32Array(b);
  const w = new Worker('const {workerData} = require("worker_threads"); const a = new Int32Array(workerData); setTimeout(() => { Atomics.store(a, 0, 7); Atomics.notify(a, 0) }, 50)', { eval: true, workerData: b });
  await Atomics.waitAsync(a, 0, 0).value; assert.equal(a[0], 7); await once(w, 'exit');
});
test('system', () => { assert(os.cpus().length > 0 && os.totalmem() > os.freemem() && os.uptime() >= 0 && process.memoryUsage().rss > 0); });
J
timeout 150 node --test t >out 2>&1 || { cat out; exit 1; }
grep -q '^# fail 0' out || { cat out; exit 1; }

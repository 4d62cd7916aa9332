#!/bin/bash
# python3: threads, subprocess, signals, sockets, mmap, multiprocessing, asyncio.
set -eu
/usr/bin/python3 - <<'P'
import asyncio, ctypes, fcntl, hashlib, json, mmap, multiprocessing, os, queue, random, select, signal, socket, subprocess, sys, tempfile, threading, time

q = queue.Queue()
ts = [threading.Thread(target=lambda i=i: [q.put((i, k)) for k in range(200)]) for i in range(8)]
[t.start() for t in ts]; [t.join() for t in ts]
assert q.qsize() == 1600
lock, n = threading.Lock(), [0]
def add():
    for _ in range(2000):
        with lock: n[0] += 1
ts = [threading.Thread(target=add) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]
assert n[0] == 8000

p = subprocess.run(['sort', '-n'], input='3\n1\n2\n', capture_output=True, text=True)
assert p.stdout == '1\n2\n3\n' and p.returncode == 0
p = subprocess.run('echo err >&2; exit 5', shell=True, capture_output=True, text=True)
assert p.returncode == 5 and p.stderr == 'err\n'
p = subprocess.Popen(['sleep', '30']); p.send_signal(signal.SIGKILL); assert p.wait() == -9
try: subprocess.run(['sleep', '9'], timeout=0.2); assert 0
except subprocess.TimeoutExpired: pass
try: subprocess.run(['/no/such/thing']); assert 0
except FileNotFoundError: pass

hits = []
signal.signal(signal.SIGALRM, lambda s, f: hits.append(s)); signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
t = time.monotonic()
while len(hits) < 3 and time.monotonic() - t < 10: time.sleep(0.01)
signal.setitimer(signal.ITIMER_REAL, 0); assert len(hits) >= 3
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); os.kill(os.getpid(), signal.SIGUSR2)
assert signal.sigwait([signal.SIGUSR2]) == signal.SIGUSR2

s = socket.create_server(('127.0.0.1', 0)); port = s.getsockname()[1]
def serve():
    c, _ = s.accept()
    while (d := c.recv(65536)): c.sendall(d)
    c.close()
th = threading.Thread(target=serve); th.start()
c = socket.create_connection(('127.0.0.1', port)); data = os.urandom(300000)
snd = threading.Thread(target=lambda: (c.sendall(data), c.shutdown(socket.SHUT_WR))); snd.start()
got = b''
while (d := c.recv(65536)): got += d
assert got == data; snd.join(); th.join(); c.close(); s.close()

with tempfile.TemporaryFile() as f:
    f.truncate(1 << 20); m = mmap.mmap(f.fileno(), 0); m[5000:5005] = b'hello'; f.seek(5000); assert f.read(5) == b'hello'
    f.seek(9000); f.write(b'world'); f.flush(); assert m[9000:9005] == b'world'; m.close()
m = mmap.mmap(-1, 8192); 
if os.fork() == 0: m[0:3] = b'kid'; os._exit(0)
os.wait(); assert m[0:3] == b'kid'

with multiprocessing.Pool(3) as pool: assert pool.map(abs, range(-50, 0)) == list(range(50, 0, -1))

async def go():
    async def one(i): await asyncio.sleep(0.01); return i
    assert sum(await asyncio.gather(*[one(i) for i in range(100)])) == 4950
    pr = await asyncio.create_subprocess_exec('echo', 'hi', stdout=asyncio.subprocess.PIPE)
    assert (await pr.communicate())[0] == b'hi\n'
asyncio.run(go())
r, w = os.pipe(); ep = select.epoll(); ep.register(r, select.EPOLLIN); assert ep.poll(0) == []; os.write(w, b'x'); assert ep.poll(1)[0][0] == r
assert os.uname().sysname == 'Linux' and os.getcwd() == os.path.realpath('.')
assert sorted(os.listdir('/proc/self/task')) and os.readlink('/proc/self/exe').startswith('/usr/bin/python3')
P

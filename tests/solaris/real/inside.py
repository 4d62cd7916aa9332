"""inside.py ESBUILD PROJECT: run in the sandbox by a Linux python: serves 1,000 requests with --serve, sees a change with --watch."""
import http.client, os, subprocess, sys, threading, time

ESBUILD, TOP = os.path.abspath(sys.argv[1]), sys.argv[2]
os.chdir(TOP)

def until(what, test, seconds=120):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if test():
            return
        time.sleep(0.05)
    sys.exit('not seen within %d s: %s' % (seconds, what))

def serve():
    p = subprocess.Popen([ESBUILD, 'src/main.ts', '--bundle', '--outdir=out', '--serve=127.0.0.1:8123', '--servedir=.'],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    threading.Thread(target=lambda: [None for _ in p.stdout], daemon=True).start()   # it logs each request
    def up():
        try:
            c = http.client.HTTPConnection('127.0.0.1', 8123, timeout=60)
            c.request('GET', '/src/main.ts')
            return c.getresponse().status == 200
        except OSError:
            return False
    until('the server', up)
    done, wrong = [], []
    source = open('src/lib/m7.jsx', 'rb').read()
    def client(k):
        c = http.client.HTTPConnection('127.0.0.1', 8123, timeout=60)
        for i in range(125):
            path, want = ('/src/lib/m7.jsx', source) if i % 25 else ('/out/main.js', None)
            c.request('GET', path)
            r = c.getresponse()
            body = r.read()
            if r.status != 200 or (want is not None and body != want) or len(body) < 100:
                wrong.append((k, i, r.status, len(body)))
            done.append(1)
    threads = [threading.Thread(target=client, args=(k,)) for k in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    p.kill()
    p.wait()
    if len(done) != 1000 or wrong:
        sys.exit('serve: %d answers, wrong: %s' % (len(done), wrong[:5]))
    print('serve: 1000 requests answered')

def watch():
    p = subprocess.Popen([ESBUILD, 'src/main.ts', '--bundle', '--outfile=out/w.js', '--watch=forever'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    read = lambda: open('out/w.js').read() if os.path.exists('out/w.js') else ''
    until('the first bundle', lambda: 'local499' in read())
    time.sleep(1)
    with open('src/lib/m499.jsx', 'a') as f: f.write('console.log("changed while watched");\n')
    until('the change in the bundle', lambda: 'changed while watched' in read())
    p.terminate()
    if p.wait(60) >= 0: sys.exit('watch: ended with %d, not by the signal' % p.returncode)
    print('watch: change picked up')

serve()
watch()

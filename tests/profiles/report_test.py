#!/usr/bin/env python3
"""sundog report: the page of a recorded run holds the right rows, nothing from outside, and hostile names as mere text.
With Chromium it is opened: no error on the console, sorting and filtering by keyboard, light and dark, and without scripts."""
import html.parser, json, os, re, shutil, subprocess, sys, tempfile, time, urllib.request

S = os.path.realpath(os.environ["SUNDOG"])
PLATFORM = os.environ.get("SUNDOG_TEST_PLATFORM", "auto")
work = tempfile.mkdtemp()
os.environ.update(HOME=work, XDG_STATE_HOME=work + "/state", XDG_CONFIG_HOME=work + "/config")
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAIL:", what)


def sundog(*args, **kw):
    return subprocess.run([S, *args], capture_output=True, text=True, errors="replace", cwd=work + "/p", timeout=240, **kw)


# --- a run with names that would like to be more than names ---
HOSTILE = ["<img src=x onerror=window.pwned=1>", "\"><script>window.pwned=2</script>", "'-window.pwned-'", "a&lt;b&amp;", "</svg></table><h1>x", "new\nline",
           "esc\x1b[31m", "turn\u202egnp.exe", "${x}`x`", "</title><script>window.pwned=3</script>"]
os.makedirs(work + "/p/secret")
for n in HOSTILE:
    open(f"{work}/p/{n.replace('/', '∕')}", "w").write("x\n")
open(os.fsencode(work) + b"/p/bytes\xff\xc0\x80\xed\xa0\x80", "w").write("x\n")
open(work + "/p/secret/key", "w").write("k")
open(work + "/p/<b>tool", "w").write("#!/bin/sh\nexit 3\n")
os.chmod(work + "/p/<b>tool", 0o755)
open(work + "/t.profile", "w").write(f"profile 1 t\ninclude system\n[files]\nrwx {work}/p\ndeny {work}/p/secret\n[net]\ndeny 127.0.0.1:9 tcp\n[sys]\ndeny @keyring\n")
script = ('for f in *; do [ -f "$f" ] && cat "$f" >/dev/null; done; cat secret/key; ls secret; "./<b>tool" "<script>window.pwned=4</script>"; sleep 0.3; '
          'bash -c "echo >/dev/tcp/127.0.0.1/9"; exit 7')
r = sundog("run", "--platform", PLATFORM, "--record", "--profile", work + "/t.profile", "--", "sh", "-c", script)
check(r.returncode == 7, f"the run: {r.returncode} {r.stderr}")
page = work + "/report.html"
r = sundog("report", "-o", page)
check(r.returncode == 0 and "wrote" in r.stderr and "without times" not in r.stderr, f"report: {r.returncode} {r.stderr}")
text = open(page, encoding="utf-8").read()       # strictly: the page is whole UTF-8, whatever the names were
doc = json.loads(sundog("report", "--json").stdout)
why = json.loads(sundog("why", "--json").stdout)


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attrs, self.rows, self.cell, self.section = [], [], {}, None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs += attrs
        if tag == "h2":
            self.section = dict(attrs)["id"]
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([dict(attrs).get("class")])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data):
        if self.cell:
            self.rows[self.section][-1][-1] += data


p = Page()
check(p.tags.count("script") == 1 and p.tags.count("style") == 1 and not {"img", "b", "iframe", "object", "form"} & set(p.tags) - {"b"}, f"tags: {set(p.tags)}")
check(p.tags.count("h1") == 1 and p.tags.count("b") == 1, "mark-up of a file's name became mark-up of the page")
check(not [a for a in p.attrs if a[0].startswith("on") or a[0] in ("src", "style", "action")], "attributes that act")
check(all(v.startswith("#") or v == "data:," for k, v in p.attrs if k == "href"), "links that lead out")
check(not re.search(r"https?://|@import|url\(", text), "something from outside is named")
check("\x1b" not in text and "\u202e" not in text, "characters that are not to be seen are in it")
files = {x[3]: x for x in p.rows["files"][1:]}
for n in HOSTILE:
    shown = f"{work}/p/{n.replace('/', '∕')}".replace("\n", "\\x0a").replace("\x1b", "\\x1b").replace("\u202e", "\\u{202e}")
    check(shown in files and files[shown][0] == "allowed", f"no row for {n!r}")
check(any(k.endswith("bytes\\xff\\xc0\\x80\\xed\\xa0\\x80") for k in files), "no row for the name that is not UTF-8")
denied = [x for x in p.rows["files"][1:] if x[0] == "denied"]
check(f"{work}/p/secret" in " ".join(x[3] for x in denied) and all("deny" in x[6] and "t.profile:5" in x[6] for x in denied), f"denials of files: {denied}")
check(p.rows["files"][1][0] == "denied", "denials do not come first")
check([x[0] for x in p.rows["hosts"][1:]] == ["denied"] and "127.0.0.1:9/tcp" in p.rows["hosts"][1][3], f"hosts: {p.rows['hosts']}")
calls = {x[1]: x for x in p.rows["calls"][1:]}
check({"openat", "read", "wait4", "execve"} <= set(calls) and int(calls["openat"][3]) > len(HOSTILE), f"calls: {list(calls)}")
slow = {c["call"]: c for c in doc["calls"]}
check(any(c["ns"] > 250e6 for n, c in slow.items() if "sleep" in n), f"the time of sleep: {slow.get('clock_nanosleep')}")
check(sum(x[0] == "denied" for x in p.rows["files"][1:]) == sum(f["verdict"] == "denied" for f in doc["files"]), "page and --json differ")
check({d["object"] for d in why["denials"]} <= {o["object"] for o in doc["files"] + doc["hosts"] + doc["others"]}, "why knows denials that the report lacks")
procs = [x[3] for x in p.rows["processes"][1:]]
check(any("<b>tool <script>window.pwned=4</script>" in x for x in procs), f"processes: {procs}")
tool = next(x for x in p.rows["processes"][1:] if x[3].startswith("./<b>tool"))
check("status 3" in tool[6], f"how it ended: {tool}")
check(doc["status"] == 7 and doc["times"] and 0.3 < doc["seconds"] < 200 and doc["processes"][0]["pid"] == 1, f"the run as a whole: {doc['status']} {doc['seconds']}")

# --- without --record, without a profile, errors ---
sundog("run", "--platform", PLATFORM, "--profile", work + "/t.profile", "--", "true")
r = sundog("report", "-o", work + "/2.html")
check(r.returncode == 0 and "without times" in r.stderr and "run --record" in open(work + "/2.html").read(), f"a run without --record: {r.stderr}")
sundog("run", "--platform", PLATFORM, "--record", "--", "cat", "a&lt;b&amp;")
doc2 = json.loads(sundog("report", "--json").stdout)
check(any(f["object"].endswith("/a&lt;b&amp;") and f["operation"] == "read" for f in doc2["files"]) and doc2["times"], f"--record without a profile: {doc2['files']}")
r = sundog("report", "nothing", "-o", work + "/3.html")
check(r.returncode == 125 and "no run nothing" in r.stderr and not os.path.exists(work + "/3.html"), f"an unknown run: {r.stderr}")
r = sundog("report", "-o", work + "/no/such.html")
check(r.returncode == 125 and "No such file" in r.stderr, f"a place that is not there: {r.stderr}")

# --- in a browser ---
driver, browser = shutil.which("chromedriver"), shutil.which("chromium") or shutil.which("google-chrome")


class Chromium:
    """A session of the WebDriver protocol (W3C), spoken directly."""
    def __init__(self, prefs):
        self.p = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        port = None
        while port is None:
            line = self.p.stdout.readline()
            if not line:
                raise RuntimeError("chromedriver ended")
            m = re.search(r"on port (\d+)", line)
            port = int(m.group(1)) if m and int(m.group(1)) else None
        self.base = f"http://127.0.0.1:{port}/session"
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,1600", f"--user-data-dir={work}/chromium{port}"]
        caps = {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {"args": args, "binary": browser, "prefs": prefs}}
        self.base += "/" + self.call("", {"capabilities": {"alwaysMatch": caps}})["sessionId"]

    def call(self, path, body=None, method=None):
        q = urllib.request.Request(self.base + path, json.dumps(body or {}).encode() if method != "GET" else None, {"Content-Type": "application/json"}, method=method)
        return json.load(urllib.request.urlopen(q, timeout=180))["value"]

    def open(self, path):
        self.call("/url", {"url": "file://" + path})

    def js(self, code):
        return self.call("/execute/sync", {"script": code, "args": []})

    def cdp(self, cmd, **params):
        return self.call("/goog/cdp/execute", {"cmd": cmd, "params": params})

    def keys(self, *keys):
        acts = [a for k in keys for a in ({"type": "keyDown", "value": k}, {"type": "keyUp", "value": k})]
        self.call("/actions", {"actions": [{"type": "key", "id": "k", "actions": acts}]})

    def end(self):
        try:
            self.call("", method="DELETE")
        finally:
            self.p.terminate()
            self.p.wait()


if driver and browser:
    c = Chromium({})
    try:
        c.open(page)
        log = [e for e in c.call("/se/log", {"type": "browser"})]
        check(not log, f"the console: {log}")
        check(c.js("return window.pwned === undefined"), "a name was executed")
        check(c.js("return document.querySelectorAll('#files').length") == 1 and
              c.js("return document.getElementById('files').parentNode.querySelectorAll('tbody tr').length") == len(p.rows["files"]) - 1, "rows of files")
        first = "document.getElementById('calls').parentNode.querySelector('tbody tr').cells[0].textContent"
        before = c.js("return " + first)
        c.js("document.getElementById('calls').parentNode.querySelector('thead button').focus()")
        c.keys("\ue007")
        check(c.js("return " + first) == min(calls) and c.js("return document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "ascending",
              f"sorting by keyboard: {before} {c.js('return ' + first)}")
        c.js("document.getElementById('files').parentNode.querySelector('input').focus()")
        c.keys(*"secret")
        left = c.js("return Array.from(document.getElementById('files').parentNode.querySelectorAll('tbody tr')).filter(r => !r.hidden).length")
        check(left == sum("secret" in " ".join(x[1:]) for x in p.rows["files"][1:]), f"the filter leaves {left}")
        c.open(page)
        c.keys("\ue004")
        check(c.js("return document.activeElement.className") == "skip", "Tab does not reach the link to the contents first")
        colours = []
        for scheme in ("light", "dark"):
            c.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            colours.append(c.js("var s=getComputedStyle(document.body);return s.backgroundColor+' '+s.color"))
            shot = os.environ.get("REPORT_SCREENSHOT")
            if shot:
                import base64
                open(f"{shot}-{scheme}.png", "wb").write(base64.b64decode(c.cdp("Page.captureScreenshot", captureBeyondViewport=True)["data"]))
        check(colours[0] != colours[1] and colours[0].startswith("rgb(255"), f"light and dark: {colours}")
        c.cdp("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False)
        check(c.js("return document.documentElement.scrollWidth <= 400"), "a narrow window scrolls sideways")
    finally:
        c.end()
    c = Chromium({"profile.managed_default_content_settings.javascript": 2})
    try:
        c.open(page)
        check(not c.js("return document.querySelector('th button')"), "scripts are not off: the test is void")
        check(c.js("return document.getElementById('files').parentNode.querySelectorAll('tbody tr').length") == len(p.rows["files"]) - 1 and
              c.js("return document.querySelector('td.o').getBoundingClientRect().height > 5"), "without scripts the tables are not there")
    finally:
        c.end()
else:
    for name, have in (("chromium", browser), ("chromedriver", driver)):
        if not have:
            print(f"SKIP the report in a browser: {name} is missing (packages chromium, chromium-driver)")
shutil.rmtree(work, ignore_errors=True)
sys.exit(1 if failures else 0)

/*
 * The page. Names in it come from programs in a sandbox: every text goes through put_text, which leaves no mark-up, no
 * control character and no character that turns the direction of writing. The page allows itself nothing from outside
 * and no script but its own (Content-Security-Policy with a nonce); without scripts the tables are the same, unsorted.
 */
#include "runtime/report.h"
#include "runtime/options.h"
#include "sentry/base/alloc.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#define ROWS_MAX 3000u
#define LANES_MAX 60u
#define CHART_W 1000.0

static void put(struct strbuf *b, const char *s) { strbuf_add(b, s, strlen(s)); }

/* Length of the well-formed character at s, with its number; 0: not UTF-8 (RFC 3629: no surrogates, nothing overlong). */
static unsigned utf8(const u8 *s, u32 *c)
{
    unsigned n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (n < 2) return *c = s[0], n;
    *c = s[0] & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        *c = *c << 6 | (s[i] & 0x3f);
    }
    if ((n == 3 && (*c < 0x800 || (*c >= 0xd800 && *c < 0xe000))) || (n == 4 && (*c < 0x10000 || *c > 0x10ffff))) return 0;
    return n;
}

/* Not to be seen, or changing how what stands beside it is seen. */
static bool unseen(u32 c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff0 && c <= 0xfffc) || (c >= 0xe0000 && c <= 0xe0fff);
}

static void put_text(struct strbuf *b, const char *text)
{
    for (const u8 *s = (const u8 *)text; *s;) {
        u32 c;
        unsigned n = utf8(s, &c);
        if (!n) strbuf_printf(b, "\\x%02x", *s), n = 1;
        else if (c == '&') put(b, "&amp;");
        else if (c == '<') put(b, "&lt;");
        else if (c == '>') put(b, "&gt;");
        else if (c == '"') put(b, "&quot;");
        else if (c == '\'') put(b, "&#39;");
        else if (unseen(c)) strbuf_printf(b, c < 0x100 ? "\\x%02x" : "\\u{%x}", c);
        else strbuf_add(b, s, n);
        s += n;
    }
}

static const char *duration(s64 ns, char buf[32])
{
    double v = (double)ns;
    if (v < 1e3) snprintf(buf, 32, "%.0f ns", v);
    else if (v < 1e6) snprintf(buf, 32, "%.1f µs", v / 1e3);
    else if (v < 1e9) snprintf(buf, 32, "%.1f ms", v / 1e6);
    else if (v < 600e9) snprintf(buf, 32, "%.2f s", v / 1e9);
    else snprintf(buf, 32, "%.1f min", v / 60e9);
    return buf;
}

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d1d9e0;--soft:#f3f5f7;--bar:#3b6fb6;--deny:#b42318;--denybg:#fdecea;"
    "--warn:#8a5a00;--warnbg:#fff4d6;--ok:#1a7f37;--focus:#0b57d0}"
    "@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--dim:#9aa5b1;--line:#333b45;--soft:#1d232a;--bar:#6ea3e8;--deny:#ff8a7a;"
    "--denybg:#3a1d1b;--warn:#f0c060;--warnbg:#332a12;--ok:#6cc684;--focus:#8ab4f8}}"
    "*{box-sizing:border-box}html{scroll-behavior:smooth}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}"
    "main,header,nav{max-width:76rem;margin:0 auto;padding:0 1.25rem}header{padding-top:1.5rem}h1{font-size:1.15rem;margin:0 0 .25rem;overflow-wrap:anywhere}"
    "h1 code{font-size:1.15rem;font-weight:600}h2{font-size:1.05rem;margin:2.25rem 0 .5rem}code,td.o,.mono{font-family:ui-monospace,monospace;font-size:.86em}"
    "p{margin:.25rem 0}.dim{color:var(--dim)}a{color:var(--focus)}:focus-visible{outline:2px solid var(--focus);outline-offset:2px}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--bg);padding:.25rem .5rem}"
    "nav{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding-top:.75rem;font-size:.93em}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1rem 0 0;padding:0}"
    ".cards div{border:1px solid var(--line);border-radius:.5rem;padding:.5rem .75rem;background:var(--soft)}.cards dt{color:var(--dim);font-size:.82em}"
    ".cards dd{margin:0;font-size:1.25rem;font-variant-numeric:tabular-nums}.cards .bad dd{color:var(--deny)}.cards .warn dd{color:var(--warn)}"
    ".wrap{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem}table{border-collapse:collapse;width:100%;font-size:.93em}"
    "th,td{padding:.3rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}tr:last-child td{border-bottom:0}"
    "thead th{background:var(--soft);font-weight:600;white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "td.o{overflow-wrap:anywhere;min-width:14rem}td.r{color:var(--dim);overflow-wrap:anywhere;font-size:.86em;min-width:10rem}"
    "th button{all:unset;cursor:pointer;font-weight:600}th button:focus-visible{outline:2px solid var(--focus);outline-offset:2px}"
    "th[aria-sort=ascending] button::after{content:' \\2191'}th[aria-sort=descending] button::after{content:' \\2193'}"
    ".v{display:inline-block;border-radius:.75rem;padding:0 .5rem;font-size:.86em;white-space:nowrap;border:1px solid currentColor}"
    ".denied .v{color:var(--deny);background:var(--denybg)}.absent .v,.warned .v{color:var(--warn);background:var(--warnbg)}.allowed .v{color:var(--ok)}"
    ".m{display:block;width:6rem;height:.55rem;margin-top:.45rem;fill:var(--bar)}"
    ".chart{border:1px solid var(--line);border-radius:.5rem;padding:.5rem;overflow-x:auto}.chart svg{display:block;width:100%;min-width:40rem;height:auto}"
    "svg text{fill:var(--dim);font:11px system-ui,sans-serif}svg .c{fill:var(--bar)}svg .d{fill:var(--deny)}svg .p{fill:var(--bar);opacity:.55}"
    "svg .p.x{fill:var(--deny)}svg .g{stroke:var(--line)}svg .t{fill:var(--fg);font:11px ui-monospace,monospace}"
    ".f{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin:0 0 .5rem}.f input,.f select{font:inherit;padding:.2rem .5rem;border:1px solid var(--line);"
    "border-radius:.35rem;background:var(--bg);color:var(--fg)}footer{max-width:76rem;margin:2.5rem auto 2rem;padding:0 1.25rem;color:var(--dim);font-size:.86em}"
    "@media print{.f,nav,.skip{display:none}.wrap,.chart{overflow:visible}}";

/* Sorting and filtering; it reads and moves rows, and never makes mark-up of text. */
static const char script[] =
    "document.querySelectorAll('table[data-s]').forEach(function(t){"
    "var body=t.tBodies[0],rows=Array.prototype.slice.call(body.rows);"
    "t.querySelectorAll('thead th').forEach(function(h,i){var b=document.createElement('button');b.type='button';b.textContent=h.textContent;"
    "h.textContent='';h.appendChild(b);b.addEventListener('click',function(){"
    "var up=h.getAttribute('aria-sort')!=='ascending';"
    "t.querySelectorAll('thead th').forEach(function(o){o.removeAttribute('aria-sort')});h.setAttribute('aria-sort',up?'ascending':'descending');"
    "rows.sort(function(x,y){var a=x.cells[i],c=y.cells[i],p=a.dataset.v,q=c.dataset.v;"
    "var d=p!==undefined&&q!==undefined?p-q:a.textContent<c.textContent?-1:a.textContent>c.textContent?1:0;return up?d:-d});"
    "rows.forEach(function(r){body.appendChild(r)})})});"
    "if(rows.length<8)return;"
    "var f=document.createElement('div'),l=document.createElement('label'),n=document.createElement('input'),s=document.createElement('span');"
    "f.className='f';l.textContent='Filter ';n.type='search';l.appendChild(n);s.setAttribute('role','status');s.className='dim';f.appendChild(l);f.appendChild(s);"
    "t.parentNode.parentNode.insertBefore(f,t.parentNode);"
    "n.addEventListener('input',function(){var w=n.value.toLowerCase(),k=0;rows.forEach(function(r){"
    "var on=r.textContent.toLowerCase().indexOf(w)>=0;r.hidden=!on;k+=on});s.textContent=w?k+' of '+rows.length:''})});";

/* --- pieces --- */

static void card(struct strbuf *b, const char *cls, const char *name, const char *value)
{
    strbuf_printf(b, "<div%s%s%s><dt>%s</dt><dd>", *cls ? " class=\"" : "", cls, *cls ? "\"" : "", name);
    put_text(b, value);
    put(b, "</dd></div>");
}

static void number(struct strbuf *b, double value, const char *text)
{
    strbuf_printf(b, "<td class=n data-v=\"%.0f\">", value);
    put_text(b, text);
    put(b, "</td>");
}

static void head(struct strbuf *b, const char *id, const char *title, unsigned n)
{
    strbuf_printf(b, "<section aria-labelledby=%s><h2 id=%s>%s <span class=dim>(%u)</span></h2>", id, id, title, n);
}

static void cut_note(struct strbuf *b, unsigned n)
{
    if (n > ROWS_MAX) strbuf_printf(b, "<p class=dim>The first %u of %u rows; `sundog report --json` has all.</p>", ROWS_MAX, n);
}

static void objects(struct strbuf *b, const char *id, const char *title, const char *what, const struct report_object *o, unsigned n, const char *none)
{
    char buf[32];
    head(b, id, title, n);
    if (!n) {
        strbuf_printf(b, "<p class=dim>%s</p></section>\n", none);
        return;
    }
    strbuf_printf(b, "<div class=wrap tabindex=0 role=region aria-labelledby=%s><table data-s=1><thead><tr><th scope=col>Verdict</th><th scope=col>Operation</th>"
                     "<th scope=col>%s</th><th scope=col class=n>Times</th><th scope=col class=n>First at</th><th scope=col>Rule</th></tr></thead><tbody>\n", id, what);
    for (unsigned i = 0; i < n && i < ROWS_MAX; i++) {
        const struct evlog_rec *e = o[i].rec;
        const char *v = o[i].absent ? "absent" : evlog_verdict_name(e->verdict);
        strbuf_printf(b, "<tr class=%s><td><span class=v>%s</span></td><td>%s</td><td class=o>", v, o[i].absent ? "not shown" : v, o[i].absent ? "look up" : evlog_op_name(e->op));
        put_text(b, e->object);
        put(b, "</td>");
        snprintf(buf, sizeof(buf), "%u", e->count);
        number(b, e->count, buf);
        number(b, (double)e->first, duration(e->first, buf));
        put(b, "<td class=r>");
        if (o[i].rule) {
            put_text(b, o[i].rule->text);
            put(b, "<br>");
            put_text(b, o[i].rule->where);
        } else if (e->verdict != EV_ALLOWED || o[i].absent) put(b, "none: what no rule names is denied");
        put(b, "</td></tr>\n");
    }
    put(b, "</tbody></table></div>");
    cut_note(b, n);
    put(b, "</section>\n");
}

static void calls(struct strbuf *b, const struct report *r)
{
    char buf[32];
    u64 most = 1;
    head(b, "calls", "System calls", r->ncalls);
    for (unsigned i = 0; i < r->ncalls; i++) most = MAX(most, r->times ? r->calls[i].ns : r->calls[i].count);
    if (r->times) put(b, "<p class=dim>Time is from the beginning of a call to its end, waiting included.</p>");
    put(b, "<div class=wrap tabindex=0 role=region aria-labelledby=calls><table data-s=1><thead><tr><th scope=col>Call</th><th scope=col>System</th>"
           "<th scope=col class=n>Count</th>");
    if (r->times) put(b, "<th scope=col class=n>Time</th><th scope=col class=n>Mean</th>");
    put(b, "<th scope=col>Share</th></tr></thead><tbody>\n");
    for (unsigned i = 0; i < r->ncalls; i++) {
        const struct report_call *c = &r->calls[i];
        put(b, "<tr><td class=o>");
        put_text(b, c->name);
        strbuf_printf(b, "</td><td>%s</td>", c->solaris ? "Solaris" : "Linux");
        snprintf(buf, sizeof(buf), "%llu", (unsigned long long)c->count);
        number(b, (double)c->count, buf);
        if (r->times) {
            number(b, (double)c->ns, duration((s64)c->ns, buf));
            number(b, (double)c->ns / (double)c->count, duration((s64)(c->ns / c->count), buf));
        }
        double share = (double)(r->times ? c->ns : c->count) / (double)most;
        strbuf_printf(b, "<td data-v=\"%.0f\"><svg class=m viewBox=\"0 0 100 6\" preserveAspectRatio=none aria-hidden=true><rect width=\"%.1f\" height=6 /></svg></td></tr>\n",
                      share * 1e6, MAX(share * 100, 0.6));
    }
    put(b, "</tbody></table></div></section>\n");
}

static const char *ending(const struct report_process *p, char buf[32])
{
    if (!p->ended) return "at the end of the run";
    if (WIFSIGNALED((int)p->status)) snprintf(buf, 32, "signal %d", WTERMSIG((int)p->status));
    else snprintf(buf, 32, "status %d", WEXITSTATUS((int)p->status));
    return buf;
}

static void processes(struct strbuf *b, const struct report *r)
{
    char buf[32];
    if (!r->times) return;
    head(b, "processes", "Processes", r->nprocs);
    put(b, "<div class=wrap tabindex=0 role=region aria-labelledby=processes><table data-s=1><thead><tr><th scope=col class=n>Process</th><th scope=col class=n>Parent</th>"
           "<th scope=col>Program</th><th scope=col class=n>Start</th><th scope=col class=n>Lasted</th><th scope=col>Ended by</th></tr></thead><tbody>\n");
    for (unsigned i = 0; i < r->nprocs && i < ROWS_MAX; i++) {
        const struct report_process *p = &r->procs[i];
        bool bad = p->ended && p->status;
        strbuf_printf(b, "<tr class=%s>", bad ? "denied" : "allowed");
        snprintf(buf, sizeof(buf), "%d", p->pid);
        number(b, p->pid, buf);
        snprintf(buf, sizeof(buf), "%d", p->parent);
        number(b, p->parent, p->parent ? buf : "");
        put(b, "<td class=o>");
        put_text(b, p->command);
        put(b, "</td>");
        number(b, (double)p->start, duration(p->start, buf));
        s64 lasted = (p->ended ? p->end : r->length) - p->start;
        number(b, (double)lasted, duration(MAX(lasted, (s64)0), buf));
        strbuf_printf(b, bad ? "<td><span class=v>%s</span></td></tr>\n" : "<td>%s</td></tr>\n", ending(p, buf));
    }
    put(b, "</tbody></table></div>");
    cut_note(b, r->nprocs);
    put(b, "</section>\n");
}

/* Ticks at 1, 2 or 5 times a power of ten. */
static s64 tick(s64 length)
{
    s64 t = 1000;
    static const unsigned up[] = { 2, 5, 10 };
    for (unsigned i = 0;; i++) {
        s64 v = t * (i % 3 ? up[i % 3 - 1] : 1);
        if (length / v <= 10) return v;
        if (i % 3 == 2) t *= 10;
    }
}

static void axis(struct strbuf *b, const struct report *r, double top, double bottom)
{
    char buf[32];
    s64 step = tick(r->length);
    for (s64 t = 0; t <= r->length; t += step) {
        double x = (double)t / (double)r->length * CHART_W;
        strbuf_printf(b, "<line class=g x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", x, x, top, bottom);
        strbuf_printf(b, "<text x=\"%.1f\" y=\"%.1f\"%s>%s</text>", x + (t ? 0 : 1), bottom + 13, t ? " text-anchor=middle" : "", duration(t, buf));
    }
}

static void timeline(struct strbuf *b, const struct report *r)
{
    char buf[32];
    if (!r->times || r->length <= 0) {
        put(b, "<section aria-labelledby=time><h2 id=time>Course of time</h2><p class=dim>Not recorded: run it with <code>sundog run --record</code>.</p></section>\n");
        return;
    }
    u32 shift = MIN(r->hdr->series_shift, 40u), most = 1;
    for (unsigned i = 0; i < EVLOG_SERIES; i++) most = MAX(most, r->hdr->series_calls[i]);
    unsigned lanes = MIN(r->nprocs, LANES_MAX);
    double h = 120, first = h + 24, bottom = first + lanes * 16.0;
    char most_text[64];
    snprintf(most_text, sizeof(most_text), "%.0f calls a second", (double)most * 1e9 / (double)(1ULL << shift));
    put(b, "<section aria-labelledby=time><h2 id=time>Course of time</h2><p class=dim>System calls in steps of ");
    put(b, duration((s64)(1ULL << shift), buf));
    strbuf_printf(b, " (at most %s), denials as marks above, then a bar for each process.%s</p>", most_text,
                  r->nprocs > LANES_MAX ? " The first 60 processes; the table has the others." : "");
    strbuf_printf(b, "<div class=chart tabindex=0 role=region aria-labelledby=time><svg viewBox=\"0 0 %.0f %.0f\" role=img aria-label=\"System calls and processes over time; the tables "
                     "below hold the same in figures\">", CHART_W, bottom + 22);
    axis(b, r, 12, h);
    for (unsigned i = 0; i < EVLOG_SERIES; i++) {
        double x = (double)((u64)i << shift) / (double)r->length * CHART_W, w = (double)(1ULL << shift) / (double)r->length * CHART_W;
        if (x >= CHART_W) break;
        double bar = (double)r->hdr->series_calls[i] / most * (h - 14);
        if (r->hdr->series_calls[i])
            strbuf_printf(b, "<rect class=c x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"><title>%s: %u calls</title></rect>", x, h - MAX(bar, 1.0), MAX(w - 0.4, 0.4),
                          MAX(bar, 1.0), duration((s64)((u64)i << shift), buf), r->hdr->series_calls[i]);
        if (r->hdr->series_denied[i])
            strbuf_printf(b, "<path class=d d=\"M%.2f 10l-5 -9h10z\"><title>%s: %u denied</title></path>", x + w / 2, duration((s64)((u64)i << shift), buf),
                          r->hdr->series_denied[i]);
    }
    for (unsigned i = 0; i < lanes; i++) {
        const struct report_process *p = &r->procs[i];
        double x = (double)p->start / (double)r->length * CHART_W, y = first + i * 16.0;
        double w = MAX((double)((p->ended ? p->end : r->length) - p->start) / (double)r->length * CHART_W, 1.5);
        strbuf_printf(b, "<rect class=\"p%s\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=13 rx=2><title>", p->ended && p->status ? " x" : "", MIN(x, CHART_W), y, w);
        put_text(b, p->command);
        strbuf_printf(b, " (%d): %s, ", p->pid, duration(p->start, buf));
        put(b, ending(p, buf));
        put(b, "</title></rect>");
        AUTO_FREE char *label = xstrndup(p->command, strcspn(p->command, " "));
        const char *name = strrchr(label, '/') ? strrchr(label, '/') + 1 : label;
        bool right = x > CHART_W * 0.8;
        strbuf_printf(b, "<text class=t x=\"%.1f\" y=\"%.1f\"%s>", right ? x - 4 : x + 4, y + 10.5, right ? " text-anchor=end" : "");
        AUTO_FREE char *shorter = xstrndup(name, 40);
        put_text(b, shorter);
        put(b, "</text>");
    }
    put(b, "</svg></div></section>\n");
}

void report_html(struct strbuf *b, const struct report *r)
{
    const struct runrec *run = r->run;
    u8 random[16] = { 0 };
    char nonce[33], buf[64];
    if (getrandom(random, sizeof(random), 0) < 0) memcpy(random, &r->length, sizeof(r->length));
    for (unsigned i = 0; i < 16; i++) snprintf(nonce + 2 * i, 3, "%02x", random[i]);
    strbuf_printf(b, "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                     "style-src 'nonce-%s'; script-src 'nonce-%s'; base-uri 'none'; form-action 'none'\">\n", nonce, nonce);
    put(b, "<meta name=viewport content=\"width=device-width,initial-scale=1\"><meta name=color-scheme content=\"light dark\">"
           "<link rel=icon href=\"data:,\"><title>sundog: ");
    put_text(b, run->command ? run->command : run->id);
    strbuf_printf(b, "</title>\n<style nonce=\"%s\">%s</style></head>\n<body><a class=skip href=\"#main\">To the contents</a>\n<header><h1><code>", nonce, style);
    put_text(b, run->command ? run->command : "?");
    put(b, "</code></h1><p class=dim>Run ");
    put_text(b, run->id);
    if (run->profile && *run->profile) {
        put(b, ", profile <b>");
        put_text(b, run->profile);
        put(b, "</b>");
    } else put(b, ", no profile");
    if (run->cwd) {
        put(b, ", in ");
        put_text(b, run->cwd);
    }
    if (run->start) {
        time_t t = (time_t)run->start;
        struct tm tm;
        strftime(buf, sizeof(buf), ", %Y-%m-%d %H:%M:%S", localtime_r(&t, &tm));
        put(b, buf);
    }
    put(b, "</p><dl class=cards>");
    if (run->status < 0) snprintf(buf, sizeof(buf), "runs");
    else snprintf(buf, sizeof(buf), "%d", run->status);
    card(b, run->status > 0 ? "bad" : "", "Exit status", buf);
    char d[32];
    card(b, "", "Lasted", duration(r->length, d));
    snprintf(buf, sizeof(buf), "%llu", (unsigned long long)r->ncalls_total);
    card(b, "", "System calls", buf);
    if (r->times) {
        snprintf(buf, sizeof(buf), "%u", r->nprocs);
        card(b, "", "Processes", buf);
    }
    snprintf(buf, sizeof(buf), "%u", r->denied);
    card(b, r->denied ? "bad" : "", "Kinds of access denied", buf);
    if (r->warned) {
        snprintf(buf, sizeof(buf), "%u", r->warned);
        card(b, "warn", "Let pass (warn)", buf);
    }
    snprintf(buf, sizeof(buf), "%u", r->allowed);
    card(b, "", "Kinds of access allowed", buf);
    put(b, "</dl></header>\n<nav aria-label=Contents><a href=\"#time\">Course of time</a><a href=\"#files\">Files</a><a href=\"#hosts\">Hosts</a>");
    if (r->nothers) put(b, "<a href=\"#others\">Calls and limits</a>");
    put(b, "<a href=\"#calls\">System calls</a>");
    if (r->times) put(b, "<a href=\"#processes\">Processes</a>");
    put(b, "</nav>\n<main id=main tabindex=-1>\n");
    if (r->hdr->dropped)
        strbuf_printf(b, "<p class=dim>The record was full: %llu kinds of access are not in it.</p>", (unsigned long long)r->hdr->dropped);
    timeline(b, r);
    objects(b, "files", "Files", "Path", r->files, r->nfiles, "None were opened.");
    objects(b, "hosts", "Hosts", "Host", r->hosts, r->nhosts, "No connection was made or refused.");
    if (r->nothers) objects(b, "others", "Calls and limits", "Call or limit", r->others, r->nothers, "");
    calls(b, r);
    processes(b, r);
    strbuf_printf(b, "</main><footer>Made by sundog %s. Each row is one kind of access: an operation on an object, with how often it happened; files that are "
                     "opened again may be counted once.</footer>\n<script nonce=\"%s\">%s</script></body></html>\n", SUNDOG_VERSION, nonce, script);
}

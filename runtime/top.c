/* `sundog top`: what runs in the sandboxes of this user (of all, for root), live. */
#include "runtime/call_names.h"
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/top_source.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"
#include "sentry/base/strbuf.h"

#include <json.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define FIRST_MS 500         /* between the two samples of --once and --json */

static const char *size_text(u64 n, char buf[16])
{
    static const char unit[] = "BKMGT";
    double v = (double)n;
    unsigned u = 0;
    for (; v >= 1000 && u < 4; u++) v /= 1024;
    snprintf(buf, 16, u && v < 10 ? "%.1f%c" : "%.0f%c", v, unit[u]);
    return buf;
}

static const char *object_mark(const struct top_object *o)
{
    return o->verdict == EV_DENIED ? "denied" : o->verdict == EV_WARNED ? "warned" : evlog_op_name(o->op);
}

/* --- text --- */

struct page { struct strbuf b; unsigned cols, rows, line; bool live; };

/* One line, cut to the width: a character of UTF-8 counts as one. */
static void line(struct page *p, const char *style, const char *fmt, ...) PRINTF(3, 4);
static void line(struct page *p, const char *style, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    if (p->live && p->line >= p->rows) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    size_t n = 0;
    for (unsigned w = 0; text[n]; n++) {
        if (((u8)text[n] & 0xc0) != 0x80 && ++w > p->cols) break;
    }
    if (p->live) strbuf_printf(&p->b, "%s%s", p->line ? "\r\n" : "", style ? style : "");
    strbuf_add(&p->b, text, n);
    if (p->live) strbuf_printf(&p->b, "%s\033[K", style ? "\033[0m" : "");
    else strbuf_add(&p->b, "\n", 1);
    p->line++;
}

static void details(struct page *p, const struct top_box *b)
{
    char busy[512] = "";
    for (unsigned i = 0; i < b->nbusiest; i++)
        snprintf(busy + strlen(busy), sizeof(busy) - strlen(busy), "%s%s %.0f/s", i ? ", " : "", call_name(b->busiest[i].solaris, b->busiest[i].nr), b->busiest[i].per_s);
    line(p, NULL, "%s", "");
    line(p, "\033[1m", "%s: %s", b->id, b->command);
    line(p, NULL, "busiest calls  %s", *busy ? busy : b->record ? "none" : "cannot be seen");
    line(p, NULL, "%s", "");
    line(p, "\033[4m", "%7s %7s S %9s  %-s", "PID", "PARENT", "CPU", "PROCESS");
    unsigned room = p->live ? (p->rows > p->line + 4 ? (p->rows - p->line) / 2 : 0) : 20;
    for (unsigned i = 0; i < b->nprocs && i < room; i++) {
        const struct control_proc *q = &b->procs[i];
        line(p, NULL, "%7d %7d %c %8.2fs  %s", q->pid, q->ppid, q->state, (double)(q->utime_ns + q->stime_ns) / 1e9, *q->args ? q->args : q->comm);
    }
    if (b->nprocs > room) line(p, NULL, "        and %u more", b->nprocs - room);
    line(p, NULL, "%s", "");
    if (b->ndenied) line(p, "\033[4m", "%s", "DENIED");
    for (unsigned i = 0; i < b->ndenied && i < 5; i++)
        line(p, "\033[31m", "%-8s %-8s %s%s", object_mark(&b->denied[i]), evlog_op_name(b->denied[i].op), b->denied[i].text, b->denied[i].count > 1 ? "  (again)" : "");
    if (b->nrecent) line(p, "\033[4m", "%s", "LATEST FILES AND HOSTS");
    for (unsigned i = 0; i < b->nrecent; i++) line(p, NULL, "%-8s %s", object_mark(&b->recent[i]), b->recent[i].text);
    if (b->dropped) line(p, NULL, "the record is full: %llu kinds of access are not in it", (unsigned long long)b->dropped);
}

static void page(struct page *p, const struct top *t, unsigned chosen)
{
    char when[32], mem[16];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof(when), "%H:%M:%S", localtime_r(&now, &tm));
    line(p, p->live ? "\033[1m" : NULL, "sundog top  %s  %u sandbox%s%s", when, t->n, t->n == 1 ? "" : "es", p->live ? "   q quits, j and k choose" : "");
    line(p, "\033[7m", "%-16s %6s %6s %7s %9s %7s %6s %7s  %s", "SANDBOX", "TASKS", "CPU%", "MEMORY", "CALLS/S", "FILES", "HOSTS", "DENIED", "COMMAND");
    for (unsigned i = 0; i < t->n; i++) {
        const struct top_box *b = t->box[i];
        char calls[16] = "-", files[16] = "-", hosts[16] = "-", denied[16] = "-";
        if (b->record) {
            snprintf(calls, sizeof(calls), "%.0f", b->calls_per_s);
            snprintf(files, sizeof(files), "%u", b->files);
            snprintf(hosts, sizeof(hosts), "%u", b->hosts);
            snprintf(denied, sizeof(denied), "%u", b->denials);
        }
        line(p, p->live && i == chosen ? "\033[1;36m" : b->denials ? "\033[31m" : NULL, "%-16.16s %6u %6.1f %7s %9s %7s %6s %7s  %s", b->id, b->stats.nr_tasks, b->cpu * 100,
             size_text(b->stats.mem_used, mem), calls, files, hosts, denied, b->command);
    }
    if (!t->n) line(p, NULL, "%s", "no sandbox of yours is running");
    for (unsigned i = 0; i < t->n; i++)
        if (!p->live || i == chosen) details(p, t->box[i]);
}

/* --- JSON --- */

static struct json_object *objects(const struct top_object *o, unsigned n)
{
    struct json_object *list = json_object_new_array();
    for (unsigned i = 0; i < n; i++) {
        struct json_object *e = json_object_new_object();
        json_object_object_add(e, "operation", json_object_new_string(evlog_op_name(o[i].op)));
        json_object_object_add(e, "verdict", json_object_new_string(evlog_verdict_name(o[i].verdict)));
        json_object_object_add(e, "object", json_object_new_string(o[i].text));
        json_object_object_add(e, "count", json_object_new_int64(o[i].count));
        json_object_array_add(list, e);
    }
    return list;
}

static void print_json(const struct top *t)
{
    struct json_object *all = json_object_new_array();
    for (unsigned i = 0; i < t->n; i++) {
        const struct top_box *b = t->box[i];
        struct json_object *o = json_object_new_object(), *procs = json_object_new_array(), *busy = json_object_new_array();
        json_object_object_add(o, "id", json_object_new_string(b->id));
        json_object_object_add(o, "container", json_object_new_boolean(b->container));
        json_object_object_add(o, "pid", json_object_new_int(b->pid));
        json_object_object_add(o, "command", json_object_new_string(b->command));
        json_object_object_add(o, "tasks", json_object_new_int64(b->stats.nr_tasks));
        json_object_object_add(o, "processes", json_object_new_int64(b->stats.nr_processes));
        json_object_object_add(o, "cpu", json_object_new_double(b->cpu));
        json_object_object_add(o, "memory", json_object_new_int64((s64)b->stats.mem_used));
        json_object_object_add(o, "calls_per_second", b->record ? json_object_new_double(b->calls_per_s) : NULL);
        json_object_object_add(o, "calls", b->record ? json_object_new_int64((s64)b->calls) : NULL);
        json_object_object_add(o, "files", json_object_new_int64(b->files));
        json_object_object_add(o, "hosts", json_object_new_int64(b->hosts));
        json_object_object_add(o, "denials", json_object_new_int64(b->denials));
        json_object_object_add(o, "warnings", json_object_new_int64(b->warnings));
        for (unsigned k = 0; k < b->nbusiest; k++) {
            struct json_object *e = json_object_new_object();
            json_object_object_add(e, "call", json_object_new_string(call_name(b->busiest[k].solaris, b->busiest[k].nr)));
            json_object_object_add(e, "per_second", json_object_new_double(b->busiest[k].per_s));
            json_object_array_add(busy, e);
        }
        json_object_object_add(o, "busiest", busy);
        for (unsigned k = 0; k < b->nprocs; k++) {
            struct json_object *e = json_object_new_object();
            json_object_object_add(e, "pid", json_object_new_int(b->procs[k].pid));
            json_object_object_add(e, "parent", json_object_new_int(b->procs[k].ppid));
            json_object_object_add(e, "command", json_object_new_string(*b->procs[k].args ? b->procs[k].args : b->procs[k].comm));
            json_object_object_add(e, "cpu_ns", json_object_new_int64((s64)(b->procs[k].utime_ns + b->procs[k].stime_ns)));
            json_object_array_add(procs, e);
        }
        json_object_object_add(o, "process_list", procs);
        json_object_object_add(o, "recent", objects(b->recent, b->nrecent));
        json_object_object_add(o, "denied", objects(b->denied, b->ndenied));
        json_object_array_add(all, o);
    }
    puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
}

/* --- live --- */

static struct termios saved;

static void put(const char *s, size_t n)
{
    while (n) {
        ssize_t r = write(1, s, n);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return;
        s += r;
        n -= (size_t)r;
    }
}

static void draw(const struct top *t, unsigned chosen)
{
    struct winsize w = { 0 };
    if (ioctl(1, TIOCGWINSZ, &w) || !w.ws_col || !w.ws_row) w = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    struct page p = { .cols = w.ws_col, .rows = w.ws_row, .live = true };
    strbuf_printf(&p.b, "\033[H");
    page(&p, t, chosen);
    strbuf_printf(&p.b, "\033[J");
    put(p.b.s, p.b.len);
    strbuf_fini(&p.b);
}

/* What a key does to the choice; false: quit. An escape sequence is taken whole. */
static bool keys(const char *k, size_t n, unsigned *chosen, unsigned boxes)
{
    for (size_t i = 0; i < n; i++) {
        if (k[i] == 'q' || k[i] == 'Q' || k[i] == 3) return false;
        bool up = k[i] == 'k', down = k[i] == 'j';
        if (k[i] == 27 && i + 2 < n && k[i + 1] == '[') up = k[i + 2] == 'A', down = k[i + 2] == 'B', i += 2;
        if (up && *chosen) --*chosen;
        if (down && *chosen + 1 < boxes) ++*chosen;
    }
    return true;
}

static int live(struct top *t, int interval)
{
    sigset_t set;
    sigemptyset(&set);
    static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) sigaddset(&set, ends[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int sig = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (sig < 0 || tcgetattr(0, &saved)) return fail("top: %s", strerror(errno));
    struct termios raw = saved;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(0, TCSANOW, &raw);
    static const char enter[] = "\033[?1049h\033[?25l\033[2J", leave[] = "\033[?25h\033[?1049l";
    put(enter, sizeof(enter) - 1);
    unsigned chosen = 0;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (bool sampling = true;;) {
        if (sampling) {
            top_refresh(t);
            clock_gettime(CLOCK_MONOTONIC, &due);
        }
        if (chosen >= t->n) chosen = t->n ? t->n - 1 : 0;
        draw(t, chosen);
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        int spent = (int)((now.tv_sec - due.tv_sec) * 1000 + (now.tv_nsec - due.tv_nsec) / 1000000);
        struct pollfd p[2] = { { .fd = 0, .events = POLLIN }, { .fd = sig, .events = POLLIN } };
        int r = poll(p, 2, MAX(interval - spent, 0));
        sampling = r == 0;
        char k[64];
        if (r > 0 && p[0].revents) {
            ssize_t n = read(0, k, sizeof(k));
            if (n <= 0 || !keys(k, (size_t)n, &chosen, t->n)) break;
        }
        struct signalfd_siginfo si;
        bool over = false;
        while (r > 0 && read(sig, &si, sizeof(si)) == sizeof(si)) over |= si.ssi_signo != SIGWINCH;
        if (over) break;
    }
    put(leave, sizeof(leave) - 1);
    tcsetattr(0, TCSANOW, &saved);
    return 0;
}

int cmd_top(int argc, char **argv)
{
    bool json = false, once = false;
    int interval = 1000;
    struct verb_words w;
    int id;
    verb_begin(&w, "top", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_ONCE) once = true;
        else if (id == O_INTERVAL) {
            char *end;
            double s = strtod(w.val, &end);
            if (end == w.val || *end || !(s >= 0.1 && s <= 3600)) return fail("--interval %s: seconds from 0.1 to 3600 are wanted", w.val);
            interval = (int)(s * 1000);
        } else if (id == VERB_WORD) return fail("top: %s: no arguments are wanted", w.val);
        else return id == VERB_HELPED ? 0 : EXIT_SANDBOX;
    }
    struct top t = { 0 };
    int r = 0;
    if (!json && !once && isatty(0) && isatty(1)) {
        r = live(&t, interval);
    } else {
        top_refresh(&t);
        if (t.n) poll(NULL, 0, FIRST_MS);
        top_refresh(&t);
        if (json) print_json(&t);
        else {
            struct page p = { .cols = 4000 };
            page(&p, &t, 0);
            fwrite(p.b.s, 1, p.b.len, stdout);
            strbuf_fini(&p.b);
        }
    }
    top_fini(&t);
    return r;
}

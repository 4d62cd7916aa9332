#include "sentry/policy/policy.h"
#include "abi/abi.h"
#include "netbroker/protocol.h"
#include "sentry/base/alloc.h"
#include "sentry/base/clock.h"
#include "sentry/base/dnslog.h"
#include "sentry/base/log.h"
#include "sentry/base/plan.h"
#include "sentry/kernel/task.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool policy_records_absent, policy_records_looks, policy_syscalls, policy_times, policy_watched;

/* All (c) after policy_init. */
static struct pathrules *paths;
static struct connrules *nets;
static bool always_counts;                /* a profile or --record: not only while somebody watches */
static bool warn_only, net_deny, net_host, wants_absent, wants_looks, wants_opens;
static u32 max_tasks, event_flags;
static u32 *sys_rule[2];                 /* by number: rule id, 0: allowed */
static unsigned sys_len[2];

static const struct abi *abi_of(unsigned i) { return i ? &abi_solaris : &abi_linux; }

static void add_sys_rule(u32 id, const char *name)
{
    for (unsigned a = 0; a < 2; a++) {
        const struct abi *abi = abi_of(a);
        for (unsigned nr = 0; nr < abi->table_len; nr++) {
            if (!abi->table[nr].name || strcmp(abi->table[nr].name, name)) continue;
            if (!sys_rule[a]) sys_rule[a] = xzalloc(abi->table_len * sizeof(u32)), sys_len[a] = abi->table_len;
            sys_rule[a][nr] = id;
        }
    }
}

static int take_policy(const u8 *data, u32 len)
{
    struct plan_policy p;
    if (len < sizeof(p)) return -EINVAL;
    memcpy(&p, data, sizeof(p));
    warn_only = p.flags & PLAN_POLICY_WARN;
    net_deny = p.flags & PLAN_POLICY_NET_DENY;
    net_host = p.flags & PLAN_POLICY_NET_HOST;
    wants_looks = p.flags & PLAN_POLICY_LOOK;
    wants_absent = p.flags & PLAN_POLICY_ROOT;
    max_tasks = p.max_tasks;
    paths = pathrules_new();
    nets = connrules_new();
    return p.event_fd >= 0 ? evlog_open(p.event_fd, event_flags) : 0;
}

/* Before everything else in the plan. */
static int take_record_order(const u8 *data, u32 len)
{
    struct plan_event_record e;
    if (len < sizeof(e) || paths) return -EINVAL;
    memcpy(&e, data, sizeof(e));
    event_flags = EVLOG_TIMES;
    policy_times = true;
    wants_opens = e.event_fd >= 0; /* a record without rules: what is opened is seen as under a watcher */
    return e.event_fd >= 0 ? evlog_open(e.event_fd, event_flags) : 0;
}

static int take_record(const struct plan_record *rec, const u8 *data)
{
    struct plan_path_rule pr;
    struct plan_conn_rule nr;
    struct plan_dns dns;
    const char *s;
    u32 id;
    switch (rec->kind) {
    case PLAN_EVENT_RECORD: return take_record_order(data, rec->len);
    case PLAN_POLICY: return paths ? -EINVAL : take_policy(data, rec->len);
    case PLAN_PATH_RULE:
        if (!paths || rec->len < sizeof(pr) || !(s = plan_string(data, rec->len, sizeof(pr), 0))) return -EINVAL;
        memcpy(&pr, data, sizeof(pr));
        return pathrules_add(paths, s, pr.perms, pr.id);
    case PLAN_CONN_RULE:
        if (!nets || rec->len < sizeof(nr) || !(s = plan_string(data, rec->len, sizeof(nr), 0))) return -EINVAL;
        memcpy(&nr, data, sizeof(nr));
        struct connrule r = { .id = nr.id, .op = nr.op, .allow = nr.allow, .protos = nr.protos, .prefix = nr.prefix, .lo = nr.lo, .hi = nr.hi,
                             .name = *s ? (char *)(uintptr_t)s : NULL };
        memcpy(r.ip, nr.ip, 16);
        if (r.prefix > 128) return -EINVAL;
        connrules_add(nets, &r);
        return 0;
    case PLAN_NET_PIN:
        if (!nets || rec->len < 16 || !(s = plan_string(data, rec->len, 16, 0))) return -EINVAL;
        connrules_pin(nets, s, data);
        return 0;
    case PLAN_DNS:
        if (!nets || rec->len < sizeof(dns)) return -EINVAL;
        memcpy(&dns, data, sizeof(dns));
        return policy_dns_open(dns.log_fd);
    case PLAN_SYS_RULE:
        if (rec->len < sizeof(id) || !(s = plan_string(data, rec->len, sizeof(id), 0))) return -EINVAL;
        memcpy(&id, data, sizeof(id));
        add_sys_rule(id, s);
        return 0;
    }
    return 0;
}

int policy_init(const u8 *plan, size_t len)
{
    struct plan_reader r = { .buf = plan, .len = len };
    struct plan_record rec;
    const u8 *data;
    int k, err = 0;
    while (!err && (k = plan_next(&r, &rec, &data)) == 1) err = take_record(&rec, data);
    policy_syscalls = always_counts = evlog_on() || sys_rule[0] || sys_rule[1];
    return err ? err : k;
}

int policy_watch(int fd, bool on)
{
    int r = 0;
    if (fd >= 0) {
        if (evlog_on()) close(fd);
        else r = evlog_open(fd, 0);
    }
    on = on && evlog_on();
    if (!policy_times && !paths) __atomic_store_n(&policy_watched, on, __ATOMIC_RELAXED);
    __atomic_store_n(&policy_syscalls, on || always_counts, __ATOMIC_RELAXED);
    return r;
}

void policy_start(void)
{
    if (max_tasks) kernel.max_tasks = max_tasks; /* over the default that kernel_init set */
    policy_records_absent = wants_absent;
    policy_watched = wants_opens;
    policy_records_looks = wants_looks && evlog_on();
}

static u32 effective(u32 perms) { return perms & PR_OVERLAY ? perms | PR_WRITE : perms; }

enum policy_verdict policy_check(enum policy_op op, const struct policy_object *o, u32 *rule)
{
    const struct connrule *n;
    u32 id = 0, want = 0, state;
    enum policy_verdict v = POLICY_ALLOW;
    switch (op) {
    case POLICY_NET_SOCKET: break;
    case POLICY_NET_CONNECT:
    case POLICY_NET_BIND:
        if (!nets) break;
        n = connrules_decide(nets, op == POLICY_NET_BIND ? CR_LISTEN : CR_CONNECT, o->proto, o->ip, o->port);
        if (n) id = n->id;
        /* Any free port: what connecting, or sending, from an unnamed socket would give, too. Listening is asked with the port it became. */
        if (!n && op == POLICY_NET_BIND && !o->port && (net_host || o->proto == CR_UDP)) break;
        /* Nobody's rule: the sandbox's own loopback is its own affair, what is beyond is denied. */
        if (n ? !n->allow : net_deny && (net_host || !connrule_ip_is_loopback(o->ip))) v = POLICY_DENY;
        break;
    case POLICY_FILE_READ: want = PR_READ; goto file;
    case POLICY_FILE_WRITE: want = PR_WRITE; goto file;
    case POLICY_FILE_EXEC: want = PR_EXEC;
file:
        if (!paths) break;
        state = pathrules_walk(paths, pathrules_start(paths), o->path);
        id = pathrules_rule(paths, state);
        if (!(effective(pathrules_perms(paths, state)) & want)) v = POLICY_DENY;
        break;
    case POLICY_SYSCALL:
        if (o->nr < sys_len[o->abi & 1]) id = sys_rule[o->abi & 1][o->nr];
        if (id) v = POLICY_DENY;
        break;
    }
    if (rule) *rule = id;
    return v;
}

/* --- files --- */

void policy_attach(struct super *sb, const char *at, bool host)
{
    sb->policy_at = xstrdup(strcmp(at, "/") ? at : "");
    if (paths && host) sb->root->policy = pathrules_walk(paths, pathrules_start(paths), at);
}

u32 policy_step(u32 state, const char *name, size_t len) { return pathrules_step(paths, state, name, len); }

/*
 * Each walk asks this for its last name, which in a directory that many rules speak of means to try all their patterns.
 * Steps never change, so each task's thread remembers a few.
 */
static u32 step_again(u32 state, const char *name, size_t len)
{
    static _Thread_local struct step { u32 from, to; u8 len; char name[39]; } steps[32];
    if (!pathrules_below(paths, state)) return state;
    if (len > sizeof(steps[0].name) || !len) return pathrules_step(paths, state, name, len);
    struct step *s = &steps[(state * 7 + len * 5 + (u8)name[0] * 3 + (u8)name[len / 2] * 11 + (u8)name[len - 1]) % ARRAY_LEN(steps)];
    if (likely(s->from == state && s->len == len && !memcmp(s->name, name, len))) return s->to;
    s->from = state;
    s->to = pathrules_step(paths, state, name, len);
    s->len = (u8)len;
    memcpy(s->name, name, len);
    return s->to;
}

/* Where d is, from its super's place: malloc'ed. The tree may change meanwhile; then the text is that of either moment. */
static char *text_of(struct dentry *d, const char *name, const char *rest)
{
    char *s = name ? rest && *rest ? xasprintf("/%s/%s", name, rest) : xasprintf("/%s", name) : xstrdup("");
    const char *at = d->sb->policy_at ? d->sb->policy_at : "";
    dentry_get(d);
    for (unsigned depth = 0; depth < 256; depth++) {
        struct dentry *up = dentry_parent_get(d);
        if (up == d) {
            dentry_put(up);
            break;
        }
        AUTO_FREE char *n = dentry_name_dup(d);
        char *longer = xasprintf("/%s%s", n, s);
        free(s);
        s = longer;
        dentry_put(d);
        d = up;
    }
    dentry_put(d);
    char *all = xasprintf("%s%s", at, s);
    free(s);
    if (!*all) {
        free(all);
        all = xstrdup("/");
    }
    return all;
}

static enum evlog_op op_of(u32 want) { return want & PR_WRITE ? EV_WRITE : want & PR_EXEC ? EV_EXEC : EV_READ; }

int policy_dentry_slow(struct dentry *d, u32 want)
{
    u32 perms = pathrules_perms(paths, d->policy), have = effective(perms);
    bool denied = (have & want) != want;
    if (evlog_on()) {
        AUTO_FREE char *text = text_of(d, NULL, NULL);
        for (u32 bit = PR_READ; bit <= PR_EXEC; bit <<= 1) {
            if (!(want & bit) || (denied && (have & bit))) continue;
            evlog_add(op_of(bit), !denied ? EV_ALLOWED : warn_only ? EV_WARNED : EV_DENIED, pathrules_rule(paths, d->policy), bit, text);
        }
    }
    if (denied && !warn_only) return (want & PR_WRITE) && !(have & PR_WRITE) && (have & PR_READ) ? -EROFS : -EACCES;
    __atomic_fetch_or(&d->policy_seen, (u8)want, __ATOMIC_RELAXED);
    return 0;
}

void policy_dentry_watched(struct dentry *d, u32 want)
{
    if (!d->sb->policy_at || !evlog_on()) return; /* a file system of the kernel's own */
    AUTO_FREE char *text = text_of(d, NULL, NULL);
    for (u32 bit = PR_READ; bit <= PR_EXEC; bit <<= 1)
        if (want & bit) evlog_add(op_of(bit), EV_ALLOWED, 0, bit, text);
}

void policy_readonly(struct dentry *d)
{
    if (!d->policy || !evlog_on()) return;
    AUTO_FREE char *text = text_of(d, NULL, NULL);
    evlog_add(EV_WRITE, EV_DENIED, pathrules_rule(paths, d->policy), PR_WRITE, text);
}

int policy_would(struct dentry *d, u32 want)
{
    if (!d->policy || warn_only) return 0;
    u32 have = effective(pathrules_perms(paths, d->policy));
    if ((have & want) == want) return 0;
    return (want & PR_WRITE) && !(have & PR_WRITE) && (have & PR_READ) ? -EROFS : -EACCES;
}

int policy_enter(struct dentry *dir, const char *name, const char *rest)
{
    u32 s = step_again(dir->policy, name, strlen(name));
    if (likely(pathrules_passable(paths, s))) return 0;
    if (evlog_on()) {
        AUTO_FREE char *text = text_of(dir, name, rest);
        evlog_add(EV_READ, warn_only ? EV_WARNED : EV_DENIED, pathrules_rule(paths, s), PR_READ, text);
    }
    return warn_only ? 0 : -EACCES;
}

#define SEEN_LOOK 0x80u

void policy_looked(struct dentry *d)
{
    if (!d->policy || (__atomic_fetch_or(&d->policy_seen, SEEN_LOOK, __ATOMIC_RELAXED) & SEEN_LOOK)) return;
    AUTO_FREE char *text = text_of(d, NULL, NULL);
    evlog_add(EV_READ, EV_ALLOWED, pathrules_rule(paths, d->policy), 0, text);
}

void policy_absent(struct dentry *dir, const char *name, const char *rest)
{
    if (!dir->sb->policy_at || dir->sb->root->policy || !evlog_on()) return;
    AUTO_FREE char *text = text_of(dir, name, rest);
    evlog_add(EV_ABSENT, EV_DENIED, 0, 0, text);
}

int policy_move(struct dentry *from, struct dentry *to, bool is_dir)
{
    if (likely(from->policy == to->policy)) return 0;
    if (!from->policy || !to->policy) return 0; /* not both under rules: then not in one file system either */
    if (pathrules_same(paths, from->policy, to->policy, is_dir)) return 0;
    if (evlog_on()) {
        AUTO_FREE char *a = text_of(from, NULL, NULL), *b = text_of(to, NULL, NULL), *both = xasprintf("%s -> %s", a, b);
        evlog_add(EV_WRITE, warn_only ? EV_WARNED : EV_DENIED, pathrules_rule(paths, to->policy), PR_WRITE, both);
    }
    return warn_only ? 0 : -EXDEV;
}

/* --- sockets --- */

static const char *address_text(const u8 ip[16], char *text, size_t size)
{
    static const u8 v4[12] = { [10] = 0xff, 0xff };
    if (!memcmp(ip, v4, 12)) snprintf(text, size, "%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
    else inet_ntop(AF_INET6, ip, text, (socklen_t)size);
    return text;
}

int policy_net(enum connrule_op op, unsigned proto, const u8 ip[16], u16 port)
{
    static const u8 any6[16], any4[16] = { [10] = 0xff, 0xff }, loop6[16] = { [15] = 1 }, loop4[16] = { [10] = 0xff, 0xff, 127, 0, 0, 1 };
    if (likely(!nets) && !__atomic_load_n(&policy_watched, __ATOMIC_RELAXED)) return 0;
    struct policy_object o = { .port = port, .proto = proto };
    u32 rule;
    /* A connection to "any" goes to the loopback. */
    if (op == CR_CONNECT) ip = !memcmp(ip, any6, 16) ? loop6 : !memcmp(ip, any4, 16) ? loop4 : ip;
    policy_dns_sync();
    /* The resolver is the sandbox's own: what may be asked is decided there. */
    static const u8 resolver[16] = NETB_DNS_ADDR;
    if (op == CR_CONNECT && port == NETB_DNS_PORT && policy_dns_on() && !memcmp(ip, resolver, 16)) return 0;
    memcpy(o.ip, ip, 16);
    bool denied = policy_check(op == CR_LISTEN ? POLICY_NET_BIND : POLICY_NET_CONNECT, &o, &rule) == POLICY_DENY;
    if (evlog_on()) {
        char text[96], addr[64];
        address_text(ip, addr, sizeof(addr));
        snprintf(text, sizeof(text), strchr(addr, ':') ? "[%s]:%u/%s" : "%s:%u/%s", addr, port, proto == CR_UDP ? "udp" : "tcp");
        evlog_add(op == CR_LISTEN ? EV_LISTEN : EV_CONNECT, !denied ? EV_ALLOWED : warn_only ? EV_WARNED : EV_DENIED, rule, proto, text);
    }
    return denied && !warn_only ? -EACCES : 0;
}

void policy_dns_event(u32 kind, u32 rule, const char *name, const u8 ip[16])
{
    char text[EVLOG_OBJECT_MAX], addr[64];
    if (kind == DNSLOG_PIN && nets) connrules_pin(nets, name, ip);
    if (!evlog_on()) return;
    bool with_ip = kind == DNSLOG_PIN || kind == DNSLOG_REBIND || kind == DNSLOG_REBIND_WARNED;
    if (with_ip) snprintf(text, sizeof(text), "%s -> %s", name, address_text(ip, addr, sizeof(addr)));
    enum evlog_verdict v = kind == DNSLOG_ALLOWED || kind == DNSLOG_PIN ? EV_ALLOWED : kind == DNSLOG_DENIED || kind == DNSLOG_REBIND ? EV_DENIED : EV_WARNED;
    evlog_add(EV_RESOLVE, v, rule, 0, with_ip ? text : name);
}

/* --- system calls, limits --- */

static _Thread_local s64 call_began;     /* each guest task has a thread of the host */

void policy_syscall_done(unsigned abi, u32 nr)
{
    if (call_began) evlog_call_time(abi, nr, call_began, clock_mono());
    call_began = 0;
}

int policy_syscall(unsigned abi, u32 nr, const char *name)
{
    evlog_count_call(abi, nr);
    if (policy_times) call_began = clock_mono();
    u32 id = nr < sys_len[abi & 1] ? sys_rule[abi & 1][nr] : 0;
    if (likely(!id)) return 0;
    evlog_add(EV_SYSCALL, warn_only ? EV_WARNED : EV_DENIED, id, 0, name ? name : "?");
    return warn_only ? 0 : -EPERM;
}

void policy_limit_hit(const char *what) { evlog_add(EV_LIMIT, EV_DENIED, 0, 0, what); }
void policy_count_tasks(unsigned now) { evlog_count_tasks(now); }

/* --- processes --- */

void policy_process_forked(s32 pid, s32 parent, const char *comm)
{
    char text[17];
    if (!policy_times) return;
    snprintf(text, sizeof(text), "%.16s", comm);
    evlog_process(EV_FORK, pid, (u32)parent, text);
}

void policy_process_execed(s32 pid, const char *file, char **argv)
{
    char text[256];
    size_t n = 0;
    if (!policy_times) return;
    n += (size_t)snprintf(text, sizeof(text), "%.200s", file);
    for (char **a = argv && *argv ? argv + 1 : NULL; a && *a && n + 1 < sizeof(text); a++)
        n += (size_t)MAX(snprintf(text + n, sizeof(text) - n, " %s", *a), 0);
    evlog_process(EV_PROGRAM, pid, 0, text);
}

void policy_process_ended(s32 pid, u32 wait_status, const char *comm)
{
    char text[17];
    if (!policy_times) return;
    snprintf(text, sizeof(text), "%.16s", comm);
    evlog_process(EV_EXIT, pid, wait_status, text);
}

/* list, ps, events: what there is and what it uses. */
#include "runtime/oci/cgroup.h"
#include "runtime/oci/create.h"
#include "runtime/oci/oci.h"
#include "runtime/oci/wire.h"
#include "sentry/base/alloc.h"
#include "sentry/control/control.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- list --- */

int oci_cmd_list(int argc, char **argv)
{
    const char *format = "table";
    bool quiet = false;
    struct oci_opt opts[] = { { "format", 'f', OPT_STR, &format }, { "quiet", 'q', OPT_FLAG, &quiet } };
    int n, r = oci_options(opts, ARRAY_LEN(opts), argc, argv, false, &n);
    if (r > 0) return 0;
    bool json = !strcmp(format, "json");
    if (!r && !json && strcmp(format, "table")) r = oci_fail("invalid format option: %s", format);
    if (r) return oci_report(OCI_EXIT_FAILED);
    json_object *all = json_object_new_array();
    DIR *d = opendir(oci.root);
    struct dirent *e;
    if (!quiet && !json) printf("%-24s %-10s %-10s %-40s %-32s OWNER\n", "ID", "PID", "STATUS", "BUNDLE", "CREATED");
    while (d && (e = readdir(d))) {
        struct oci_state s;
        if (!oci_id_valid(e->d_name) || state_load(e->d_name, &s)) continue;
        const char *status = state_status(&s);
        bool stopped = !strcmp(status, "stopped");
        json_object *o = state_json(&s, status, true), *owner = NULL;
        json_object_object_get_ex(o, "owner", &owner);
        if (quiet) puts(s.id);
        else if (!json)
            printf("%-24s %-10d %-10s %-40s %-32s %s\n", s.id, stopped ? 0 : s.pid, status, s.bundle, s.created, owner ? json_object_get_string(owner) : "");
        json_object_array_add(all, o);
        state_free(&s);
    }
    if (d) closedir(d);
    oci_error_clear();
    if (json && !quiet) puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
    return 0;
}

/* --- ps --- */

static bool is_owner(pid_t pid)
{
    char path[64], comm[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/comm", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, comm, sizeof(comm) - 1);
    close(fd);
    return n > 0 && (!strncmp(comm, "sundog-init", 11) || !strncmp(comm, "sundog-exec", 11));
}

/* Host pids: of the supervisor and of the owners of execs, each of which stands for a process inside. */
static int ps_json(const struct oci_state *s)
{
    json_object *list = json_object_new_array();
    const char *dir = s->cgroup_v2 ? s->cgroup_v2 : s->cgroup_memory;
    AUTO_FREE char *pids = dir ? cgroup_read(dir, "cgroup.procs") : NULL;
    json_object_array_add(list, json_object_new_int(s->pid));
    for (char *p = pids, *line; (line = strsep(&p, "\n"));) {
        pid_t pid = (pid_t)atoi(line);
        if (pid > 0 && pid != s->pid && is_owner(pid)) json_object_array_add(list, json_object_new_int(pid));
    }
    puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
    json_object_put(list);
    return 0;
}

static int ps_table(const char *id)
{
    static struct control_proc p[WIRE_MAX / sizeof(struct control_proc)];
    struct wire_msg m;
    int r = wire_request(id, WIRE_PS, 0, 0, &m, p, sizeof(p));
    if (r) return oci_fail("asking the sandbox for its processes: %s", strerror(-r));
    printf("%7s %7s %10s %s %10s CMD\n", "PID", "PPID", "UID", "S", "TIME");
    for (size_t i = 0; i < (size_t)m.a[2] / sizeof(p[0]); i++) {
        u64 sec = (p[i].utime_ns + p[i].stime_ns) / 1000000000u;
        p[i].comm[sizeof(p[i].comm) - 1] = p[i].args[sizeof(p[i].args) - 1] = 0;
        char *text = p[i].args[0] ? p[i].args : p[i].comm;
        for (char *c = text; *c; c++) /* the guest's bytes go to a terminal */
            if (!isprint((unsigned char)*c)) *c = '?';
        printf("%7d %7d %10u %c %4llu:%02llu:%02llu %s\n", p[i].pid, p[i].ppid, p[i].uid, isalpha((unsigned char)p[i].state) ? p[i].state : '?',
               (unsigned long long)sec / 3600, (unsigned long long)sec / 60 % 60, (unsigned long long)sec % 60, text);
    }
    return 0;
}

int oci_cmd_ps(int argc, char **argv)
{
    const char *format = "table";
    struct oci_opt opts[] = { { "format", 'f', OPT_STR, &format } };
    struct oci_state s = { 0 };
    int n, r = oci_options(opts, ARRAY_LEN(opts), argc, argv, true, &n);
    if (r > 0) return 0;
    if (!r && (n < 1 || !oci_id_valid(argv[0]))) r = oci_fail("a container id is wanted");
    if (!r) r = state_load(argv[0], &s);
    if (!r && !state_alive(&s)) r = oci_fail("container not running");
    if (!r) r = !strcmp(format, "json") ? ps_json(&s) : !strcmp(format, "table") ? ps_table(argv[0]) : oci_fail("invalid format option: %s", format);
    state_free(&s);
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}

/* --- events --- */

static bool number(const char *dir, const char *file, u64 *out)
{
    AUTO_FREE char *v = dir ? cgroup_read(dir, file) : NULL;
    if (!v || !isdigit((unsigned char)v[0])) return false;
    *out = strtoull(v, NULL, 10);
    return true;
}

static void put(json_object *o, const char *key, u64 v) { json_object_object_add(o, key, json_object_new_uint64(v)); }

static int stats_line(const struct oci_state *s)
{
    struct wire_msg m;
    struct { struct control_stats st; char pad; } a = { 0 };
    int r = wire_request(s->id, WIRE_STATS, 0, 0, &m, &a, sizeof(a));
    if (r || m.a[2] < (s32)sizeof(a.st)) return oci_fail("asking the sandbox for statistics: %s", strerror(r ? -r : EIO));
    u64 usage = a.st.mem_used, limit = a.st.mem_limit, max = 0, v;
    const char *dir = s->cgroup_v2 ? s->cgroup_v2 : s->cgroup_memory;
    number(dir, s->cgroup_v2 ? "memory.current" : "memory.usage_in_bytes", &usage);
    number(dir, s->cgroup_v2 ? "memory.max" : "memory.limit_in_bytes", &limit);
    number(dir, s->cgroup_v2 ? "memory.peak" : "memory.max_usage_in_bytes", &max);
    json_object *o = json_object_new_object(), *data = json_object_new_object(), *cpu = json_object_new_object(), *cu = json_object_new_object();
    json_object *mem = json_object_new_object(), *mu = json_object_new_object(), *pids = json_object_new_object();
    put(cu, "total", a.st.utime_ns + a.st.stime_ns);
    put(cu, "kernel", a.st.stime_ns);
    put(cu, "user", a.st.utime_ns);
    json_object_object_add(cpu, "usage", cu);
    put(mu, "limit", limit);
    put(mu, "usage", usage);
    put(mu, "max", max);
    put(mu, "failcnt", number(dir, "memory.failcnt", &v) ? v : 0);
    json_object_object_add(mem, "usage", mu);
    put(pids, "current", a.st.nr_tasks);
    json_object_object_add(data, "cpu", cpu);
    json_object_object_add(data, "memory", mem);
    json_object_object_add(data, "pids", pids);
    json_object_object_add(o, "type", json_object_new_string("stats"));
    json_object_object_add(o, "id", json_object_new_string(s->id));
    json_object_object_add(o, "data", data);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    json_object_put(o);
    return fflush(stdout) ? oci_fail("writing: %s", strerror(errno)) : 0;
}

static double seconds(const char *text)
{
    char *end;
    double v = strtod(text, &end);
    if (!strcmp(end, "ms")) v /= 1000;
    else if (!strcmp(end, "m")) v *= 60;
    else if (*end && strcmp(end, "s")) return 0;
    return v;
}

int oci_cmd_events(int argc, char **argv)
{
    const char *interval = "5s", *id;
    bool once = false;
    struct oci_opt opts[] = { { "interval", 0, OPT_STR, &interval }, { "stats", 0, OPT_FLAG, &once } };
    struct oci_state s = { 0 };
    int n, r = oci_options(opts, ARRAY_LEN(opts), argc, argv, false, &n);
    if (r > 0) return 0;
    if (!r) r = oci_one_id(n, argv, &id);
    double every = seconds(interval);
    if (!r && !(every > 0)) r = oci_fail("the interval must be greater than 0: %s", interval);
    if (!r) r = state_load(id, &s);
    if (!r && !state_alive(&s)) r = oci_fail("container not running");
    while (!r) {
        r = stats_line(&s);
        if (once || r) break;
        for (double t = 0; t < every && state_alive(&s); t += 0.1) usleep(100000);
        if (!state_alive(&s)) break;
    }
    state_free(&s);
    return r ? oci_report(OCI_EXIT_FAILED) : 0;
}

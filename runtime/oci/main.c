/* Global flags, and the choice of the verb. */
#include "runtime/oci/oci.h"
#include "runtime/options.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct oci_verb verbs[] = {
    { "create", oci_cmd_create },
    { "start", oci_cmd_start },
    { "state", oci_cmd_state },
    { "kill", oci_cmd_kill },
    { "delete", oci_cmd_delete },
    { "run", oci_cmd_run },
    { "exec", oci_cmd_exec },
    { "pause", oci_cmd_pause },
    { "resume", oci_cmd_resume },
    { "ps", oci_cmd_ps },
    { "list", oci_cmd_list },
    { "events", oci_cmd_events },
    { "update", oci_cmd_update },
    { "spec", oci_cmd_spec },
    { "features", oci_cmd_features },
    { "checkpoint", oci_cmd_checkpoint },
    { "restore", oci_cmd_restore },
};

static const char *rootless_text;
static const char *cgroup_manager;
static bool version_wanted;
static const struct oci_opt globals[] = {
    { "root", 0, OPT_STR, &oci.root }, { "log", 0, OPT_STR, &oci.log }, { "log-format", 0, OPT_STR, NULL }, { "debug", 0, OPT_FLAG, &oci.debug },
    { "systemd-cgroup", 0, OPT_FLAG, &oci.systemd_cgroup }, { "rootless", 0, OPT_STR, &rootless_text }, { "cgroup-manager", 0, OPT_STR, &cgroup_manager },
    { "platform", 0, OPT_STR, &oci.platform }, { "profile", 0, OPT_STR, &oci.profile }, { "criu", 0, OPT_STR, NULL },
    { "version", 'v', OPT_FLAG, &version_wanted },
};

static const struct oci_opt *global(const char *w, const char **value)
{
    if (w[0] != '-') return NULL;
    w += 1 + (w[1] == '-');
    size_t n = strcspn(w, "=");
    *value = w[n] ? w + n + 1 : NULL;
    for (size_t i = 0; i < ARRAY_LEN(globals); i++)
        if (strlen(globals[i].name) == n && !strncmp(globals[i].name, w, n)) return &globals[i];
    return NULL;
}

static const struct oci_verb *verb(const char *w)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strcmp(verbs[i].name, w)) return &verbs[i];
    return NULL;
}

/* `run` of a bundle, told from `run` of a command by the options that only one of them has. */
static bool run_of_bundle(int argc, char **argv)
{
    static const char *const only[] = { "--bundle", "-b", "--console-socket", "--pid-file", "--preserve-fds", "--config", "-f", "--no-pivot",
                                        "--no-new-keyring", "--no-subreaper", "--keep", "--detach", "-d" };
    for (int i = 0; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--"); i++)
        for (size_t k = 0; k < ARRAY_LEN(only); k++) {
            size_t n = strlen(only[k]);
            if (!strncmp(argv[i], only[k], n) && (!argv[i][n] || argv[i][n] == '=')) return true;
        }
    return false;
}

bool oci_wants(int argc, char **argv)
{
    const char *value;
    if (argc < 1) return false;
    if (!strcmp(argv[0], "run")) return run_of_bundle(argc - 1, argv + 1);
    if (verb(argv[0])) return true;
    if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "--help")) return false;
    return global(argv[0], &value) != NULL;
}

int oci_defaults(void)
{
    static char path[4096];
    if (oci.root) return 0;
    const char *run = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0) oci.root = "/run/sundog";
    else if (run && run[0] == '/') {
        snprintf(path, sizeof(path), "%s/sundog", run);
        oci.root = path;
    } else return oci_fail("no directory for the state of containers: XDG_RUNTIME_DIR is not set; give --root DIR");
    return 0;
}

static char *title_area;
static size_t title_size;

void oci_title(const char *const *words, unsigned n)
{
    size_t at = 0;
    if (title_size < 2) return;
    memset(title_area, 0, title_size);
    for (unsigned i = 0; i < n && at + 1 < title_size; i++) {
        size_t len = strnlen(words[i], title_size - at - 1);
        memmove(title_area + at, words[i], len);
        at += len + 1;
    }
}

/* The table that help and completions are made of, and what is parsed, are one set: a difference is a mistake of ours. */
static const struct verb_desc *running;

static bool in_table(const struct opt_desc *t, unsigned n, const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (!strcmp(t[i].name + 2, name)) return true;
    return false;
}

static void compare(const struct oci_opt *opts, unsigned n)
{
    if (!running) return;
    for (unsigned i = 0; i < n; i++)
        if (!in_table(running->opts, running->nopts, opts[i].name)) panic("option --%s of %s is not in oci_verb_table", opts[i].name, running->name);
    if (running->nopts != n + 1) panic("oci_verb_table has options of %s that it does not parse", running->name); /* --help is the one more */
}

int oci_main(int argc, char **argv)
{
    oci_options_seen = compare;
    ASSERT(oci_global_count == ARRAY_LEN(globals));
    int i = 0;
    title_area = argv[-1];
    title_size = (size_t)(argv[argc - 1] - argv[-1]) + strlen(argv[argc - 1]) + 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *value, *w = argv[i];
        if (!strcmp(w, "--help") || !strcmp(w, "-h")) {
            verb_print_containers();
            return 0;
        }
        const struct oci_opt *o = global(w, &value);
        if (!o) {
            oci_fail("flag provided but not defined: %s", w);
            return oci_report(OCI_EXIT_FAILED);
        }
        if (o->kind == OPT_FLAG) {
            if (o->to) *(bool *)o->to = !value || !strcmp(value, "true");
            continue;
        }
        if (!value && !strcmp(o->name, "rootless")) value = "true"; /* runc takes it with = only */
        else if (!value) {
            if (++i == argc) {
                oci_fail("flag needs an argument: %s", w);
                return oci_report(OCI_EXIT_FAILED);
            }
            value = argv[i];
        }
        if (!strcmp(o->name, "log-format")) {
            if (strcmp(value, "json") && strcmp(value, "text")) {
                oci_fail("invalid log-format: %s", value);
                return oci_report(OCI_EXIT_FAILED);
            }
            oci.log_json = !strcmp(value, "json");
        } else if (o->to) *(const char **)o->to = xstrdup(value); /* argv may become a title */
    }
    if (version_wanted) {
        printf("sundog version %s\nspec: %s\n", SUNDOG_VERSION, OCI_VERSION);
        return 0;
    }
    if (cgroup_manager) {
        if (!strcmp(cgroup_manager, "systemd")) oci.systemd_cgroup = true;
        else if (!strcmp(cgroup_manager, "disabled")) oci.no_cgroup = true;
        else if (strcmp(cgroup_manager, "cgroupfs")) {
            oci_fail("unknown cgroup manager specified: %s", cgroup_manager);
            return oci_report(OCI_EXIT_FAILED);
        }
    }
    const struct oci_verb *v = i < argc ? verb(argv[i]) : NULL;
    if (!v || oci_defaults()) {
        if (!v) oci_fail(i < argc ? "unknown command %s" : "a command is missing after the global options", i < argc ? argv[i] : "");
        return oci_report(OCI_EXIT_FAILED);
    }
    /* podman asks `checkpoint --help` to learn whether there is one: a verb that is not in the table says no by its status. */
    running = oci_verb_find(v->name);
    if (running && i + 1 < argc && (!strcmp(argv[i + 1], "--help") || !strcmp(argv[i + 1], "-h"))) {
        verb_print_container(v->name);
        return 0;
    }
    return v->run(argc - i - 1, argv + i + 1);
}

/* Choice of the platform by name. The table is in the order "auto" tries: fastest first. */
#include "platform/platform.h"

#include <stdio.h>
#include <string.h>

static const struct platform_ops *const platforms[] = {
    &platform_kvm_ops,
    &platform_trap_ops,
    &platform_ptrace_ops,
};

const struct platform_ops *platform_by_index(unsigned i) { return i < ARRAY_LEN(platforms) ? platforms[i] : NULL; }

/* Does it work here? With cfg it is also started. */
static int try(const struct platform_ops *ops, bool declining, const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    int rc;

    if (declining && ops->declines_early && ops->declines_early(why, why_len)) return -EOPNOTSUPP;
    if (cfg && ops->start && !(declining && ops->declines)) return ops->start(cfg, out, why, why_len);
    rc = ops->probe(why, why_len);
    if (!rc && declining && ops->declines && ops->declines(why, why_len)) rc = -EOPNOTSUPP;
    if (rc || !cfg) return rc;
    rc = ops->init(cfg, out);
    if (rc) snprintf(why, why_len, "its start failed: %s", strerror(-rc));
    return rc;
}

static const struct platform_ops *find_auto(const struct platform_config *cfg, struct platform **out, char *why, size_t why_len)
{
    char one[256];
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
        one[0] = 0;
        if (try(platforms[i], true, cfg, out, one, sizeof(one)) == 0) return platforms[i];
        if (at < why_len) {
            int n = snprintf(why + at, why_len - at, "%s%s: %s", at ? "; " : "", platforms[i]->name, one);
            at += n > 0 ? (size_t)n : 0;
        }
    }
    return NULL;
}

const struct platform_ops *platform_start(const char *name, const struct platform_config *cfg, struct platform **out, char *why,
                                          size_t why_len)
{
    char known[128] = "";

    if (why_len) why[0] = 0;
    if (strcmp(name, "auto") == 0) return find_auto(cfg, out, why, why_len);
    for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
        if (strcmp(name, platforms[i]->name) == 0) return try(platforms[i], false, cfg, out, why, why_len) == 0 ? platforms[i] : NULL;
        size_t at = strlen(known);
        snprintf(known + at, sizeof(known) - at, ", %s", platforms[i]->name);
    }
    snprintf(why, why_len, "unknown platform \"%s\" (this build has: auto%s)", name, known);
    return NULL;
}

const struct platform_ops *platform_select(const char *name, char *why, size_t why_len)
{
    return platform_start(name, NULL, NULL, why, why_len);
}

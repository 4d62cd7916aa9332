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

static const struct platform_ops *find_auto(char *why, size_t why_len)
{
    char one[256];
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
        one[0] = 0;
        if (platforms[i]->probe(one, sizeof(one)) == 0 && !(platforms[i]->declines && platforms[i]->declines(one, sizeof(one))))
            return platforms[i];
        if (at < why_len) {
            int n = snprintf(why + at, why_len - at, "%s%s: %s", at ? "; " : "", platforms[i]->name, one);
            at += n > 0 ? (size_t)n : 0;
        }
    }
    return NULL;
}

const struct platform_ops *platform_select(const char *name, char *why, size_t why_len)
{
    char known[128] = "";

    if (why_len) why[0] = 0;
    if (strcmp(name, "auto") == 0) return find_auto(why, why_len);
    for (size_t i = 0; i < ARRAY_LEN(platforms); i++) {
        if (strcmp(name, platforms[i]->name) == 0) return platforms[i]->probe(why, why_len) == 0 ? platforms[i] : NULL;
        size_t at = strlen(known);
        snprintf(known + at, sizeof(known) - at, ", %s", platforms[i]->name);
    }
    snprintf(why, why_len, "unknown platform \"%s\" (this build has: auto%s)", name, known);
    return NULL;
}

/* The profile parser on any bytes, then the automata of what it accepted. */
#include "runtime/profile/apply.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *error = NULL;
    struct profile *p = profile_parse_text((const char *)data, size, "fuzz", &error);
    free(error);
    if (!p) return 0;
    struct pathrules *paths = pathrules_new();
    struct connrules *nets = connrules_new();
    for (unsigned i = 0; i < p->nrules; i++) {
        const struct prule *r = &p->rules[i];
        free(prule_text(r));
        if (r->section == PS_FILES) pathrules_add(paths, r->object, prule_perms(r->key), i + 1);
        struct phost h;
        const char *why;
        if (r->section != PS_NET || profile_host_parse(r->object, &h, &why)) continue;
        struct connrule n = { .id = i + 1, .allow = 1, .protos = 3, .prefix = h.prefix, .lo = h.lo, .hi = h.hi, .name = h.name };
        connrules_add(nets, &n);
        free(h.name);
    }
    pathrules_walk(paths, pathrules_start(paths), "/home/a/b.c/d/e");
    for (unsigned i = 0; i < p->nrules; i++)
        if (p->rules[i].section == PS_FILES) pathrules_walk(paths, pathrules_start(paths), p->rules[i].object);
    static const unsigned char ip[16] = { 1 };
    connrules_decide(nets, CR_CONNECT, CR_TCP, ip, 443);
    connrules_decide_name(nets, "a.example.org");
    connrules_free(nets);
    pathrules_free(paths);
    profile_free(p);
    return 0;
}

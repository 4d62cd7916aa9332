/* Parsing of words by the option table, and `sundog help`. */
#include "runtime/options.h"
#include "runtime/verbs.h"
#include "sentry/base/alloc.h"
#include "sentry/base/log.h"

#include <stdio.h>
#include <string.h>

static void print_options(const struct verb_desc *v)
{
    printf("\noptions:\n");
    for (unsigned i = 0; i < v->nopts; i++) {
        const struct opt_desc *o = &v->opts[i];
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", o->name, o->value == V_REQUIRED ? " " : "", o->meta);
        printf("  %-24s %s\n", left, o->help);
    }
}

static void print_usage(const char *before, const struct verb_desc *v)
{
    printf("%ssundog %s%s%s%s\n", before, v->name, v->nopts > 1 ? " [options]" : "", *v->args ? " " : "", v->args);
}

void verb_print_help(const char *name)
{
    const struct verb_desc *v = name ? verb_find(name) : NULL;
    if (name && !v) {
        verb_print_container(name);
        return;
    }
    if (v) {
        print_usage("usage: ", v);
        printf("\n%s.\n", v->summary);
        if (v->text) printf("\n%s\n", v->text);
        if (v->nopts) print_options(v);
        if (oci_verb_find(name)) {
            printf("\nOr, of a bundle: ");
            verb_print_container(name);
        }
        return;
    }
    for (unsigned i = 0; i < verb_count; i++) print_usage(i ? "       " : "usage: ", &verb_table[i]);
    printf("\n%s\n\nverbs (`sundog help VERB` lists the options of each):\n", verb_find("run")->text);
    for (unsigned i = 0; i < verb_count; i++) printf("  %-12s %s\n", verb_table[i].name, verb_table[i].summary);
    printf("\ncontainers (the OCI runtime):\n");
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (!verb_find(oci_verb_table[i].name)) printf("  %-12s %s\n", oci_verb_table[i].name, oci_verb_table[i].summary);
    printf("\nsundog run:");
    print_options(verb_find("run"));
}

void verb_print_container(const char *name)
{
    const struct verb_desc *v = oci_verb_find(name);
    printf("usage: sundog [--root DIR] [--log FILE] [--log-format text|json] [--debug] %s%s%s%s\n\n%s.\n", v->name, v->nopts > 1 ? " [options]" : "", *v->args ? " " : "",
           v->args, v->summary);
    print_options(v);
}

void verb_print_containers(void)
{
    struct verb_desc globals = { .opts = oci_global_opts, .nopts = oci_global_count };
    printf("usage: sundog [options] VERB ...\n\nContainers (the OCI runtime); `sundog help VERB` lists the options of each:\n");
    for (unsigned i = 0; i < oci_verb_count; i++) printf("  %-12s %s\n", oci_verb_table[i].name, oci_verb_table[i].summary);
    printf("\nbefore the verb, ");
    print_options(&globals);
}

void verb_begin(struct verb_words *w, const char *verb, int argc, char **argv)
{
    *w = (struct verb_words){ .verb = verb_find(verb), .argc = argc, .argv = argv };
    ASSERT(w->verb);
}

static int unknown_option(const struct verb_words *w, const char *word, size_t len)
{
    const char *names[64];
    unsigned n = 0;
    for (; n < w->verb->nopts && n < ARRAY_LEN(names) - 1; n++) names[n] = w->verb->opts[n].name;
    names[n] = NULL;
    AUTO_FREE char *text = xstrndup(word, len);
    const char *near = options_nearest(text, names);
    if (near) fail("unknown option %s: did you mean %s? (`sundog help %s` lists all)", text, near, w->verb->name);
    else fail("unknown option %s (`sundog help %s` lists all)", text, w->verb->name);
    return VERB_BAD;
}

int verb_next(struct verb_words *w)
{
    w->val = NULL;
    if (w->i >= w->argc) return VERB_END;
    const char *word = w->argv[w->i];
    if (w->only_words || word[0] != '-' || !word[1]) {
        if (w->verb->command) return VERB_END;
        w->val = word;
        w->i++;
        return VERB_WORD;
    }
    w->i++;
    if (!strcmp(word, "--")) {
        if (w->verb->command) return VERB_END;
        w->only_words = true;
        return verb_next(w);
    }
    if (!strcmp(word, "-h")) word = "--help";
    const char *eq = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t len = eq ? (size_t)(eq - word) : strlen(word);
    const struct opt_desc *o = NULL;
    for (unsigned k = 0; k < w->verb->nopts; k++)
        if (strlen(w->verb->opts[k].name) == len && !strncmp(w->verb->opts[k].name, word, len)) o = &w->verb->opts[k];
    if (!o) return unknown_option(w, word, len);
    w->val = eq ? eq + 1 : NULL;
    if (o->value == V_NONE && w->val) {
        fail("%s takes no value (`%s` was given)", o->name, word);
        return VERB_BAD;
    }
    if (o->value == V_REQUIRED && !w->val) {
        if (w->i >= w->argc) {
            fail("%s needs a value: %s %s", o->name, o->name, o->meta);
            return VERB_BAD;
        }
        w->val = w->argv[w->i++];
    }
    if (o->id == O_HELP) {
        verb_print_help(w->verb->name);
        return VERB_HELPED;
    }
    w->opt = o;
    return (int)o->id;
}

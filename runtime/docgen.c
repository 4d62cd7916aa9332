/*
 * docgen WHAT: prints what is generated from the option table at build time: man (sundog.1), man5 (sundog-profile.5), bash, zsh or fish
 * (completions). Runs on the build machine only.
 */
#include "runtime/profile/profile.h"
#include "runtime/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "0.1.0"

/* --- man page --- */

/* roff: a backslash or dash is escaped, a leading dot or quote is not a request. */
static void roff(const char *s)
{
    for (const char *p = s; *p; p++) {
        if (*p == '\\') fputs("\\e", stdout);
        else if (*p == '-') fputs("\\-", stdout);
        else if ((*p == '.' || *p == '\'') && (p == s || p[-1] == '\n')) printf("\\&%c", *p);
        else putchar(*p);
    }
}

static void roff_text(const char *s)
{
    while (*s) {
        const char *end = strstr(s, "\n\n");
        size_t n = end ? (size_t)(end - s) : strlen(s);
        char *part = strndup(s, n);
        if (!part) exit(1);
        puts(".PP");
        roff(part);
        putchar('\n');
        free(part);
        s = end ? end + 2 : s + n;
    }
}

static void man_options(const struct opt_desc *opts, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        const struct opt_desc *o = &opts[k];
        fputs(".TP\n\\fB", stdout);
        roff(o->name);
        printf("\\fR%s\\fI", o->value == V_REQUIRED ? " " : "");
        roff(o->meta);
        puts("\\fR");
        roff(o->help);
        putchar('\n');
    }
}

static void man(void)
{
    printf(".\\\" made from the option table: runtime/option_table.c\n.TH SUNDOG 1 \"\" \"sundog %s\" \"User Commands\"\n.SH NAME\n"
           "sundog \\- run programs on a kernel of their own\n.SH SYNOPSIS\n", VERSION);
    for (unsigned i = 0; i < verb_count; i++) {
        const struct verb_desc *v = &verb_table[i];
        printf("%s.B sundog %s\n", i ? ".br\n" : "", v->name);
        if (v->nopts > 1) puts("[options]");
        roff(v->args);
        putchar('\n');
    }
    puts(".SH DESCRIPTION\nsundog is a sandbox: every system call of the programs inside is answered by a kernel that is an ordinary\n"
         "process.\n.SH VERBS");
    for (unsigned i = 0; i < verb_count; i++) {
        const struct verb_desc *v = &verb_table[i];
        printf(".SS %s\n", v->name);
        roff(v->summary);
        puts(".");
        if (v->text) roff_text(v->text);
        man_options(v->opts, v->nopts);
    }
    puts(".SH CONTAINERS\nsundog is also an OCI runtime, for engines and by hand. These options stand before the verb:");
    man_options(oci_global_opts, oci_global_count);
    for (unsigned i = 0; i < oci_verb_count; i++) {
        const struct verb_desc *v = &oci_verb_table[i];
        printf(".SS %s ", v->name);
        roff(v->args);
        putchar('\n');
        roff(v->summary);
        puts(".");
        man_options(v->opts, v->nopts);
    }
    puts(".SH SEE ALSO\n.BR sundog-profile (5)");
}

/* --- sundog-profile(5) --- */

static const char man5_about[] =
    "A profile says what a program in a sandbox may see and do; what it does not name is denied. `sundog run --profile NAME` runs by\n"
    "it. One line is one rule; # begins a comment; a word with blanks stands in double quotes. The first line is `profile 1 NAME`.\n"
    "The order of lines does not matter: the most specific rule decides, and two that are equally specific and differ are an error.\n\n"
    "Variables are written ${NAME}: HOME, CWD, USER, UID, CONFIG, CACHE, DATA, and parameters.";
static const char man5_layers[] =
    "Packaged profiles are weaker than those in /etc/sundog/profiles, these than those in ~/.config/sundog/profiles, and these than the\n"
    "command line. NAME.local of a directory is laid over NAME.profile. What follows `locked` in /etc can be tightened, not loosened.";
static const char man5_example[] = ".nf\nprofile 1 tool\ninclude system\ninclude network\n\n[files]\nrw   ${CWD}\ndeny ${CWD}/*.key\n\n[net]\n"
                                   "connect registry.example.org:443 tcp\n\n[limit]\nmemory 1G\n.fi";

static void man5(void)
{
    printf(".\\\" made from the table of the language: runtime/profile/keywords.c\n.TH SUNDOG-PROFILE 5 \"\" \"sundog %s\" \"File Formats\"\n.SH NAME\n"
           "sundog\\-profile \\- what a sandboxed program may see and do\n.SH DESCRIPTION\n", VERSION);
    roff_text(man5_about);
    int section = -1;
    for (unsigned i = 0; i < profile_nkeywords; i++) {
        const struct pkeyword *k = &profile_keywords[i];
        if ((int)k->section != section) {
            section = (int)k->section;
            if (section) printf(".SH [%s]\n", profile_sections[section]);
            else puts(".SH HEAD\nBefore the first section.");
        }
        printf(".TP\n\\fB%s\\fR \\fI", k->name);
        roff(k->args);
        puts("\\fR");
        roff(k->help);
        putchar('\n');
    }
    puts(".SH GROUPS OF SYSTEM CALLS");
    for (unsigned g = 0; profile_groups[g]; g++) {
        printf(".TP\n\\fB%s\\fR\n", profile_groups[g]);
        for (const char *const *c = profile_call_group(profile_groups[g]); *c; c++) printf("%s%s", *c, c[1] ? ", " : "\n");
    }
    puts(".SH LAYERS");
    roff_text(man5_layers);
    printf(".SH EXAMPLE\n%s\n.SH SEE ALSO\n.BR sundog (1)\n", man5_example);
}

/* --- completions --- */

static void one_line(const char *s, const char *escape)
{
    for (; *s; s++) {
        if (strchr(escape, *s)) putchar('\\');
        putchar(*s);
    }
}

static const char *bash_values(const char *how)
{
    if (!how) return "COMPREPLY=()";
    if (!strcmp(how, "@dir")) return "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$cur\"))";
    if (!strcmp(how, "@file")) return "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\"))";
    if (!strcmp(how, "@command")) return "COMPREPLY=($(compgen -c -- \"$cur\"))";
    if (!strcmp(how, "@profile")) return "compopt -o filenames; COMPREPLY=($(compgen -f -W \"$(_sundog_profiles)\" -- \"$cur\"))";
    if (!strcmp(how, "@run")) return "COMPREPLY=($(compgen -W \"$(_sundog_runs)\" -- \"$cur\"))";
    if (!strcmp(how, "@layer")) return "COMPREPLY=($(compgen -W \"$(_sundog_layers)\" -- \"$cur\"))";
    if (!strcmp(how, "@container")) return "COMPREPLY=($(compgen -W \"$(sundog list --quiet 2>/dev/null)\" -- \"$cur\"))";
    if (!strcmp(how, "@verb")) return "COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))";
    return NULL;
}

static void bash_complete(const char *how)
{
    const char *code = bash_values(how);
    if (code) printf("%s", code);
    else printf("COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))", how);
}

/* Names of the user's and the packaged profiles, runs and layers, for bash, zsh and fish. */
static const char list_functions[] =
    "_sundog_profiles() { local d f; for d in \"${XDG_CONFIG_HOME:-$HOME/.config}/sundog/profiles\" /etc/sundog/profiles "
    "/usr/local/share/sundog/profiles /usr/share/sundog/profiles; do for f in \"$d\"/*.profile; do [ -e \"$f\" ] && "
    "f=\"${f##*/}\" && echo \"${f%.profile}\"; done; done; }\n"
    "_sundog_runs() { ls \"${XDG_STATE_HOME:-$HOME/.local/state}/sundog/runs\" 2>/dev/null; }\n"
    "_sundog_layers() { ls \"${XDG_STATE_HOME:-$HOME/.local/state}/sundog/layers\" 2>/dev/null; }\n";

/* `run` is completed as that of the plain command line: an engine needs no completion. */
static bool only_container(const struct verb_desc *v)
{
    for (unsigned i = 0; i < verb_count; i++)
        if (!strcmp(verb_table[i].name, v->name)) return false;
    return true;
}

static void bash_verb(const struct verb_desc *v)
{
    printf("    %s)\n        case $prev in\n", v->name);
    for (unsigned k = 0; k < v->nopts; k++) {
        if (v->opts[k].value != V_REQUIRED) continue;
        printf("        %s) ", v->opts[k].name);
        bash_complete(v->opts[k].complete);
        puts("; return ;;");
    }
    printf("        esac\n        if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"");
    for (unsigned k = 0; k < v->nopts; k++) printf("%s%s", k ? " " : "", v->opts[k].name);
    printf("%s\" -- \"$cur\")); return; fi\n        ", v->command ? " --" : "");
    bash_complete(v->complete);
    puts("\n        ;;");
}

static void bash(void)
{
    printf("# bash completion for sundog; made from its option table\n%s_sundog() {\n    local cur prev verb i verbs=\"", list_functions);
    for (unsigned i = 0; i < verb_count; i++) printf("%s%s", i ? " " : "", verb_table[i].name);
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (only_container(&oci_verb_table[i])) printf(" %s", oci_verb_table[i].name);
    puts("\"\n    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n    COMPREPLY=()\n"
         "    if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\")); return; fi\n"
         "    for ((i = 2; i < COMP_CWORD; i++)); do\n"
         "        if [[ ${COMP_WORDS[i]} == -- ]]; then\n"
         "            declare -F _command_offset >/dev/null && { _command_offset $((i + 1)); return; }\n"
         "            compopt -o filenames; COMPREPLY=($(compgen -c -f -- \"$cur\")); return\n        fi\n    done\n    case $verb in");
    for (unsigned i = 0; i < verb_count; i++) bash_verb(&verb_table[i]);
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (only_container(&oci_verb_table[i])) bash_verb(&oci_verb_table[i]);
    puts("    esac\n}\ncomplete -F _sundog sundog");
}

static void zsh_action(const char *how)
{
    if (!how) return;
    if (!strcmp(how, "@dir")) fputs("_files -/", stdout);
    else if (!strcmp(how, "@file")) fputs("_files", stdout);
    else if (!strcmp(how, "@command")) fputs("_command_names -e", stdout);
    else if (!strcmp(how, "@profile")) fputs("_sundog_zsh_profiles", stdout);
    else if (!strcmp(how, "@run")) fputs("{compadd $(_sundog_runs)}", stdout);
    else if (!strcmp(how, "@layer")) fputs("{compadd $(_sundog_layers)}", stdout);
    else if (!strcmp(how, "@container")) fputs("{compadd $(sundog list --quiet 2>/dev/null)}", stdout);
    else if (!strcmp(how, "@verb")) fputs("{compadd $verbs}", stdout);
    else printf("(%s)", how);
}

static void zsh_described(const struct verb_desc *v)
{
    printf("    '%s:", v->name);
    one_line(v->summary, ":");
    puts("'");
}

static void zsh_verb(const struct verb_desc *v)
{
    printf("  %s) _arguments -S", v->name);
    for (unsigned k = 0; k < v->nopts; k++) {
        const struct opt_desc *o = &v->opts[k];
        printf(" \\\n    '*%s%s[", o->name, o->value == V_REQUIRED ? "=" : o->value == V_OPTIONAL ? "=-" : "");
        for (const char *s = o->help; *s; s++) {
            if (*s == '\'') fputs("'\\''", stdout);
            else {
                if (*s == '[' || *s == ']') putchar('\\');
                putchar(*s);
            }
        }
        putchar(']');
        if (o->value != V_NONE) {
            printf("%s:%s:", o->value == V_OPTIONAL ? ":" : "", "value");
            zsh_action(o->complete);
        }
        putchar('\'');
    }
    if (v->command) fputs(" \\\n    '(-):command:_command_names -e' '*::argument:_normal'", stdout);
    else if (v->complete) {
        fputs(" \\\n    '*:word:", stdout);
        zsh_action(v->complete);
        putchar('\'');
    }
    puts(" ;;");
}

static void zsh(void)
{
    printf("#compdef sundog\n# made from the option table of sundog\n%s"
           "_sundog_zsh_profiles() { compadd $(_sundog_profiles); _files }\n_sundog() {\n  local -a verbs described\n  verbs=(",
           list_functions);
    for (unsigned i = 0; i < verb_count; i++) printf("%s%s", i ? " " : "", verb_table[i].name);
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (only_container(&oci_verb_table[i])) printf(" %s", oci_verb_table[i].name);
    puts(")\n  described=(");
    for (unsigned i = 0; i < verb_count; i++) zsh_described(&verb_table[i]);
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (only_container(&oci_verb_table[i])) zsh_described(&oci_verb_table[i]);
    puts("  )\n  if (( CURRENT == 2 )); then _describe verb described; return; fi\n  local verb=$words[2]\n"
         "  shift words; (( CURRENT-- ))\n  case $verb in");
    for (unsigned i = 0; i < verb_count; i++) zsh_verb(&verb_table[i]);
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (only_container(&oci_verb_table[i])) zsh_verb(&oci_verb_table[i]);
    puts("  esac\n}\n_sundog \"$@\"");
}

static void fish_verb(const struct verb_desc *v)
{
    printf("complete -c sundog -n __fish_use_subcommand -a %s -d '", v->name);
    one_line(v->summary, "'\\");
    puts("'");
    for (unsigned k = 0; k < v->nopts; k++) {
        const struct opt_desc *o = &v->opts[k];
        bool is_long = !strncmp(o->name, "--", 2);
        printf("complete -c sundog -n '__fish_seen_subcommand_from %s' %s %s", v->name, is_long ? "-l" : "-s", o->name + (is_long ? 2 : 1));
        if (o->value == V_REQUIRED) {
            const char *c = o->complete;
            if (!c) fputs(" -x", stdout);
            else if (!strcmp(c, "@profile")) fputs(" -r -F -a '(__sundog_profiles)'", stdout);
            else if (!strcmp(c, "@run")) fputs(" -x -a '(ls ~/.local/state/sundog/runs 2>/dev/null)'", stdout);
            else if (!strcmp(c, "@layer")) fputs(" -x -a '(ls ~/.local/state/sundog/layers 2>/dev/null)'", stdout);
            else if (*c == '@') fputs(" -r -F", stdout);
            else printf(" -x -a '%s'", c);
        }
        fputs(" -d '", stdout);
        one_line(o->help, "'\\");
        puts("'");
    }
    const char *c = v->complete;
    if (!c) return;
    printf("complete -c sundog -n '__fish_seen_subcommand_from %s'", v->name);
    if (!strcmp(c, "@command")) puts(" -x -a '(__fish_complete_subcommand)'");
    else if (!strcmp(c, "@profile")) puts(" -F -a '(__sundog_profiles)'");
    else if (!strcmp(c, "@run")) puts(" -x -a '(ls ~/.local/state/sundog/runs 2>/dev/null)'");
    else if (!strcmp(c, "@layer")) puts(" -x -a '(ls ~/.local/state/sundog/layers 2>/dev/null)'");
    else if (!strcmp(c, "@container")) puts(" -x -a '(sundog list --quiet 2>/dev/null)'");
    else if (!strcmp(c, "@verb")) puts(" -x");
    else if (*c == '@') puts(" -F");
    else printf(" -x -a '%s'\n", c);
}

static void fish(void)
{
    puts("# fish completion for sundog; made from its option table\ncomplete -c sundog -f");
    puts("function __sundog_profiles\n  for d in ~/.config/sundog/profiles /etc/sundog/profiles /usr/local/share/sundog/profiles "
         "/usr/share/sundog/profiles\n    for f in $d/*.profile\n      string replace -r '.*/(.*)\\.profile$' '$1' $f\n    end\n  end\nend");
    for (unsigned i = 0; i < verb_count; i++) fish_verb(&verb_table[i]);
    for (unsigned i = 0; i < oci_verb_count; i++)
        if (only_container(&oci_verb_table[i])) fish_verb(&oci_verb_table[i]);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*print)(void); } what[] = { { "man", man }, { "man5", man5 }, { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    for (size_t i = 0; argc == 2 && i < ARRAY_LEN(what); i++)
        if (!strcmp(what[i].name, argv[1])) {
            what[i].print();
            return fflush(stdout) ? 1 : 0;
        }
    fprintf(stderr, "usage: docgen man|man5|bash|zsh|fish\n");
    return 2;
}

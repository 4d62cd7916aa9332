/* The sundog command line: one word chooses what to do. Each command lives in its own file; its words are in option_table.c. */
#include "runtime/commands.h"
#include "runtime/oci/oci.h"
#include "runtime/options.h"
#include "runtime/timing.h"
#include "runtime/verbs.h"

#include <stdio.h>
#include <string.h>

static int cmd_help(int argc, char **argv)
{
    if (argc && !verb_find(argv[0]) && !oci_verb_find(argv[0])) return fail("no verb %s (`sundog help` lists all)", argv[0]);
    verb_print_help(argc ? argv[0] : NULL);
    return 0;
}

static int cmd_version(int argc UNUSED, char **argv UNUSED)
{
    printf("sundog %s\n", SUNDOG_VERSION);
    return 0;
}

static const struct command { const char *name; int (*run)(int argc, char **argv); } commands[] = {
    { "run", cmd_run }, { "syscalls", cmd_syscalls }, { "doctor", cmd_doctor }, { "learn", cmd_learn }, { "check", cmd_check }, { "show", cmd_show }, { "explain", cmd_explain },
    { "why", cmd_why }, { "import", cmd_import }, { "report", cmd_report }, { "top", cmd_top }, { "diff", cmd_diff }, { "commit", cmd_commit }, { "discard", cmd_discard },
    { "version", cmd_version }, { "help", cmd_help }, { "--version", cmd_version }, { "--help", cmd_help }, { "-h", cmd_help },
};

int main(int argc, char **argv)
{
    timing_start();
    if (argc < 2) {
        fail("no command: try `sundog run -- COMMAND`, or `sundog help`");
        return EXIT_SANDBOX;
    }
    if (oci_wants(argc - 1, argv + 1)) {
        int r = oci_main(argc - 1, argv + 1);
        return fflush(stdout) ? fail("cannot write to standard output: %s", strerror(errno)) : r;
    }
    const char *names[ARRAY_LEN(commands) + 1];
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (!strcmp(argv[1], commands[i].name)) {
            int r = commands[i].run(argc - 2, argv + 2);
            return fflush(stdout) ? fail("cannot write to standard output: %s", strerror(errno)) : r;
        }
        names[i] = commands[i].name;
    }
    names[ARRAY_LEN(commands)] = NULL;
    const char *near = options_nearest(argv[1], names);
    if (near) return fail("unknown command %s: did you mean `sundog %s`?", argv[1], near);
    return fail("unknown command %s: to run it in a sandbox say `sundog run -- %s`", argv[1], argv[1]);
}

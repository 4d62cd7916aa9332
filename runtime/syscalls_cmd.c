/* `sundog syscalls`: the table of system calls an ABI of this build knows, printed by the sentry from its own tables. */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/spawn.h"
#include "runtime/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int cmd_syscalls(int argc, char **argv)
{
    const char *abi = "linux";
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "syscalls", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == O_ABI) abi = w.val;
        else if (id == VERB_WORD) return fail("syscalls: %s: no arguments are wanted", w.val);
        else return id == VERB_HELPED ? 0 : EXIT_SANDBOX;
    }
    int fd = spawn_find_program("sundog-sentry");
    if (fd < 0) return EXIT_SANDBOX;
    const char *args[] = { "sundog-sentry", "--print-syscalls", "--abi", abi, json ? "--json" : NULL, NULL };
    char *const no_env[] = { NULL };
    syscall(SYS_execveat, fd, "", args, no_env, AT_EMPTY_PATH);
    return fail("starting sundog-sentry: %s", strerror(errno));
}

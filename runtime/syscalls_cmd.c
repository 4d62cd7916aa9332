/* `sundog syscalls`: the table of system calls an ABI of this build knows, printed by the sentry from its own tables. */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/spawn.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int cmd_syscalls(int argc, char **argv)
{
    static const char *const known[] = { "--abi", "--json", NULL };
    const char *abi = "linux";
    bool json = false;
    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) json = true;
        else if (!strncmp(argv[i], "--abi=", 6)) abi = argv[i] + 6;
        else if (!strcmp(argv[i], "--abi")) {
            if (++i == argc) return fail("--abi needs a value: linux or solaris");
            abi = argv[i];
        } else {
            const char *near = options_nearest(argv[i], known);
            return fail("syscalls: unknown option %s%s%s%s", argv[i], near ? ": did you mean " : " (--abi linux|solaris, --json)",
                        near ? near : "", near ? "?" : "");
        }
    }
    int fd = spawn_find_program("sundog-sentry");
    if (fd < 0) return EXIT_SANDBOX;
    const char *args[] = { "sundog-sentry", "--print-syscalls", "--abi", abi, json ? "--json" : NULL, NULL };
    char *const no_env[] = { NULL };
    syscall(SYS_execveat, fd, "", args, no_env, AT_EMPTY_PATH);
    return fail("starting sundog-sentry: %s", strerror(errno));
}

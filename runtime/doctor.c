/* `sundog doctor`: the sentry tries its platforms and says what it found. */
#include "runtime/commands.h"
#include "runtime/options.h"
#include "runtime/spawn.h"
#include "runtime/verbs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int cmd_doctor(int argc, char **argv)
{
    bool json = false;
    struct verb_words w;
    int id;
    verb_begin(&w, "doctor", argc, argv);
    while ((id = verb_next(&w)) != VERB_END) {
        if (id == O_JSON) json = true;
        else if (id == VERB_WORD) return fail("doctor: %s: no arguments are wanted", w.val);
        else return id == VERB_HELPED ? 0 : EXIT_SANDBOX;
    }
    int fd = spawn_find_program("sundog-sentry");
    if (fd < 0) return EXIT_SANDBOX;
    const char *args[] = { "sundog-sentry", "--doctor", json ? "--json" : NULL, NULL };
    char *const no_env[] = { NULL };
    syscall(SYS_execveat, fd, "", args, no_env, AT_EMPTY_PATH);
    return fail("starting sundog-sentry: %s", strerror(errno));
}

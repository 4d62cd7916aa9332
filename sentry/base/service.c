#include "sentry/base/service.h"
#include <pthread.h>
#include <signal.h>

int service_start(void *(*main)(void *), void *arg, size_t stack)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS };
    pthread_t th;
    pthread_attr_t at;
    sigset_t mask, old;
    pthread_attr_init(&at);
    pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&at, stack);
    sigfillset(&mask);
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) sigdelset(&mask, faults[i]);
    pthread_sigmask(SIG_SETMASK, &mask, &old);
    int r = pthread_create(&th, &at, main, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&at);
    return -r;
}

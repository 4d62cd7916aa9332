/* Source: proc(5), sys/procfs.h: psinfo is 416 bytes; lwp directories have the thread's number. */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <fcntl.h>
#include <unistd.h>
#include <dirent.h>
#include <pthread.h>
static int p[2];
static void *wait_here(void *v) { char c; read(p[0], &c, 1); return NULL; }
int main(void)
{
    char b[2048], path[64]; pthread_t t; struct dirent *e; int n = 0, pid;
    int fd = open("/proc/self/psinfo", O_RDONLY);
    printf("%d\n", (int)read(fd, b, sizeof b));
    memcpy(&pid, b + 8, 4);
    printf("%d %s %s\n", pid == getpid(), b + 136, strrchr(b + 152, '/') + 1);
    pipe(p);
    pthread_create(&t, NULL, wait_here, NULL);
    DIR *d = opendir("/proc/self/lwp");
    while ((e = readdir(d))) n += atoi(e->d_name) > 0;
    printf("%d\n", n);
    snprintf(path, sizeof path, "/proc/%d/lwp/%d/lwpsinfo", (int)getpid(), (int)t);
    fd = open(path, O_RDONLY);
    printf("%d\n", (int)read(fd, b, sizeof b));
    memcpy(&n, b + 4, 4);
    printf("%d\n", n == (int)t);
    write(p[1], "x", 1);
    pthread_join(t, NULL);
    printf("%d\n", access(path, F_OK));
    printf("%d\n", readlink("/proc/self/path/a.out", b, sizeof b) > 0);
    return 0;
}

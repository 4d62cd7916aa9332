/* Source: fcntl(2): record locks belong to the process; F_GETLK tells who blocks; lockf(3C). */
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
#include <errno.h>
#include <sys/wait.h>
int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0600), s;
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5 };
    printf("%d %d %d\n", F_RDLCK, F_WRLCK, F_UNLCK);
    printf("%d\n", fcntl(fd, F_SETLK, &l));
    fflush(stdout);
    pid_t me = getpid();
    if (fork() == 0) {
        struct flock q = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0 };
        fcntl(fd, F_GETLK, &q);
        printf("%d %ld %ld %d\n", q.l_type == F_WRLCK, (long)q.l_start, (long)q.l_len, q.l_pid == me);
        q = (struct flock){ .l_type = F_WRLCK, .l_start = 12, .l_len = 1 };
        printf("%d", fcntl(fd, F_SETLK, &q));
        printf(" %d\n", errno == EAGAIN || errno == EACCES);
        q = (struct flock){ .l_type = F_WRLCK, .l_start = 20, .l_len = 1 };
        printf("%d\n", fcntl(fd, F_SETLK, &q));
        fflush(stdout);
        _exit(0);
    }
    wait(&s);
    l.l_type = F_UNLCK;
    printf("%d\n", fcntl(fd, F_SETLK, &l));
    lseek(fd, 0, SEEK_SET);
    printf("%d %d\n", lockf(fd, F_TLOCK, 100), lockf(fd, F_ULOCK, 100));
    return 0;
}

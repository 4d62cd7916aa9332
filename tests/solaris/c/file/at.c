/* Source: openat(2), fstatat(2), unlinkat(2), renameat(2), utimensat(2), faccessat(2); AT_FDCWD is 0xffd19553. */
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
#include <errno.h>
#include <sys/stat.h>
int main(void)
{
    struct stat st;
    mkdir("d", 0755);
    int d = open("d", O_RDONLY), fd;
    printf("%x\n", (unsigned)AT_FDCWD);
    fd = openat(d, "f", O_CREAT | O_WRONLY, 0644);
    write(fd, "abc", 3);
    printf("%d %ld\n", fstatat(d, "f", &st, 0), (long)st.st_size);
    struct timespec ts[2] = { { 1000, 0 }, { 2000, 500000000 } };
    printf("%d\n", utimensat(d, "f", ts, 0));
    fstatat(AT_FDCWD, "d/f", &st, AT_SYMLINK_NOFOLLOW);
    printf("%ld %ld.%ld\n", (long)st.st_atim.tv_sec, (long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
    printf("%d\n", renameat(d, "f", AT_FDCWD, "g"));
    printf("%d\n", faccessat(AT_FDCWD, "g", R_OK | W_OK, 0));
    printf("%d\n", symlinkat("g", d, "l"));
    printf("%d %d\n", unlinkat(d, "l", 0), unlinkat(AT_FDCWD, "d", AT_REMOVEDIR));
    printf("%d %d\n", openat(99, "x", O_RDONLY), errno == EBADF);
    return 0;
}

/* Source: open(2), creat(2), lseek(2), ftruncate(3C), stat(2), link(2), rename(2), access(2); numbers of sys/fcntl.h. */
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <errno.h>
#include <sys/stat.h>
int main(void)
{
    struct stat st; char b[16]; int fd, n;
    printf("%x %x %x %x %x %x\n", O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_CLOEXEC);
    umask(022);
    fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0666);
    printf("%d\n", fd >= 0);
    printf("%d %d\n", open("f", O_CREAT | O_EXCL, 0600), errno == EEXIST);
    write(fd, "hello world", 11);
    printf("%ld\n", (long)lseek(fd, 0, SEEK_CUR));
    n = (int)pread(fd, b, 5, 6);
    printf("%d %.5s\n", n, b);
    ftruncate(fd, 5);
    fstat(fd, &st);
    printf("%ld %o %d %d\n", (long)st.st_size, (unsigned)(st.st_mode & 07777), S_ISREG(st.st_mode), (int)st.st_nlink);
    printf("%s\n", st.st_fstype[0] ? "has a type" : "no type");
    link("f", "g");
    symlink("f", "s");
    fstat(fd, &st);
    lstat("s", &st);
    n = (int)readlink("s", b, sizeof b);
    printf("%d %d %.*s\n", S_ISLNK(st.st_mode), n, n, b);
    printf("%d %d\n", rename("g", "h"), access("g", F_OK));
    printf("%x\n", (unsigned)fcntl(fd, F_GETFL) & ~0x2000);
    fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK);
    printf("%x\n", (unsigned)fcntl(fd, F_GETFL) & ~0x2000);
    printf("%d %d\n", fcntl(fd, F_SETFD, FD_CLOEXEC), fcntl(fd, F_GETFD));
    int d = dup(fd);
    printf("%d %d\n", d > fd, dup2(fd, 50));
    printf("%d\n", truncate("f", 100000));
    stat("f", &st);
    printf("%ld\n", (long)st.st_size);
    unlink("f");
    printf("%d %d\n", stat("f", &st), errno == ENOENT);
    printf("%d %d\n", chmod("h", 0400), access("h", R_OK));
    return 0;
}

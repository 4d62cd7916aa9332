/* Source: readv(2), writev(2), pread(2), sendfile(3EXT), pathconf(2), statvfs(2). */
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/uio.h>
#include <sys/statvfs.h>
#include <sys/sendfile.h>
int main(void)
{
    char a[4], b[8]; off_t off = 2; struct statvfs v;
    int fd = open("f", O_RDWR | O_CREAT, 0600), to = open("g", O_RDWR | O_CREAT, 0600);
    struct iovec w[2] = { { "abc", 3 }, { "defgh", 5 } }, r[2] = { { a, 3 }, { b, 5 } };
    printf("%ld\n", (long)writev(fd, w, 2));
    lseek(fd, 0, SEEK_SET);
    printf("%ld %.3s %.5s\n", (long)readv(fd, r, 2), a, b);
    printf("%ld", (long)sendfile(to, fd, &off, 4));
    printf(" %ld\n", (long)off);
    printf("%ld %.4s\n", (long)pread(to, b, 8, 0), b);
    printf("%ld %ld\n", fpathconf(fd, _PC_NAME_MAX), pathconf(".", _PC_PATH_MAX));
    printf("%d %d\n", statvfs(".", &v), v.f_namemax == 255);
    return 0;
}

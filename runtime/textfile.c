#include "runtime/textfile.h"
#include "sentry/base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

char *textfile_read(const char *path, size_t max, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0) return NULL;
    if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)max) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : st.st_size > (off_t)max ? EFBIG : EINVAL;
        close(fd);
        return NULL;
    }
    char *buf = xzalloc((size_t)st.st_size + 1);
    size_t n = 0;
    ssize_t r;
    while (n < (size_t)st.st_size && (r = read(fd, buf + n, (size_t)st.st_size - n)) > 0) n += (size_t)r;
    close(fd);
    *len = n;
    return buf;
}

/* Source: ISO C 7.21, and fseek(3C), ungetc(3C), setvbuf(3C), freopen(3C), tmpfile(3C) of Solaris: positions, pushed-back bytes, end and error of streams. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    FILE *f = fopen("data", "w+");
    char b[100], own[512];
    fpos_t pos;

    for (int i = 0; i < 1000; i++) fprintf(f, "%04d\n", i);
    printf("%ld\n", ftell(f));
    fseek(f, 500, SEEK_SET);
    fgetpos(f, &pos);
    fgets(b, sizeof b, f);
    printf("%s", b);
    fseek(f, -5, SEEK_END);
    fgets(b, sizeof b, f);
    printf("%s%d", b, feof(f));
    printf(" %d %d\n", fgetc(f), feof(f) != 0);
    fsetpos(f, &pos);
    printf("%d", feof(f));
    int c = fgetc(f);
    ungetc('Z', f);
    printf(" %c%c", c, fgetc(f));
    printf("%c %ld\n", fgetc(f), ftell(f));
    fseek(f, 0, SEEK_SET);
    fputs("abcd", f);
    fseek(f, 0, SEEK_CUR);
    fgets(b, sizeof b, f);
    printf("[%s]", b);
    fgets(b, sizeof b, f);
    printf("%s", b);
    errno = 0;
    printf("%d %d\n", fseek(f, -1, SEEK_SET), errno == EINVAL);
    rewind(f);
    printf("%ld\n", ftell(f));
    fclose(f);

    f = fopen("buffered", "w");
    setvbuf(f, own, _IOFBF, sizeof own);
    fputs("kept", f);
    FILE *g = fopen("buffered", "r");
    printf("%d", fgetc(g));
    fflush(f);
    clearerr(g);
    printf(" %c", fgetc(g));
    setvbuf(f, NULL, _IOLBF, 0);
    fclose(f), fclose(g);
    f = fopen("buffered", "a");
    fputs("+more", f);
    f = freopen("buffered", "r", f);
    printf(" %s\n", fgets(b, sizeof b, f));
    errno = 0;
    printf("%d %d %d\n", fputc('x', f), ferror(f) != 0, errno == EBADF);
    fclose(f);
    f = tmpfile();
    fwrite("12345678", 4, 2, f);
    rewind(f);
    printf("%zu\n", fread(b, 3, 10, f));
    fclose(f);
    printf("%p %d\n", (void *)fopen("none/x", "r"), errno == ENOENT);
    errno = 0;
    printf("%d %d\n", fopen("data", "q") == NULL, errno == EINVAL);
    return 0;
}

/* Source: fopen(3C), fseek(3C), ungetc(3C), setvbuf(3C), freopen(3C), tmpfile(3C), fgetpos(3C). */
#include <stdio.h>
#include <string.h>
#include <errno.h>
int main(void)
{
    char b[64]; fpos_t pos;
    FILE *f = fopen("t.txt", "w+");
    fprintf(f, "one\ntwo\nthree\n");
    rewind(f);
    printf("%s", fgets(b, sizeof b, f));
    fgetpos(f, &pos);
    printf("%s", fgets(b, sizeof b, f));
    fsetpos(f, &pos);
    printf("%s", fgets(b, sizeof b, f));
    ungetc('X', f);
    printf("%c%c ftell %ld\n", getc(f), getc(f), ftell(f));
    fseek(f, -3, SEEK_END);
    printf("%zu", fread(b, 1, 10, f));
    printf(" eof %d err %d\n", !!feof(f), !!ferror(f));
    fclose(f);
    f = fopen("t.txt", "a");
    fputs("four\n", f);
    printf("append at %ld\n", ftell(f));
    fclose(f);
    f = fopen("t.txt", "rx");
    printf("%s\n", f ? "opened" : "refused");
    if (f) fclose(f);
    printf("%s\n", fopen("t.txt", "wx") ? "made" : strerror(errno));
    f = fopen("nosuch/file", "r");
    printf("%s\n", f ? "?" : strerror(errno));
    f = tmpfile();
    setvbuf(f, b, _IOFBF, sizeof b);
    fputs("tmp", f);
    rewind(f);
    printf("%c\n", getc(f));
    remove("t.txt");
    printf("%d\n", remove("t.txt"));
    return 0;
}

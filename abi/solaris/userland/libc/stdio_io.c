/* libc.so.1: characters, lines, blocks, formats. */
#include "stdio_impl.h"
#include <ctype.h>
#include <stdlib.h>
#include <unistd.h>
#undef getc_unlocked
#undef putc_unlocked

int getc_unlocked(FILE *p) { return FP(p)->rp < FP(p)->rend ? *FP(p)->rp++ : f_fill(FP(p)); }
int fgetc(FILE *p)
{
    LOCK(p);
    int c = getc_unlocked(p);
    UNLOCK(p);
    return c;
}
int getc(FILE *p) __attribute__((alias("fgetc")));
int getchar(void) { return fgetc(stdin); }
int getchar_unlocked(void) { return getc_unlocked(stdin); }
int ungetc(int c, FILE *p)
{
    struct file *f = FP(p);

    if (c == EOF || !(f->flags & F_READ))
        return EOF;
    LOCK(f);
    if (!f->buf)
        (void)f_fill(f), f->rp = f->rp ? (f->rp > f->buf ? f->rp - 1 : f->rp) : f->rp;
    if (f->rp == f->buf) { /* make room in front */
        size_t n = (size_t)(f->rend - f->rp);
        if (n + 1 > f->size && f->buf != f->small) {
            UNLOCK(f);
            return EOF;
        }
        memmove(f->buf + 1, f->rp, n < 7 || f->buf != f->small ? n : 7);
        f->rp = f->buf + 1;
        f->rend = f->rp + n;
    }
    *--f->rp = (unsigned char)c;
    f->flags &= ~(unsigned)F_EOF;
    UNLOCK(f);
    return (unsigned char)c;
}
int putc_unlocked(int c, FILE *p)
{
    unsigned char b = (unsigned char)c;
    return f_write(FP(p), &b, 1) ? b : EOF;
}
int fputc(int c, FILE *p)
{
    LOCK(p);
    int r = putc_unlocked(c, p);
    UNLOCK(p);
    return r;
}
int putc(int c, FILE *p) __attribute__((alias("fputc")));
int putchar(int c) { return fputc(c, stdout); }
int putchar_unlocked(int c) { return putc_unlocked(c, stdout); }

size_t fread(void *b, size_t s, size_t n, FILE *p)
{
    struct file *f = FP(p);
    size_t want, got = 0;

    if (!s || !n || __builtin_mul_overflow(s, n, &want))
        return 0;
    LOCK(f);
    while (got < want) {
        if (f->rp == f->rend) {
            int c = f_fill(f);
            if (c == EOF)
                break;
            ((char *)b)[got++] = (char)c;
            continue;
        }
        size_t k = (size_t)(f->rend - f->rp);
        if (k > want - got)
            k = want - got;
        memcpy((char *)b + got, f->rp, k);
        f->rp += k;
        got += k;
    }
    UNLOCK(f);
    return got / s;
}
size_t fwrite(const void *b, size_t s, size_t n, FILE *p)
{
    size_t want;

    if (!s || !n || __builtin_mul_overflow(s, n, &want))
        return 0;
    LOCK(p);
    size_t r = f_write(FP(p), b, want);
    UNLOCK(p);
    return r / s;
}
int fputs(const char *s, FILE *p)
{
    size_t n = strlen(s);

    LOCK(p);
    size_t r = f_write(FP(p), s, n);
    UNLOCK(p);
    return r == n ? (int)(n > 0x7fffffff ? 0x7fffffff : n) : EOF;
}
int puts(const char *s)
{
    LOCK(stdout);
    int r = fputs(s, stdout) == EOF || putc_unlocked('\n', stdout) == EOF ? EOF : (int)strlen(s) + 1;
    UNLOCK(stdout);
    return r;
}
char *fgets(char *b, int n, FILE *p)
{
    int i = 0, c = 0;

    if (n <= 0)
        return NULL;
    LOCK(p);
    while (i < n - 1 && (c = getc_unlocked(p)) != EOF) {
        b[i++] = (char)c;
        if (c == '\n')
            break;
    }
    UNLOCK(p);
    if (c == EOF && (!i || ferror(p)))
        return NULL;
    b[i] = 0;
    return b;
}
char *gets(char *b)
{
    char *s = b;
    int c;

    while ((c = getchar()) != EOF && c != '\n')
        *s++ = (char)c;
    *s = 0;
    return c == EOF && s == b ? NULL : b;
}
ssize_t getdelim(char **line, size_t *cap, int delim, FILE *p)
{
    size_t n = 0;
    int c = EOF;

    if (!line || !cap) {
        errno = EINVAL;
        return -1;
    }
    LOCK(p);
    while ((c = getc_unlocked(p)) != EOF) {
        if (!*line || n + 2 > *cap) {
            size_t k = *cap < 60 || !*line ? 120 : *cap * 2;
            char *b = realloc(*line, k);
            if (!b) {
                UNLOCK(p);
                return -1;
            }
            *line = b;
            *cap = k;
        }
        (*line)[n++] = (char)c;
        if (c == delim)
            break;
    }
    UNLOCK(p);
    if (!n)
        return -1;
    (*line)[n] = 0;
    return (ssize_t)n;
}
ssize_t getline(char **l, size_t *n, FILE *p) { return getdelim(l, n, '\n', p); }
int getw(FILE *p)
{
    int v;
    return fread(&v, sizeof(v), 1, p) == 1 ? v : EOF;
}
int putw(int v, FILE *p) { return fwrite(&v, sizeof(v), 1, p) == 1 ? 0 : EOF; }

/* --- formats: converted in memory, then written at once --- */

static int format(const char *f, va_list ap, char *small, size_t n, char **out)
{
    va_list again;

    va_copy(again, ap);
    *out = small;
    int k = vsnprintf(small, n, f, ap);
    if (k >= 0 && (size_t)k >= n) {
        if ((*out = malloc((size_t)k + 1)))
            k = vsnprintf(*out, (size_t)k + 1, f, again);
        else
            k = -1;
    } else if (k < 0 && errno == 75) { /* musl's EOVERFLOW */
        errno = EOVERFLOW;
    }
    va_end(again);
    return k;
}
int vfprintf(FILE *p, const char *f, va_list ap)
{
    char small[1024], *b;
    int n = format(f, ap, small, sizeof(small), &b);

    if (n > 0) {
        LOCK(p);
        if (f_write(FP(p), b, (size_t)n) != (size_t)n)
            n = -1;
        UNLOCK(p);
    }
    if (b != small)
        free(b);
    return n;
}
int vdprintf(int fd, const char *f, va_list ap)
{
    char small[1024], *b;
    int n = format(f, ap, small, sizeof(small), &b);

    for (int k = 0; k < n;) {
        ssize_t w = write(fd, b + k, (size_t)(n - k));
        if (w < 0) {
            n = -1;
            break;
        }
        k += (int)w;
    }
    if (b != small)
        free(b);
    return n;
}
int vasprintf(char **out, const char *f, va_list ap)
{
    char small[256], *b;
    int n = format(f, ap, small, sizeof(small), &b);

    if (n < 0)
        return -1;
    if (b == small)
        b = strdup(small);
    *out = b;
    return b ? n : -1;
}
int vprintf(const char *f, va_list ap) { return vfprintf(stdout, f, ap); }
#define VARIADIC(decl, call) \
    decl \
    { \
        va_list ap; \
        va_start(ap, f); \
        int result = call; \
        va_end(ap); \
        return result; \
    }
VARIADIC(int printf(const char *f, ...), vfprintf(stdout, f, ap))
VARIADIC(int fprintf(FILE *p, const char *f, ...), vfprintf(p, f, ap))
VARIADIC(int dprintf(int fd, const char *f, ...), vdprintf(fd, f, ap))
VARIADIC(int asprintf(char **out, const char *f, ...), vasprintf(out, f, ap))
VARIADIC(int snprintf(char *b, size_t n, const char *f, ...), vsnprintf(b, n, f, ap))
VARIADIC(int sprintf(char *b, const char *f, ...), vsprintf(b, f, ap))
VARIADIC(int sscanf(const char *s, const char *f, ...), vsscanf(s, f, ap))
VARIADIC(int fscanf(FILE *p, const char *f, ...), vfscanf(p, f, ap))
VARIADIC(int scanf(const char *f, ...), vfscanf(stdin, f, ap))
int vscanf(const char *f, va_list ap) { return vfscanf(stdin, f, ap); }

/* one directive of a scanf format: its text, the kind of token it reads */
static size_t directive(const char *f, char *out, int *width, char *conv, int *star)
{
    size_t n = 1, k = 1;

    out[0] = '%';
    *star = *width = 0;
    if (f[n] == '*') {
        *star = 1;
        n++;
    }
    while (isdigit((unsigned char)f[n]))
        *width = *width * 10 + f[n++] - '0';
    while (f[n] && strchr("hlLjzt", f[n]) && k < 8)
        out[k++] = f[n++];
    *conv = f[n];
    out[k++] = f[n];
    if (f[n]) {
        n++;
        if (*conv == '[') {
            if (f[n] == '^')
                out[k++] = f[n++];
            if (f[n] == ']')
                out[k++] = f[n++];
            while (f[n] && f[n] != ']' && k < 300)
                out[k++] = f[n++];
            if (f[n])
                out[k++] = f[n++];
        }
    }
    out[k] = 0;
    return n;
}
static int in_set(const char *set, int c)
{
    int neg = 0, hit = 0;
    const char *p = set;

    if (*p == '^')
        neg = 1, p++;
    for (const char *first = p; *p && (*p != ']' || p == first); p++) {
        if (p[1] == '-' && p[2] && p[2] != ']') {
            if (c >= (unsigned char)p[0] && c <= (unsigned char)p[2])
                hit = 1;
            p += 2;
        } else if ((unsigned char)*p == c) {
            hit = 1;
        }
    }
    return hit != neg;
}
/* Input is cut into the longest prefix that can belong to the item; musl's sscanf converts it. */
int vfscanf(FILE *p, const char *f, va_list ap)
{
    int done = 0, c, seen = 0;

    LOCK(p);
    while (*f) {
        if (isspace((unsigned char)*f)) {
            while ((c = getc_unlocked(p)) != EOF && isspace(c))
                seen++;
            ungetc(c, p);
            f++;
            continue;
        }
        if (*f != '%' || f[1] == '%') {
            if (*f == '%') {
                f++;
                while ((c = getc_unlocked(p)) != EOF && isspace(c))
                    seen++;
            } else {
                c = getc_unlocked(p);
            }
            if (c != (unsigned char)*f) {
                ungetc(c, p);
                if (c == EOF && !done)
                    done = EOF;
                goto out;
            }
            seen++;
            f++;
            continue;
        }
        char spec[320], conv, stack[512], *tok = stack;
        int width, star;
        size_t n = 0, cap = sizeof(stack);
        f += directive(f, spec, &width, &conv, &star);
        if (conv == 'n') {
            *va_arg(ap, int *) = seen;
            continue;
        }
        if (conv != 'c' && conv != '[' && conv != 'C') {
            while ((c = getc_unlocked(p)) != EOF && isspace(c))
                seen++;
            ungetc(c, p);
        }
        size_t max = width ? (size_t)width : conv == 'c' ? 1 : (size_t)-1;
        int point = 0, expo = 0;
        while (n < max && (c = getc_unlocked(p)) != EOF) {
            int ok = 1, low = tolower(c);
            char prev = n ? (char)tolower((unsigned char)tok[n - 1]) : 0;
            switch (conv) {
            case 'd': case 'u': ok = isdigit(c) || (!n && (c == '-' || c == '+')); break;
            case 'o': ok = (c >= '0' && c < '8') || (!n && (c == '-' || c == '+')); break;
            case 'i': case 'x': case 'X': case 'p':
                ok = isxdigit(c) || (!n && (c == '-' || c == '+')) ||
                     (low == 'x' && prev == '0' && (n == 1 || (n == 2 && !isdigit((unsigned char)tok[0]))));
                if (conv == 'i' && ok && !isdigit(c) && low != 'x' && n && !(n >= 2 && memchr(tok, 'x', n < 3 ? n : 3)) &&
                    c != '-' && c != '+')
                    ok = 0;
                break;
            case 'e': case 'f': case 'g': case 'a': case 'E': case 'F': case 'G': case 'A':
                if (isdigit(c))
                    ok = 1;
                else if (c == '-' || c == '+')
                    ok = !n || (expo && (prev == 'e' || prev == 'p'));
                else if (c == '.')
                    ok = !point && !expo, point = 1;
                else if (low == 'e' || low == 'p')
                    ok = n && (low == 'p' || !memchr(tok, 'x', n)) && !expo, expo = 1;
                else
                    ok = isalpha(c) && !expo && (isxdigit(c) ? n >= 2 : strchr("xinftyan", low) != NULL);
                break;
            case 's': case 'S': ok = !isspace(c); break;
            case '[': ok = in_set(strchr(spec, '[') + 1, c); break;
            default: break;
            }
            if (!ok) {
                ungetc(c, p);
                break;
            }
            if (n + 2 > cap) {
                char *b = tok == stack ? malloc(cap * 2) : realloc(tok, cap * 2);
                if (!b)
                    break;
                if (tok == stack)
                    memcpy(b, stack, n);
                tok = b;
                cap *= 2;
            }
            tok[n++] = (char)c;
            seen++;
        }
        tok[n] = 0;
        if (!n) {
            if (!done && (feof(p) || ferror(p)))
                done = EOF;
            if (tok != stack)
                free(tok);
            goto out;
        }
        int got = 1;
        if (conv == 'c' && !strchr(spec, 'l')) {
            if ((size_t)n < max)
                got = 0;
            if (!star)
                memcpy(va_arg(ap, char *), tok, n);
        } else if (star) {
            char star_spec[330];
            snprintf(star_spec, sizeof(star_spec), "%%*%s%%n", spec + 1);
            int used = -1;
            sscanf(tok, star_spec, &used);
            got = used >= 0;
        } else {
            got = sscanf(tok, spec, va_arg(ap, void *));
        }
        if (tok != stack)
            free(tok);
        if (got <= 0)
            goto out;
        if (!star)
            done++;
    }
out:
    UNLOCK(p);
    return done;
}

void perror(const char *s)
{
    int e = errno;

    fflush(stdout);
    fprintf(stderr, "%s%s%s\n", s ? s : "", s && *s ? ": " : "", strerror(e));
}

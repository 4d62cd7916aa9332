#ifndef _STDIO_H
#define _STDIO_H
#include <stdarg.h>
#include <sys/types.h>
typedef struct __FILE FILE;
struct __FILE { long __opaque[16]; };
extern FILE __iob[20];
#define stdin (&__iob[0])
#define stdout (&__iob[1])
#define stderr (&__iob[2])
typedef long fpos_t;
#define EOF (-1)
#define BUFSIZ 1024
#define _IOFBF 0
#define _IOLBF 0100
#define _IONBF 0004
#define FILENAME_MAX 1024
#define FOPEN_MAX 20
#define L_tmpnam 25
#define L_ctermid 9
#define TMP_MAX 17576
#define P_tmpdir "/var/tmp/"
#ifndef SEEK_SET
#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#endif
#define __PRINTF(a, b) __attribute__((format(printf, a, b)))
#define __SCANF(a, b) __attribute__((format(scanf, a, b)))
FILE *fopen(const char *, const char *);
FILE *freopen(const char *, const char *, FILE *);
FILE *fdopen(int, const char *);
FILE *popen(const char *, const char *);
int pclose(FILE *);
FILE *tmpfile(void);
FILE *fmemopen(void *, size_t, const char *);
FILE *open_memstream(char **, size_t *);
int fclose(FILE *);
int fcloseall(void);
int fflush(FILE *);
int fpurge(FILE *);
int fileno(FILE *);
int feof(FILE *);
int ferror(FILE *);
void clearerr(FILE *);
int fseek(FILE *, long, int);
int fseeko(FILE *, off_t, int);
long ftell(FILE *);
off_t ftello(FILE *);
void rewind(FILE *);
int fgetpos(FILE *, fpos_t *);
int fsetpos(FILE *, const fpos_t *);
size_t fread(void *, size_t, size_t, FILE *);
size_t fwrite(const void *, size_t, size_t, FILE *);
int fgetc(FILE *);
int getc(FILE *);
int getchar(void);
int ungetc(int, FILE *);
char *fgets(char *, int, FILE *);
char *gets(char *);
ssize_t getline(char **, size_t *, FILE *);
ssize_t getdelim(char **, size_t *, int, FILE *);
int fputc(int, FILE *);
int putc(int, FILE *);
int putchar(int);
int fputs(const char *, FILE *);
int puts(const char *);
int getw(FILE *);
int putw(int, FILE *);
int getc_unlocked(FILE *);
int getchar_unlocked(void);
int putc_unlocked(int, FILE *);
int putchar_unlocked(int);
void flockfile(FILE *);
int ftrylockfile(FILE *);
void funlockfile(FILE *);
void setbuf(FILE *, char *);
int setvbuf(FILE *, char *, int, size_t);
void setbuffer(FILE *, char *, size_t);
int setlinebuf(FILE *);
int printf(const char *, ...) __PRINTF(1, 2);
int fprintf(FILE *, const char *, ...) __PRINTF(2, 3);
int dprintf(int, const char *, ...) __PRINTF(2, 3);
int sprintf(char *, const char *, ...) __PRINTF(2, 3);
int snprintf(char *, size_t, const char *, ...) __PRINTF(3, 4);
int asprintf(char **, const char *, ...) __PRINTF(2, 3);
int vprintf(const char *, va_list) __PRINTF(1, 0);
int vfprintf(FILE *, const char *, va_list) __PRINTF(2, 0);
int vdprintf(int, const char *, va_list) __PRINTF(2, 0);
int vsprintf(char *, const char *, va_list) __PRINTF(2, 0);
int vsnprintf(char *, size_t, const char *, va_list) __PRINTF(3, 0);
int vasprintf(char **, const char *, va_list) __PRINTF(2, 0);
int scanf(const char *, ...) __SCANF(1, 2);
int fscanf(FILE *, const char *, ...) __SCANF(2, 3);
int sscanf(const char *, const char *, ...) __SCANF(2, 3);
int vscanf(const char *, va_list) __SCANF(1, 0);
int vfscanf(FILE *, const char *, va_list) __SCANF(2, 0);
int vsscanf(const char *, const char *, va_list) __SCANF(2, 0);
void perror(const char *);
int remove(const char *);
int rename(const char *, const char *);
int renameat(int, const char *, int, const char *);
char *tmpnam(char *);
char *tmpnam_r(char *);
char *tempnam(const char *, const char *);
char *ctermid(char *);
#define fopen64 fopen
#define freopen64 freopen
#define fseeko64 fseeko
#define ftello64 ftello
#define tmpfile64 tmpfile
#endif

#ifndef _DLFCN_H
#define _DLFCN_H
#define RTLD_LAZY 1
#define RTLD_NOW 2
#define RTLD_NOLOAD 4
#define RTLD_GLOBAL 0x100
#define RTLD_LOCAL 0
#define RTLD_PARENT 0x200
#define RTLD_GROUP 0x400
#define RTLD_WORLD 0x800
#define RTLD_NODELETE 0x1000
#define RTLD_FIRST 0x2000
#define RTLD_NEXT ((void *)-1L)
#define RTLD_DEFAULT ((void *)-2L)
#define RTLD_SELF ((void *)-3L)
#define RTLD_PROBE ((void *)-4L)
#define RTLD_DI_LMID 1
#define RTLD_DI_LINKMAP 2
#define RTLD_DI_SERINFO 4
#define RTLD_DI_SERINFOSIZE 5
#define RTLD_DI_ORIGIN 6
#define RTLD_DI_ARGSINFO 9
typedef struct { const char *dli_fname; void *dli_fbase; const char *dli_sname; void *dli_saddr; } Dl_info;
typedef struct { int dla_argc; char **dla_argv; char **dla_envp; void *dla_auxv; } Dl_argsinfo_t;
void *dlopen(const char *, int);
int dlclose(void *);
void *dlsym(void *, const char *);
char *dlerror(void);
int dladdr(void *, Dl_info *);
int dlinfo(void *, int, void *);
#endif

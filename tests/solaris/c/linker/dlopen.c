/* Source: dlopen(3C), dlsym(3C), dladdr(3C), dlerror(3C); RTLD_DEFAULT is -2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <link.h>
int exported = 11;
int main(void)
{
    char path[1024]; Dl_info i;
    snprintf(path, sizeof path, "%s/liblinker_dlopen.so", getenv("TOP"));
    void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    printf("%d\n", h != NULL);
    int (*f)(int) = (int (*)(int))dlsym(h, "lib_add");
    printf("%d\n", f(1));
    printf("%d\n", *(int *)dlsym(h, "lib_data"));
    printf("%d %d\n", dlsym(h, "no_such_name") == NULL, dlerror() != NULL);
    printf("%d\n", dlerror() == NULL);
    dladdr((void *)f, &i);
    printf("%s %s\n", strrchr(i.dli_fname, '/') + 1, i.dli_sname);
    printf("%d\n", dlsym(RTLD_DEFAULT, "printf") == (void *)printf);
    printf("%d\n", dlopen(path, RTLD_NOLOAD | RTLD_NOW) != NULL);
    dlclose(h);
    printf("%d\n", dlopen("/nonexistent.so", RTLD_NOW) == NULL);
    printf("%s\n", dlerror());
    dlclose(h);
    printf("%d\n", dlopen(path, RTLD_NOLOAD | RTLD_NOW) == NULL);
    return 0;
}

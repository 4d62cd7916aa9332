char *crypt(const char *, const char *);

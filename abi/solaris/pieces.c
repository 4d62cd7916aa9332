/*
 * The essential pieces of Solaris: our own dynamic linker and libraries, in one flat directory outside of the root. A name
 * in one of the system's 64-bit library directories that the root does not have is looked for there; whoever brings a
 * root of his own with these files never gets ours. Only Solaris programs' calls come here.
 * So does the one device that Linux programs have no use for: /dev/poll.
 */
#include "abi/solaris/devpoll.h"

static struct super *pieces;   /* (c) after start-up */

void sol_pieces_init(struct super *sb)
{
    super_get(sb);
    pieces = sb;
}

/* "/lib/amd64/NAME" and its kin: NAME, else NULL. */
static const char *library_name(const char *path)
{
    static const char *const dirs[] = { "/lib/amd64/", "/usr/lib/amd64/", "/lib/64/", "/usr/lib/64/" };

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        size_t n = strlen(dirs[i]);
        if (!strncmp(path, dirs[i], n) && path[n] && !strchr(path + n, '/') && path[n] != '.') return path + n;
    }
    return NULL;
}

bool sol_pieces_lookup(const char *path, struct path *out)
{
    const char *name = library_name(path);
    struct path root = { 0 };
    bool found;

    if (!pieces || !name) return false;
    root.mnt = mount_new_internal(pieces);
    if (!root.mnt) return false;
    root.dentry = pieces->root;
    dentry_get(root.dentry);
    found = vfs_walk_from(&root, name, WALK_FOLLOW | WALK_BENEATH, out) == 0;
    path_put(&root);
    return found;
}

static bool absent(int r) { return r == -ENOENT || r == -ENOTDIR; }

int sol_open(int dirfd, const char *path, const struct open_how_k *how, struct file **out)
{
    AUTO_PATH p = { 0 };
    int r = vfs_open(dirfd, path, how, out);

    if (unlikely(absent(r)) && !strcmp(path, "/dev/poll")) return sol_devpoll_open(how->flags, out);
    if (likely(!absent(r)) || (how->flags & O_CREAT) || !sol_pieces_lookup(path, &p)) return r;
    if ((how->flags & O_ACCMODE) != O_RDONLY) return -EROFS;
    return vfs_open_nocheck(&p, how->flags, out);
}

int sol_stat(int dirfd, const char *path, int at_flags, struct kstat *st)
{
    AUTO_PATH p = { 0 };
    int r = vfs_stat(dirfd, path, at_flags, st);

    return likely(!absent(r)) || !sol_pieces_lookup(path, &p) ? r : vfs_stat_path(&p, st);
}

int sol_walk(int dirfd, const char *path, u32 flags, struct path *out)
{
    int r = vfs_walk(dirfd, path, flags, out);

    return likely(!absent(r)) || !sol_pieces_lookup(path, out) ? r : 0;
}

int sol_access(int dirfd, const char *path, int mode, int at_flags)
{
    AUTO_PATH p = { 0 };
    int r = vfs_access(dirfd, path, mode, at_flags);

    if (unlikely(absent(r)) && !strcmp(path, "/dev/poll")) return mode & X_OK ? -EACCES : 0;
    if (likely(!absent(r)) || !sol_pieces_lookup(path, &p)) return r;
    return mode & W_OK ? -EROFS : 0;
}

/* What can be made before a request arrives: trees that are cloned for every container, and for one container its
 * root file system, /dev, cgroups and pipes. */
#ifndef REF_PREPARE_H
#define REF_PREPARE_H
#include "sys.h"

#include <dirent.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define MAX_CGROUPS 5
#define ATTR_SAFE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

/* Whether the inode is as it was: mode, owner, links, attributes and times of change. */
static int same_inode(const struct statx *a, const struct statx *b)
{
    return a->stx_ino == b->stx_ino && a->stx_nlink == b->stx_nlink && a->stx_mode == b->stx_mode &&
           a->stx_uid == b->stx_uid && a->stx_gid == b->stx_gid && a->stx_attributes == b->stx_attributes &&
           a->stx_ctime.tv_sec == b->stx_ctime.tv_sec && a->stx_ctime.tv_nsec == b->stx_ctime.tv_nsec &&
           a->stx_mtime.tv_sec == b->stx_mtime.tv_sec && a->stx_mtime.tv_nsec == b->stx_mtime.tv_nsec;
}

/* One container to come. */
struct shot {
    long id;
    int root_fd, dev_fd, sys_fd, mqueue_fd;
    int tasks_fd[MAX_CGROUPS];
    int null_fd, out[2], err[2];
    int pidfd, mnt_ns;
    long root_id;
};

static struct {
    int state_fd;    /* the folder of upper and work directories */
    int rootfs_fd;
    int dev_tree;    /* --dev clone: a prepared /dev, read-only for everybody */
    int mask_dir, mask_file; /* an empty read-only tmpfs, and a /dev/null */
    int own_ns, base_ns; /* the launcher's mounts; a mount namespace with nothing but an empty root */
    int kept_root;   /* --overlay reuse: a mounted root that nobody has written to, or -1 */
    long kept_id;
    struct statx kept_upper;
    int kept_dev;    /* --dev reuse: the same for /dev */
    struct statx kept_nodes[20];
    int cgroup_fd[MAX_CGROUPS];
    const char *cgroup_ctl[MAX_CGROUPS];
    int cgroups;
    char state[200], rootfs[300], cgroup_name[64];
    long next_id;
} lane;

enum { T_REQUEST, T_CHILD, T_CGROUP, T_ROOT, T_DEV, T_PROC, T_SYS, T_MASKS, T_PIVOT, T_UTS, T_CAPS, T_SECCOMP, T_EXECED,
       T_OUT, T_EXIT, T_ANSWER, C_NS, C_ROOT,
       C_CGROUP, P_ROOT, P_DEV, P_NET, P_CGROUP, T_READY, T_COUNT };
static const char *const T_NAMES[] = {"request", "clone", "cgroup", "root", "dev", "proc", "sys", "masks", "pivot", "uts+lo",
                                      "stdio+caps", "seccomp", "execed", "output", "exit", "answer",
                                      "-mnt ns", "-root", "-cgroups", "+root", "+dev", "+net", "+cgroups", "+child"};
/* In memory that a forked child shares too. */
static struct shared { double t[T_COUNT]; int failed_step, failed_errno; uint32_t go, ready; } *sh;

static void step(int which) { sh->t[which] = now_us(); }

static void (*before_death)(void);

static void die(const char *format, ...)
{
    int e = errno;
    void (*clean)(void) = before_death;
    va_list ap;
    va_start(ap, format);
    fprintf(stderr, "reference: ");
    vfprintf(stderr, format, ap);
    fprintf(stderr, ": %s\n", strerror(e));
    before_death = NULL;
    if (clean)
        clean();
    exit(1);
}

static int must(int fd, const char *what)
{
    if (fd < 0)
        die("%s", what);
    return fd;
}

/* A detached mount of a fresh file system; options are pairs that end with NULL. Returns -1 on failure. */
static int fresh_mount(const char *type, unsigned attr, const char *const *options)
{
    int fs = sys_fsopen(type);
    if (fs < 0)
        return -1;
    int ok = sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", type, 0) == 0;
    for (; ok && options && options[0]; options += 2)
        ok = options[1] ? sys_fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0) == 0
                        : sys_fsconfig(fs, FSCONFIG_SET_FLAG, options[0], NULL, 0) == 0;
    ok = ok && sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0;
    int fd = ok ? sys_fsmount(fs, attr) : -1;
    int e = errno;
    close(fs);
    errno = e;
    return fd;
}

static const char *const TMPFS_DEV[] = {"mode", "755", "size", "64k", NULL};
static const char *const TMPFS_SHM[] = {"mode", "1777", "size", "64m", NULL};
static const char *const DEVPTS[] = {"newinstance", NULL, "ptmxmode", "0666", "mode", "0620", "gid", "5", NULL};

static const struct { const char *name; unsigned major, minor; } NODES[] = {
    {"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};
static const struct { const char *target, *name; } LINKS[] = {
    {"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"},
    {"/proc/kcore", "core"}, {"pts/ptmx", "ptmx"},
};

static int fill_dev(int fd)
{
    for (size_t i = 0; i < sizeof NODES / sizeof *NODES; i++)
        if (mknodat(fd, NODES[i].name, S_IFCHR | 0666, makedev(NODES[i].major, NODES[i].minor)))
            return -1;
    for (size_t i = 0; i < sizeof LINKS / sizeof *LINKS; i++)
        if (symlinkat(LINKS[i].target, fd, LINKS[i].name))
            return -1;
    return mkdirat(fd, "pts", 0755) || mkdirat(fd, "shm", 0755) || mkdirat(fd, "mqueue", 0755) ? -1 : 0;
}

static int mount_at(int fd, int dir, const char *where)
{
    int r = fd < 0 ? -1 : sys_move_mount(fd, dir, where);
    int e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return r;
}

/* /dev with its nodes; the pts and shm of it too when `full` (needs a kernel that mounts on detached trees: 6.15). */
static int make_dev(int full)
{
    int fd = fresh_mount("tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, TMPFS_DEV);
    if (fd < 0 || fill_dev(fd))
        return -1;
    if (full && (mount_at(fresh_mount("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, DEVPTS), fd, "pts") ||
                 mount_at(fresh_mount("tmpfs", ATTR_SAFE, TMPFS_SHM), fd, "shm")))
        return -1;
    return fd;
}

/* Every inode of /dev, in a fixed order; -1 if something can't be read or a terminal is open. */
static int stat_dev(int dev, struct statx *st)
{
    static const char *const DIRS[] = {"", "pts", "pts/ptmx", "shm", "mqueue"};
    int n = 0;
    for (size_t i = 0; i < sizeof DIRS / sizeof *DIRS; i++)
        if (statx(dev, DIRS[i], AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS, &st[n++]))
            return -1;
    for (size_t i = 0; i < sizeof NODES / sizeof *NODES; i++)
        if (statx(dev, NODES[i].name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st[n++]))
            return -1;
    for (size_t i = 0; i < sizeof LINKS / sizeof *LINKS; i++)
        if (statx(dev, LINKS[i].name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &st[n++]))
            return -1;
    return n;
}

static int dev_untouched(void)
{
    struct statx now[20];
    int n = stat_dev(lane.kept_dev, now);
    for (int i = 0; i < n; i++)
        if (!same_inode(&now[i], &lane.kept_nodes[i]))
            return 0;
    return n > 0;
}

static int stat_upper(long id, struct statx *st)
{
    char path[100];
    snprintf(path, sizeof path, "%ld/upper", id);
    return statx(lane.state_fd, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, st);
}

/* Whatever a container does to its root file system leaves a trace in the upper directory: an entry, or a change of
 * the directory itself (its ctime can't be set back). No trace: the mount is as fresh as a new one. The directory is
 * read too, because before Linux 6.13 two changes within one tick of the clock have the same time. */
static int upper_untouched(long id)
{
    char path[100], entries[256];
    struct statx now;
    snprintf(path, sizeof path, "%ld/upper", id);
    int fd = openat(lane.state_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long length = fd < 0 ? -1 : syscall(SYS_getdents64, fd, entries, sizeof entries);
    if (fd >= 0)
        close(fd);
    return length == 2 * 24 && stat_upper(id, &now) == 0 && now.stx_nlink == 2 && same_inode(&now, &lane.kept_upper);
}

static int make_root_overlay(long id)
{
    char upper[300], work[300];
    snprintf(upper, sizeof upper, "%ld", id);
    if (mkdirat(lane.state_fd, upper, 0700))
        return -1;
    snprintf(upper, sizeof upper, "%ld/upper", id);
    snprintf(work, sizeof work, "%ld/work", id);
    if (mkdirat(lane.state_fd, upper, 0755) || mkdirat(lane.state_fd, work, 0700))
        return -1;
    snprintf(upper, sizeof upper, "%s/%ld/upper", lane.state, id);
    snprintf(work, sizeof work, "%s/%ld/work", lane.state, id);
    const char *options[] = {"lowerdir", lane.rootfs, "upperdir", upper, "workdir", work,
                             opt.is_volatile ? "volatile" : NULL, NULL, NULL};
    return fresh_mount("overlay", 0, options);
}

/* Removes what is in a directory; of links only the link. */
static int empty_directory(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return -1;
    int failed = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        int is_dir = e->d_type == DT_DIR;
        if (is_dir && empty_directory(fd, e->d_name))
            failed = -1;
        if (unlinkat(fd, e->d_name, is_dir ? AT_REMOVEDIR : 0))
            failed = -1;
    }
    closedir(dir);
    return failed;
}

/* Empty directories are the usual case. */
static void remove_root_overlay(long id)
{
    static const char *const LEFT[] = {"upper", "work/work/incompat/volatile/dirty", "work/work/incompat/volatile",
                                       "work/work/incompat", "work/work", "work", ""};
    char path[100];
    for (size_t i = 0; i < sizeof LEFT / sizeof *LEFT; i++) {
        snprintf(path, sizeof path, "%ld/%s", id, LEFT[i]);
        int flags = i == 1 ? 0 : AT_REMOVEDIR;
        if (unlinkat(lane.state_fd, path, flags) == 0 || errno == ENOENT)
            continue;
        if (errno != ENOTEMPTY || empty_directory(lane.state_fd, path) || unlinkat(lane.state_fd, path, flags))
            die("removing %s", path);
    }
}

static void put(int dir, const char *file, const char *text)
{
    int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        die("writing %s to %s", text, file);
    close(fd);
}

static const char *const DEVICES[] = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
                                      "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm"};

static void limit_devices(int dir)
{
    put(dir, "devices.deny", "a");
    for (size_t k = 0; k < sizeof DEVICES / sizeof *DEVICES; k++)
        put(dir, "devices.allow", DEVICES[k]);
}

static void make_cgroups(struct shot *s)
{
    char name[32];
    snprintf(name, sizeof name, "%ld", s->id);
    for (int i = 0; i < lane.cgroups; i++) {
        const char *ctl = lane.cgroup_ctl[i];
        const char *file = opt.cgroup == 1 ? "cgroup.procs" : "tasks";
        if (!strcmp(ctl, "devices") && opt.devices == 2) { /* it holds no state, so one does for all */
            s->tasks_fd[i] = must(openat(lane.cgroup_fd[i], file, O_WRONLY | O_CLOEXEC), "tasks");
            continue;
        }
        if (mkdirat(lane.cgroup_fd[i], name, 0755))
            die("mkdir cgroup %s/%s", ctl, name);
        int dir = must(openat(lane.cgroup_fd[i], name, O_PATH | O_CLOEXEC), "cgroup");
        if (!strcmp(ctl, "memory")) /* the devices list comes from the parent */
            put(dir, "memory.limit_in_bytes", "268435456");
        else if (!strcmp(ctl, "pids"))
            put(dir, "pids.max", "2048");
        s->tasks_fd[i] = must(openat(dir, file, O_WRONLY | O_CLOEXEC), "tasks");
        close(dir);
    }
}

static void remove_cgroups(struct shot *s)
{
    char name[32];
    snprintf(name, sizeof name, "%ld", s->id);
    for (int i = 0; i < lane.cgroups; i++) {
        close(s->tasks_fd[i]);
        if (!strcmp(lane.cgroup_ctl[i], "devices") && opt.devices == 2)
            continue;
        if (unlinkat(lane.cgroup_fd[i], name, AT_REMOVEDIR))
            die("rmdir cgroup %s/%s", lane.cgroup_ctl[i], name);
    }
}

/* Loopback up in the current network namespace. */
static int loopback_up(void)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int e = s < 0 ? -1 : ioctl(s, SIOCSIFFLAGS, &r);
    close(s);
    return e;
}

static void prepare_net(struct shot *s)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP))
        die("unshare");
    if (loopback_up() || sethostname("c0ffee", 6))
        die("lo");
    s->sys_fd = must(fresh_mount("sysfs", ATTR_SAFE | MOUNT_ATTR_RDONLY, NULL), "sysfs");
    s->mqueue_fd = opt.mqueue ? must(fresh_mount("mqueue", ATTR_SAFE, NULL), "mqueue") : -1;
}

/* Everything of the next container that a switch says is made ahead. */
static void prepare_shot(struct shot *s)
{
    memset(s, 0, sizeof *s);
    s->id = lane.next_id++;
    s->root_fd = s->dev_fd = s->sys_fd = s->mqueue_fd = s->mnt_ns = -1;
    s->root_id = s->id;
    if (opt.overlay == AHEAD)
        s->root_fd = must(make_root_overlay(s->id), "overlay");
    if (opt.overlay == REUSE) {
        if (lane.kept_root < 0) {
            lane.kept_root = must(make_root_overlay(s->id), "overlay");
            lane.kept_id = s->id;
            if (stat_upper(s->id, &lane.kept_upper))
                die("upper");
        }
        s->root_id = lane.kept_id;
        s->root_fd = must(sys_open_tree(lane.kept_root, "", AT_EMPTY_PATH | OPEN_TREE_CLONE), "clone of the root");
    }
    step(P_ROOT);
    if (opt.dev == AHEAD)
        s->dev_fd = must(make_dev(1), "dev");
    if (opt.dev == REUSE) {
        if (lane.kept_dev < 0) {
            lane.kept_dev = must(make_dev(1), "dev");
            must(stat_dev(lane.kept_dev, lane.kept_nodes), "dev nodes");
        }
        s->dev_fd = must(sys_open_tree(lane.kept_dev, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | AT_RECURSIVE), "clone of dev");
    }
    step(P_DEV);
    if (opt.net_ahead)
        prepare_net(s);
    step(P_NET);
    if (opt.cgroup_ahead)
        make_cgroups(s);
    step(P_CGROUP);
}
#endif

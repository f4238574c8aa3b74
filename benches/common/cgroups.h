/* The cgroups of one container as runc, crun and containers-oci make them: on v1 a directory in each hierarchy, into which a
 * process moves itself; on a machine, or in a view, with v2 alone one directory, in which the process is born. */
#ifndef BENCH_CGROUPS_H
#define BENCH_CGROUPS_H

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { MOST = 16 };

static struct {
    char point[200], dir[300];
    int cpuset;
} all[MOST];
static int count, v2;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* What is mounted, and not hidden by a later mount. */
static void find(const char *kind, unsigned magic)
{
    struct mntent *entry;
    struct statfs found;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    while (mounts && (entry = getmntent(mounts)) && count < MOST) {
        if (strcmp(entry->mnt_type, kind) || statfs(entry->mnt_dir, &found) || (unsigned)found.f_type != magic)
            continue;
        snprintf(all[count].point, sizeof all[count].point, "%s", entry->mnt_dir);
        snprintf(all[count].dir, sizeof all[count].dir, "%s/containers-cgroups-%d", entry->mnt_dir, getpid());
        all[count++].cpuset = hasmntopt(entry, "cpuset") != NULL;
    }
    if (mounts)
        endmntent(mounts);
}

static void copy(const char *from, const char *to, const char *name)
{
    char path[400], text[200];
    snprintf(path, sizeof path, "%s/%s", from, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    snprintf(path, sizeof path, "%s/%s", to, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (n < 0 || write(fd, text, (size_t)n) != n)
        die(path);
    close(fd);
}

static void make(void)
{
    for (int i = 0; i < count; i++) {
        if (mkdir(all[i].dir, 0755))
            die(all[i].dir);
        if (all[i].cpuset) { /* an empty one takes no process */
            copy(all[i].point, all[i].dir, "cpuset.cpus");
            copy(all[i].point, all[i].dir, "cpuset.mems");
        }
    }
}

/* A process of one thread that moves itself does not wait for others. */
static void enter(void)
{
    char path[400];
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/tasks", all[i].dir);
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (write(fd, "0", 1) != 1)
            _exit(1);
        close(fd);
    }
}

/* All of v1, or where there is none of it, v2. */
static int find_all(void)
{
    find("cgroup", CGROUP_SUPER_MAGIC);
    if (!count) {
        v2 = 1;
        find("cgroup2", CGROUP2_SUPER_MAGIC);
        count = count ? 1 : 0;
    }
    return count;
}

static void remove_all(void)
{
    for (int i = 0; i < count; i++)
        if (rmdir(all[i].dir))
            die(all[i].dir);
}

#endif

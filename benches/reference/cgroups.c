/* The kernel's own price for a container's cgroups on v1: a directory in each hierarchy, as runc, crun and containers-oci
 * make them, a process that moves itself into all of them, and their removal. Nothing else. On a machine with v2 alone
 * there is one directory, and the process is born in it. Needs root. */
#define _GNU_SOURCE
#include "../common/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 16, PARTS = 3 };

static struct {
    char point[200], dir[300];
    int cpuset;
} all[MOST];
static int count, v2;

static void die(const char *what)
{
    fprintf(stderr, "cgroups: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* What is mounted: all of v1, or where there is none of it, v2. */
static void find(const char *kind)
{
    struct mntent *entry;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    while (mounts && (entry = getmntent(mounts)) && count < MOST) {
        if (strcmp(entry->mnt_type, kind))
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

static void live(void)
{
    int dir = v2 ? open(all[0].dir, O_PATH | O_CLOEXEC) : -1, status;
    struct clone_args args = {.exit_signal = SIGCHLD};
    if (v2) {
        args.flags = CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)dir;
    }
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        die("clone3");
    if (pid == 0) {
        if (!v2)
            enter();
        _exit(0);
    }
    if (waitpid((pid_t)pid, &status, 0) < 0 || status)
        die("the process");
    if (v2)
        close(dir);
}

int main(int argc, char **argv)
{
    int runs = 300, json = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--runs") && i + 1 < argc)
            runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--json"))
            json = 1;
        else
            return fprintf(stderr, "usage: cgroups [--runs N] [--json]\n"), 2;
    }
    find("cgroup");
    if (!count) {
        v2 = 1;
        find("cgroup2");
        count = count ? 1 : 0;
    }
    if (runs < 1 || !count)
        return fprintf(stderr, "cgroups: no runs, or no cgroups\n"), 2;
    double *us[PARTS];
    for (int part = 0; part < PARTS; part++)
        us[part] = malloc(sizeof **us * (size_t)runs);
    double *whole = malloc(sizeof *whole * (size_t)runs);
    double cpu = 0;
    for (int i = -5; i < runs; i++) {
        if (i == 0)
            cpu = cpu_us();
        double at[PARTS + 1] = {now_us()};
        make();
        at[1] = now_us();
        live();
        at[2] = now_us();
        for (int k = 0; k < count; k++)
            if (rmdir(all[k].dir))
                die(all[k].dir);
        at[3] = now_us();
        for (int part = 0; i >= 0 && part < PARTS; part++)
            us[part][i] = at[part + 1] - at[part];
        if (i >= 0)
            whole[i] = at[PARTS] - at[0];
    }
    cpu = (cpu_us() - cpu) / runs;
    const char *names[PARTS] = {"mkdir", "enter", "rmdir"};
    for (int part = 0; part < PARTS; part++) {
        if (!json)
            bench_report(names[part], us[part], (size_t)runs, 0);
        free(us[part]);
    }
    char more[50];
    snprintf(more, sizeof more, ",\"cpu_us\":%.0f", cpu);
    bench_report_with("cgroups", whole, (size_t)runs, json, more);
    free(whole);
    return 0;
}

/* The kernel's own floor for one container: every namespace, the mounts a program needs, pivot_root, exec of a
 * static program, wait. Nothing is limited, filtered, masked or collected; no runtime can do real work faster
 * in this order of calls. `--true` puts another program in the container. Needs root. */
#define _GNU_SOURCE
#include "../common/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char *const ARGV[] = {"true", NULL};
static char *const ENVP[] = {"PATH=/", NULL};

static void die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Runs in the new namespaces; the exit code tells which step failed. */
static void child(const char *root)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
        _exit(101);
    if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) || chdir(root))
        _exit(102);
    if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
        _exit(103);
    if (mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755"))
        _exit(104);
    if (mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL))
        _exit(105);
    if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
        _exit(106);
    execve("/true", ARGV, ENVP);
    _exit(107);
}

static int run_once(const void *root)
{
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid < 0)
        die("clone3");
    if (pid == 0)
        child(root);
    int status;
    if (waitpid((pid_t)pid, &status, 0) < 0)
        die("waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* A throw-away root file system: the program and three mount points. */
static void make_root(const char *program, char *root)
{
    char cmd[512];
    if (!mkdtemp(root) || chmod(root, 0755) || chdir(root))
        die("mkdtemp");
    if (mkdir("proc", 0755) || mkdir("dev", 0755) || mkdir("sys", 0755))
        die("mkdir");
    snprintf(cmd, sizeof cmd, "cp '%s' true", program);
    if (system(cmd))
        die("copying the program");
    if (chdir("/"))
        die("chdir");
}

static void remove_root(const char *root)
{
    char path[300];
    const char *names[] = {"proc", "dev", "sys", "true", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", root, names[i]);
        if (remove(path))
            fprintf(stderr, "floor: can't remove %s: %s\n", path, strerror(errno));
    }
}

int main(int argc, char **argv)
{
    int runs = 300, json = 0;
    char program[300] = "";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--runs") && i + 1 < argc)
            runs = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--json"))
            json = 1;
        else if (!strcmp(argv[i], "--true") && i + 1 < argc)
            snprintf(program, sizeof program, "%s", argv[++i]);
        else
            return fprintf(stderr, "usage: floor [--runs N] [--json] [--true PROGRAM]\n"), 2;
    }
    if (!*program)
        beside(program, sizeof program);
    if (runs < 1 || access(program, X_OK))
        return fprintf(stderr, "floor: no runs, or no program %s\n", program), 2;

    char root[] = "/tmp/containers-floor-XXXXXX";
    make_root(program, root);
    int code = bench_runs("floor", run_once, root, runs, json);
    remove_root(root);
    return code ? 1 : 0;
}

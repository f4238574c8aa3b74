/* The kernel's own price for a container's cgroups on v1: a directory in each hierarchy, as runc, crun and containers-oci
 * make them, a process that moves itself into all of them, and their removal. Nothing else. On a machine with v2 alone
 * there is one directory, and the process is born in it. Needs root. */
#define _GNU_SOURCE
#include "../common/cgroups.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PARTS = 3 };

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
    if (runs < 1 || !find_all())
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
        remove_all();
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

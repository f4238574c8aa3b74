/* Times a command from the outside: starts it, waits for its end, again and again. `{}` in an argument becomes the
 * number of the run; an argument `;` ends a command, and several are run one after the other. Prints one JSON line of
 * samples in microseconds, with the most memory that one process among the commands and their children had. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The argument with the number in it. */
static char *numbered(const char *arg, int run)
{
    const char *at = strstr(arg, "{}");
    char *text;
    if (!at)
        return strdup(arg);
    if (asprintf(&text, "%.*s%d%s", (int)(at - arg), arg, run, at + 2) < 0)
        exit(1);
    return text;
}

static int run_once(char **argv)
{
    int status;
    pid_t pid = start(argv);
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        fprintf(stderr, "each: %s: %s\n", argv[0], strerror(errno));
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* All commands of one run; `args` has room for each argument and an end. */
static int run_all(char **argv, int count, int run, char **args)
{
    int code = 0, given = 0;
    for (int k = 0; k <= count && !code; k++) {
        if (k < count && strcmp(argv[k], ";") != 0) {
            args[given++] = numbered(argv[k], run);
            continue;
        }
        args[given] = NULL;
        code = given ? run_once(args) : 0;
        while (given)
            free(args[--given]);
    }
    return code;
}

/* The greatest resident size of a process that was waited for, and the processor time of a run, as members of the
 * report. */
static void used(char *text, size_t size, double cpu)
{
    struct rusage usage;
    if (getrusage(RUSAGE_CHILDREN, &usage))
        usage.ru_maxrss = 0;
    snprintf(text, size, ",\"peak_kib\":%ld,\"cpu_us\":%.0f", usage.ru_maxrss, cpu);
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return fprintf(stderr, "usage: each NAME RUNS WARM COMMAND [ARGUMENT...]\n"), 2;
    int runs = atoi(argv[2]), warm = atoi(argv[3]), count = argc - 4;
    double *us = malloc(sizeof *us * (size_t)(runs + 1));
    char **args = calloc((size_t)count + 1, sizeof *args);
    int out = dup(1); /* the commands' own output is not ours */
    dup2(2, 1);
    double cpu = 0;
    for (int i = -warm; i < runs; i++) {
        if (i == 0)
            cpu = cpu_us();
        double start = now_us();
        int code = run_all(argv + 4, count, i + warm, args);
        if (i >= 0)
            us[i] = now_us() - start;
        if (code)
            return fprintf(stderr, "each: %s ended with %d\n", argv[4], code), 1;
    }
    dup2(out, 1);
    char more[100];
    used(more, sizeof more, (cpu_us() - cpu) / runs);
    bench_report_with(argv[1], us, (size_t)runs, 1, more);
    free(args);
    free(us);
    return 0;
}

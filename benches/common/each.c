/* Times a command from the outside: starts it, waits for its end, again and again. `{}` in an argument becomes the
 * number of the run. Prints one JSON line of samples in microseconds. */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

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
    pid_t pid;
    int status, error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (error) {
        fprintf(stderr, "each: %s: %s\n", argv[0], strerror(error));
        return -1;
    }
    if (waitpid(pid, &status, 0) < 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
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
    for (int i = -warm; i < runs; i++) {
        for (int k = 0; k < count; k++)
            args[k] = numbered(argv[k + 4], i + warm);
        double start = now_us();
        int code = run_once(args);
        if (i >= 0)
            us[i] = now_us() - start;
        for (int k = 0; k < count; k++)
            free(args[k]);
        if (code)
            return fprintf(stderr, "each: %s ended with %d\n", argv[4], code), 1;
    }
    dup2(out, 1);
    bench_report(argv[1], us, (size_t)runs, 1);
    free(args);
    free(us);
    return 0;
}

/* Shared by the C programs of the benchmarks: a clock, percentiles and one JSON line of samples. */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static inline double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int bench_cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which `p` per cent of the samples lie; `v` must be sorted. */
static inline double bench_pct(const double *v, size_t n, double p)
{
    size_t i = (size_t)(p / 100.0 * (double)n);
    return n == 0 ? 0 : v[i < n ? i : n - 1];
}

/* Processor time of this process and of those it has waited for, in microseconds. */
static inline double cpu_us(void)
{
    double sum = 0;
    int who[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (int i = 0; i < 2; i++) {
        struct rusage u;
        if (getrusage(who[i], &u))
            exit(1);
        sum += (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
    }
    return sum;
}

/* Starts a program with as little of our own as there can be, since that counts as its time: `posix_spawn` makes 130 calls for the
 * signals alone. A program that can't be executed is one that ends with 127. */
static inline pid_t start(char *const *argv)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* One line for people on stderr, or one JSON line with every sample on stdout; `more` are further members of it. */
static inline void bench_report_with(const char *name, const double *samples, size_t n, int json, const char *more)
{
    double *v = malloc(n * sizeof *v);
    if (!v)
        exit(1);
    memcpy(v, samples, n * sizeof *v);
    qsort(v, n, sizeof *v, bench_cmp);
    if (json) {
        printf("{\"name\":\"%s\",\"unit\":\"us\",\"samples\":[", name);
        for (size_t i = 0; i < n; i++)
            printf("%s%.1f", i ? "," : "", samples[i]);
        printf("]%s}\n", more);
    } else {
        printf("%-28s runs %zu  min %.0f  p50 %.0f  p90 %.0f  p99 %.0f us\n", name, n, v[0],
               bench_pct(v, n, 50), bench_pct(v, n, 90), bench_pct(v, n, 99));
    }
    free(v);
}

static inline void bench_report(const char *name, const double *samples, size_t n, int json)
{
    bench_report_with(name, samples, n, json, "");
}

/* Ten runs to warm up, then those that count; `once` returns an exit code. Reports samples and processor time. The code of the run
 * that failed. */
static inline int bench_runs(const char *name, int (*once)(const void *), const void *arg, int runs, int json)
{
    double *us = malloc(sizeof *us * (size_t)runs), cpu = 0;
    int code = 0;
    if (!us)
        exit(1);
    for (int i = -10; i < runs && !code; i++) {
        if (i == 0)
            cpu = cpu_us();
        double t = now_us();
        code = once(arg);
        if (i >= 0)
            us[i] = now_us() - t;
    }
    if (code) {
        fprintf(stderr, "%s: a run failed with %d\n", name, code);
    } else {
        char more[50];
        snprintf(more, sizeof more, ",\"cpu_us\":%.0f", (cpu_us() - cpu) / runs);
        bench_report_with(name, us, (size_t)runs, json, more);
    }
    free(us);
    return code;
}

/* The path of the program `true`, which lies beside this one. */
static inline void beside(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - sizeof "true");
    if (n < 0) {
        perror("readlink");
        exit(1);
    }
    path[n] = 0;
    strcpy(strrchr(path, '/') + 1, "true");
}

#endif

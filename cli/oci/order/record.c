/* Which functions of a program are executed: runs a command step by step, with the processes that it makes, and prints each
 * address of its code that was reached, once, for `scripts/order-oci.sh`.
 *
 * usage: record FIRST LAST PROGRAM [ARGUMENT...]
 *
 * FIRST and LAST, in hexadecimal, are where its code begins and ends. The command's own output is left alone; the addresses go
 * to descriptor 3. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Whether a process has executed another program, whose addresses mean something else. */
static int left(pid_t pid, const char *program)
{
    char path[40];
    struct stat is, was;
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    return stat(path, &is) || stat(program, &was) || is.st_ino != was.st_ino || is.st_dev != was.st_dev;
}

/* Makes one more step, with the signal that stopped the process if it was for the process. */
static void step(pid_t pid, int status, int first)
{
    int signal = WSTOPSIG(status);
    if (first || signal == SIGTRAP || signal == SIGSTOP)
        signal = 0;
    ptrace(PTRACE_SINGLESTEP, pid, NULL, (void *)(intptr_t)signal);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return fprintf(stderr, "usage: record FIRST LAST PROGRAM [ARGUMENT...]\n"), 2;
    uint64_t first = strtoull(argv[1], NULL, 16), last = strtoull(argv[2], NULL, 16);
    unsigned char *reached = calloc(last > first ? last - first : 1, 1);
    FILE *out = fdopen(3, "w");
    if (!reached || !out)
        return perror("record"), 2;
    pid_t command = fork();
    if (command == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(argv[3], argv + 3);
        _exit(127);
    }
    int status, code = 2;
    if (command < 0 || waitpid(command, &status, 0) < 0)
        return perror("record"), 2;
    long all = PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    ptrace(PTRACE_SETOPTIONS, command, NULL, (void *)all);
    step(command, status, 1);
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        if (!WIFSTOPPED(status)) {
            if (pid != command)
                continue;
            code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
            break;
        }
        if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8) && left(pid, argv[3])) {
            ptrace(PTRACE_DETACH, pid, NULL, NULL);
            continue;
        }
        struct user_regs_struct registers;
        if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) == 0) {
            uint64_t at = registers.rip;
            if (at >= first && at < last && !reached[at - first]) {
                reached[at - first] = 1;
                fprintf(out, "%llx\n", (unsigned long long)at);
            }
        }
        step(pid, status, 0);
    }
    return fclose(out) == 0 ? code : 2;
}

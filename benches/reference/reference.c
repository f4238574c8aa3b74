/* The same work as our default isolation, done as well as we know how, without the rest of a library: a measure for
 * it, and the place where tricks are tried. Each trick has a switch; NOTES.md says what each gives. Needs root. */
#define _GNU_SOURCE
#include "../common/bench.h"
#include "options.h"
#include "child.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static char *child_stack;
#define STACK_SIZE (64 * 1024)

static void open_pipes(struct shot *s)
{
    s->null_fd = must(open("/dev/null", O_RDONLY | O_CLOEXEC), "/dev/null");
    if (pipe2(s->out, O_CLOEXEC) || pipe2(s->err, O_CLOEXEC))
        die("pipe");
}

/* The container's first process, in its namespaces. */
static void start_child(struct shot *s)
{
    struct clone_args a = {.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_PIDFD, .exit_signal = SIGCHLD,
                           .pidfd = (uint64_t)(uintptr_t)&s->pidfd};
    if (!opt.net_ahead)
        a.flags |= CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (opt.shape != SHAPE_FORK) {
        a.flags |= opt.shape == SHAPE_VFORK ? CLONE_VM | CLONE_VFORK : CLONE_VM;
        a.stack = (uint64_t)(uintptr_t)child_stack;
        a.stack_size = STACK_SIZE;
    }
    /* the child copies the mounts of the namespace that its parent is in: a small one is copied fast */
    if (opt.beneath && setns(lane.base_ns, CLONE_NEWNS))
        die("setns");
    if (clone3_call(&a, child_main, s) < 0)
        die("clone3");
    if (opt.beneath && setns(lane.own_ns, CLONE_NEWNS))
        die("setns back");
    if (opt.hold && sh->failed_step == 0)
        s->mnt_ns = ioctl(s->pidfd, PIDFD_GET_MNT_NAMESPACE, 0); /* fails if it is gone already: nothing to hold */
    close(s->null_fd);
    close(s->out[1]);
    close(s->err[1]);
}

/* Reads both streams to their ends, then the exit code. */
static int collect(struct shot *s)
{
    struct pollfd p[2] = {{.fd = s->out[0], .events = POLLIN}, {.fd = s->err[0], .events = POLLIN}};
    char buf[4096];
    for (int open_ends = 2; open_ends > 0;) {
        if (poll(p, 2, -1) < 0)
            die("poll");
        for (int i = 0; i < 2; i++)
            if (p[i].revents && read(p[i].fd, buf, sizeof buf) <= 0) {
                close(p[i].fd);
                p[i].fd = -1;
                open_ends--;
            }
    }
    step(T_OUT);
    siginfo_t info;
    if (waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED))
        die("waitid");
    return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

static void make_ready(struct shot *s)
{
    prepare_shot(s);
    if (opt.shape != SHAPE_SPARE)
        return;
    open_pipes(s);
    sh->go = sh->ready = 0;
    start_child(s);
    while (__atomic_load_n(&sh->ready, __ATOMIC_ACQUIRE) == 0)
        syscall(SYS_futex, &sh->ready, FUTEX_WAIT, 0, NULL, NULL, 0);
    if (sh->failed_step)
        die("step %s (%s)", T_NAMES[sh->failed_step], strerror(sh->failed_errno));
    if (opt.hold && s->mnt_ns < 0)
        die("no mount namespace to hold");
}

static void run_shot(struct shot *s)
{
    if (opt.shape == SHAPE_SPARE) {
        __atomic_store_n(&sh->go, 1, __ATOMIC_RELEASE);
        syscall(SYS_futex, &sh->go, FUTEX_WAKE, 1, NULL, NULL, 0);
    } else {
        if (!opt.cgroup_ahead)
            make_cgroups(s);
        open_pipes(s);
        start_child(s);
    }
    step(T_EXECED);
    int code = collect(s);
    step(T_EXIT);
    if (sh->failed_step)
        errno = sh->failed_errno, die("step %s", T_NAMES[sh->failed_step]);
    if (code)
        errno = 0, die("exit code %d", code);
    step(T_ANSWER);
}

static void close_if(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void clean_shot(struct shot *s)
{
    close_if(s->root_fd);
    close_if(s->dev_fd);
    close_if(s->sys_fd);
    close_if(s->mqueue_fd);
    close_if(s->mnt_ns);
    close(s->pidfd);
    step(C_NS);
    if (opt.dev == REUSE && !dev_untouched()) {
        close(lane.kept_dev);
        lane.kept_dev = -1;
    }
    if (opt.overlay == REUSE && !upper_untouched(s->root_id)) {
        close(lane.kept_root);
        lane.kept_root = -1;
    }
    if (opt.overlay && lane.kept_root < 0)
        remove_root_overlay(s->root_id);
    step(C_ROOT);
    remove_cgroups(s);
    step(C_CGROUP);
}

#include "lanes.h"

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    return run_lanes();
}

/* Thin wrappers over the calls that libc lacks, and clone3 with a stack of its own. */
#ifndef REF_SYS_H
#define REF_SYS_H
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h> /* not linux/mount.h: the two clash */
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PIDFD_GET_MNT_NAMESPACE
#define PIDFD_GET_MNT_NAMESPACE _IO(0xFF, 3)
#endif

static inline int sys_fsopen(const char *type) { return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC); }
static inline int sys_fsconfig(int fd, unsigned cmd, const char *key, const void *value, int aux)
{
    return (int)syscall(SYS_fsconfig, fd, cmd, key, value, aux);
}
static inline int sys_fsmount(int fd, unsigned attr)
{
    return (int)syscall(SYS_fsmount, fd, FSMOUNT_CLOEXEC, attr);
}
static inline int sys_open_tree(int dir, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, dir, path, flags | OPEN_TREE_CLOEXEC);
}
static inline int sys_move_mount(int from, int to_dir, const char *to)
{
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*to ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
    return (int)syscall(SYS_move_mount, from, "", to_dir, to, flags);
}
static inline int sys_mount_setattr(int fd, const char *path, unsigned flags, uint64_t set, uint64_t clr,
                                    uint64_t propagation)
{
    struct mount_attr a = {.attr_set = set, .attr_clr = clr, .propagation = propagation};
    return (int)syscall(SYS_mount_setattr, fd, path, flags, &a, sizeof a);
}

/* clone3; the child calls fn(arg) on the given stack and never comes back from it. */
static inline long clone3_call(struct clone_args *a, void (*fn)(void *), void *arg)
{
    long ret;
#if defined(__x86_64__)
    register void (*r8)(void *) __asm__("r8") = fn;
    register void *r9 __asm__("r9") = arg;
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tmov %%r9, %%rdi\n\t"
                     "call *%%r8\n\tud2\n1:"
                     : "=a"(ret)
                     : "0"((long)SYS_clone3), "D"(a), "S"(sizeof *a), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)a;
    register long x1 __asm__("x1") = sizeof *a;
    register void (*x9)(void *) __asm__("x9") = fn;
    register void *x10 __asm__("x10") = arg;
    __asm__ volatile("svc #0\n\tcbnz x0, 1f\n\tmov x29, xzr\n\tmov x0, x10\n\tblr x9\n\tbrk #1\n1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
                     : "memory");
    ret = x0;
#endif
    if (ret < 0) {
        errno = (int)-ret;
        ret = -1;
    }
    return ret;
}
#endif

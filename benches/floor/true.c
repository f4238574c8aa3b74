/* The smallest program there is: it exits with 0, or with the number of its arguments after the first
 * (so that a test can see that arguments arrive). No libc, no start-up work. */
#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n"
        "mov (%rsp), %rdi\n"
        "sub $1, %rdi\n"
        "mov $231, %eax\n" /* exit_group */
        "syscall\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n"
        "ldr x0, [sp]\n"
        "sub x0, x0, #1\n"
        "mov x8, #94\n" /* exit_group */
        "svc #0\n");
#else
#error "add _start for this machine"
#endif

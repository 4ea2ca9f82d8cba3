/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The system calls of polling, serving, logging and ending; nothing else is left. What is not
 * listed fails with EPERM: a C library that one day asks for more must not end the exporter at
 * night. Calls are listed by name, as no two versions of libseccomp and no two architectures know
 * the same ones.
 */
#include "privilege_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char *const calls[] = {
	/* memory; mmap, mprotect: below */
	"brk",
	"madvise",
	"mremap",
	"munmap",
	/* threads and time */
	"adjtimex", /* some C libraries', for clock_adjtime below */
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"exit",
	"exit_group",
	"futex",
	"getcpu",
	"getpid",
	"getrandom",
	"gettid",
	"gettimeofday",
	"membarrier",
	"nanosleep",
	"restart_syscall",
	"rseq",
	"sched_getaffinity",
	"sched_yield",
	"set_robust_list",
	"time",
	/* signals that come */
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"sigaltstack",
	/* who and where we are */
	"capget", /* what a child tries asks for its own */
	"geteuid",
	"getegid",
	"getgid",
	"getuid",
	"getrusage",
	"sysinfo",
	"times",
	"uname",
	/* descriptors */
	"close",
	"eventfd2",
	"lseek",
	"poll",
	"ppoll",
	"pread64",
	"read",
	"readv",
	"write",
	"writev",
	/* files; open, openat: below */
	"access",
	"faccessat",
	"faccessat2",
	"fstat",
	"fstat64",
	"fstatat64",
	"fstatfs",
	"getdents64",
	"lstat",
	"newfstatat",
	"readlink",
	"readlinkat",
	"stat",
	"statx",
	/* sockets; sendto, sendmsg, setsockopt: below */
	"accept",
	"accept4",
	"getpeername",
	"getsockname",
	"getsockopt",
	"recvfrom",
	"recvmsg",
	"shutdown",
};

/* Allowed when (argument & mask) == value. `mask` 0: any. */
struct when {
	unsigned int argument;
	uint64_t mask, value;
};

struct rule {
	const char *call;
	struct when when[2];
};

#define INT 0xffffffffULL /* the kernel looks at the lower half of an int */
/* O_TMPFILE asks for writing as well; O_LARGEFILE, O_CLOEXEC and the like do not matter */
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)
/* BPF_MAP_LOOKUP_BATCH and others: they are in the headers of every supported system */
#define BPF(command)                                                                               \
	{                                                                                          \
		"bpf",                                                                             \
		{                                                                                  \
			{                                                                          \
				0, INT, command                                                    \
			}                                                                          \
		}                                                                                  \
	}

static const struct rule rules[] = {
	BPF(BPF_OBJ_GET_INFO_BY_FD), /* what the kernel left out of a program's runs */
	BPF(BPF_MAP_LOOKUP_ELEM),
	BPF(BPF_MAP_UPDATE_ELEM), /* the list of pods */
	BPF(BPF_MAP_DELETE_ELEM),
	BPF(BPF_MAP_GET_NEXT_KEY),
	BPF(BPF_MAP_LOOKUP_AND_DELETE_ELEM),
	BPF(BPF_MAP_LOOKUP_BATCH),
	BPF(BPF_ITER_CREATE),
	{ "open", { { 1, WRITING, 0 } } },
	{ "openat", { { 2, WRITING, 0 } } },
	{ "mmap", { { 2, PROT_EXEC, 0 } } },
	{ "mprotect", { { 2, PROT_EXEC, 0 } } },
	/* a thread, never a process; clone3 hides its flags in memory and the C library does
	   without */
	{ "clone", { { 0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM } } },
	{ "prctl", { { 0, INT, PR_SET_NAME } } },
	{ "prlimit64", { { 0, INT, 0 }, { 2, ~0ULL, 0 } } }, /* ask for our own limits */
	{ "fcntl", { { 1, INT, F_GETFD } } },
	{ "fcntl", { { 1, INT, F_SETFD } } },
	{ "fcntl", { { 1, INT, F_GETFL } } },
	{ "fcntl", { { 1, INT, F_SETFL } } },
	/* how the clock is steered, to be read: what would change it takes CAP_SYS_TIME, and the
	   call's modes lie in memory */
	{ "clock_adjtime", { { 0, INT, CLOCK_REALTIME } } },
	{ "clock_adjtime64", { { 0, INT, CLOCK_REALTIME } } },
	{ "ioctl", { { 1, INT, FIONBIO } } },
	{ "ioctl", { { 1, INT, TCGETS } } },
	{ "ioctl", { { 1, INT, SIOCGIFNAME } } }, /* interface names, by the socket of label.c */
	/* answers go to who is connected: no address, and no connection by the first byte */
	{ "sendto", { { 4, ~0ULL, 0 }, { 3, MSG_FASTOPEN, 0 } } },
	{ "sendmsg", { { 2, MSG_FASTOPEN, 0 } } },
	{ "setsockopt", { { 1, INT, IPPROTO_TCP } } },
};

/* Their callers have another way when the kernel is older than the call. */
static const char *const absent[] = { "clone3", "openat2" };

static int add(scmp_filter_ctx filter, uint32_t action, const char *call, const struct when *when)
{
	int number = seccomp_syscall_resolve_name(call), err;
	struct scmp_arg_cmp compare[2];
	unsigned int n = 0;

	if (number == __NR_SCMP_ERROR)
		return 0; /* newer than this libseccomp, or of another architecture */
	for (; when && n < 2 && when[n].mask; n++)
		compare[n] = (struct scmp_arg_cmp){ when[n].argument, SCMP_CMP_MASKED_EQ,
						    when[n].mask, when[n].value };
	err = seccomp_rule_add_array(filter, action, number, n, compare);
	return err == -EDOM ? 0 : err; /* EDOM: not on this architecture */
}

static int add_all(scmp_filter_ctx filter)
{
	/* abort(): a signal to a thread of our own */
	const struct when own = { 0, INT, (uint64_t)getpid() };
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(calls) / sizeof(*calls); i++)
		err = add(filter, SCMP_ACT_ALLOW, calls[i], NULL);
	for (size_t i = 0; !err && i < sizeof(rules) / sizeof(*rules); i++)
		err = add(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].when);
	for (size_t i = 0; !err && i < sizeof(absent) / sizeof(*absent); i++)
		err = add(filter, SCMP_ACT_ERRNO(ENOSYS), absent[i], NULL);
	return err ? err : add(filter, SCMP_ACT_ALLOW, "tgkill", (const struct when[2]){ own });
}

int seccomp_restrict(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!filter)
		return -ENOMEM;
	/* the calls of another architecture (32 bits) are refused, not deadly, as well */
	err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP,
				       0); /* done: a layer of its own */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = add_all(filter);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

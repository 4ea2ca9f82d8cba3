/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* bpf/syscall.bpf.c: system calls that failed because something ran out, or broke. */
#include "who.bpf.h"

COLLECTOR(OFF, HOT); /* it makes each system call of the node take a longer way */

struct syscall_key {
	struct who who;
	errno_t errno;
	__u32 _pad;
};
struct syscall_errors {
	COUNTER(syscall_errors,
		"System calls that failed because something ran out (EMFILE, ENFILE: open files; ENOMEM: memory; "
		"ENOSPC, EDQUOT: disk space; ENOBUFS: buffers; EADDRNOTAVAIL: ports), or broke (EIO; EROFS: a disk that "
		"became read-only; ETIMEDOUT: a peer; not the time limit of a lock, which is no failure).");
};
TABLE(HASH, ___syscall, struct syscall_key, struct syscall_errors, 8192);

/* Locks with a time limit (futex and its kin) end in ETIMEDOUT all day: idle workers wait so. */
static __always_inline bool is_lock(long number)
{
	switch (number) {
	case 202: /* futex of x86; nothing that can time out elsewhere */
	case 98:  /* of arm64 */
	case 240: /* of 32-bit code */
	case 422: /* futex_time64, likewise */
	case 449: /* futex_waitv */
	case 455: /* futex_wait */
		return true;
	}
	return false;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(syscall_failed, struct pt_regs *regs, long result)
{
	struct syscall_key key = {};
	struct syscall_errors *row;

	if (result >= 0)
		return 0;
	switch (-result) {
	case ETIMEDOUT:
		if (is_lock(syscall_number(regs)))
			return 0;
	case EIO:
	case ENOMEM:
	case ENFILE:
	case EMFILE:
	case ENOSPC:
	case EROFS:
	case EADDRNOTAVAIL:
	case ENOBUFS:
	case EDQUOT:
		break;
	default:
		return 0;
	}
	who_current(&key.who);
	key.errno = -result;
	row = WHO_ROW(___syscall, &key);
	if (row)
		ADD(row->syscall_errors, 1);
	return 0;
}

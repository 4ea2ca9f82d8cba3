/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/fsync.bpf.c: who makes files durable, and how long that takes.
 *
 * At the system calls' own functions where programs can hang on functions; else at sys_enter and
 * sys_exit, where all system calls of the node take a longer way for it.
 */
#include "who.bpf.h"
#include "span.bpf.h"

struct process_fsync {
	COUNTER(fsyncs, "Calls that wait until written data is on disk (fsync, fdatasync, msync, syncfs, "
		"sync_file_range), failed ones too. "
		"High: many small writes, each of which waits for the disk.");
	COUNTER(fsync_ns, "Time in calls that wait until written data is on disk. High: the process is as fast as "
		"the disk lets it.");
};
TABLE(HASH, ___process_fsync, process_t, struct process_fsync, 8192);

struct cgroup_fsync {
	COUNTER(fsyncs, "Calls that wait until written data is on disk (fsync, fdatasync, msync, syncfs, "
		"sync_file_range), failed ones too. "
		"High: many small writes, each of which waits for the disk.");
	HISTOGRAM(fsync_latency_ns, "Time in each call that waits until written data is on disk. High: databases stand "
		  "still; the disk is slow, or others write to it.");
};
TABLE(HASH, cgroup___fsync, cgroup_id_t, struct cgroup_fsync, 2048);

SPANS(fsyncs_running, 4096);

static __always_inline void begin(void)
{
	SPAN_BEGIN(fsyncs_running, 0);
}

static __always_inline void end(void)
{
	struct process_fsync *process;
	struct cgroup_fsync *cgroup;
	struct who who;
	__u64 took;

	if (!SPAN_END(fsyncs_running, 0, took))
		return;
	who_current(&who);
	process = WHO_ROW(___process_fsync, &who);
	if (process) {
		ADD(process->fsyncs, 1);
		ADD(process->fsync_ns, took);
	}
	cgroup = ROW(cgroup___fsync, &who.cgroup);
	if (cgroup) {
		ADD(cgroup->fsyncs, 1);
		OBSERVE_NS(cgroup->fsync_latency_ns, took);
	}
}

#define AT_FUNCTION_OF(call) \
	SEC("?fentry/sys_" #call) \
	int fsync_begin_##call(void *ctx) \
	{ \
		begin(); \
		return 0; \
	} \
	SEC("?fexit/sys_" #call) \
	int fsync_end_##call(void *ctx) \
	{ \
		end(); \
		return 0; \
	}
AT_FUNCTION_OF(fsync)
AT_FUNCTION_OF(fdatasync)
AT_FUNCTION_OF(msync)
AT_FUNCTION_OF(syncfs)
AT_FUNCTION_OF(sync_file_range)

/* By the registers, so before any map is asked: this runs at each system call of the node. */
static __always_inline bool is_fsync(void *regs)
{
	switch (syscall_number(regs)) {
	case 74: /* fsync, fdatasync, msync, syncfs, sync_file_range */
	case 75:
	case 26:
	case 306:
	case 277:
		return on_x86() && !is_32_bit(regs);
	case 82:
	case 83:
	case 227:
	case 267:
	case 84:
		return !on_x86() && !is_32_bit(regs);
	}
	return false;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(fsync_begin___no_fentry_hot, struct pt_regs *regs)
{
	if (is_fsync(regs))
		begin();
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(fsync_end___no_fentry_hot, struct pt_regs *regs)
{
	if (is_fsync(regs))
		end();
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * bpf/health.bpf.c: whether the kernel and the hardware are well. What the kernel counts in files of its
 * own, the exporter reads there (exporter/files.c).
 */
#include "who.bpf.h"

COLLECTOR(ON, RARE);

struct hung {
	RARE_COUNTER(tasks, "Times that a thread was found waiting without a wake-up for longer than "
		     "kernel.hung_task_timeout_secs; once per check while it hangs. Any: a disk, network storage "
		     "or lock does not answer; dmesg has its stack.");
};
TABLE(HASH, hung, struct who, struct hung, 4096);

/* `current` is khungtaskd, which looks for them. */
SEC("tp_btf/sched_process_hang")
int BPF_PROG(hung_task, struct task_struct *task)
{
	struct who who;
	struct hung *row;

	who_of_task(&who, task);
	row = WHO_ROW(hung, &who);
	if (row)
		ADD(row->tasks, 1);
	return 0;
}

/* Each begins the name of a program below: where its hook is missing, the source has no series. */
enum source { mce, edac, aer, arm, cper, SOURCES };
struct severity {
	counter_t corrected, deferred, uncorrected, fatal, unknown;
};
struct node_hardware {
	COUNTER_BY(severity, errors,
		   "Errors that the hardware reported: mce (processor), edac (memory controller), aer (PCIe), arm, cper "
		   "(firmware). Corrected ones are harmless while few; after any other replace the part that dmesg "
		   "names.");
};
struct source_key {
	enum source source;
};
TABLE(ARRAY, node_hardware, struct source_key, struct node_hardware, SOURCES);

enum severity_of { CORRECTED, DEFERRED, UNCORRECTED, FATAL, UNKNOWN };

static __always_inline void count(enum source source, enum severity_of severity, __u64 n)
{
	struct source_key key = { .source = source };
	struct node_hardware *row = bpf_map_lookup_elem(&node_hardware, &key);

	if (!row)
		return;
	switch (severity) {
	case CORRECTED: ADD(row->errors.corrected, n); break;
	case DEFERRED: ADD(row->errors.deferred, n); break;
	case UNCORRECTED: ADD(row->errors.uncorrected, n); break;
	case FATAL: ADD(row->errors.fatal, n); break;
	default: ADD(row->errors.unknown, n);
	}
}

/* MCi_STATUS, of Intel's and AMD's manuals: PCC, the context is corrupt; UC; AMD's Deferred. */
static __always_inline enum severity_of severity_of_mce(__u64 status)
{
	if (status & 1ULL << 57)
		return FATAL;
	if (status & 1ULL << 61)
		return UNCORRECTED;
	return status & 1ULL << 44 ? DEFERRED : CORRECTED;
}

SEC("?tp_btf/mce_record")
int mce_error(__u64 *ctx)
{
	count(mce, severity_of_mce(mce_status(ctx)), 1);
	return 0;
}

/* enum hw_event_mc_err_type; 4 is information, with nothing wrong */
static __always_inline void count_edac(__u32 type, __u32 errors)
{
	count(edac, type == 0 || type == 4 ? CORRECTED :
		    type == 1		   ? UNCORRECTED :
		    type == 2		   ? DEFERRED :
		    type == 3		   ? FATAL :
					     UNKNOWN, errors);
}

SEC("?tp_btf/mc_event")
int edac_error(__u64 *ctx)
{
	count_edac(ctx[0], ctx[3]);
	return 0;
}

/* include/linux/aer.h: AER_NONFATAL, AER_FATAL, AER_CORRECTABLE */
static __always_inline void count_aer(__u8 severity)
{
	count(aer, severity == 0 ? UNCORRECTED : severity == 1 ? FATAL : severity == 2 ? CORRECTED : UNKNOWN, 1);
}

SEC("?tp_btf/aer_event")
int aer_error(__u64 *ctx)
{
	count_aer(ctx[2]);
	return 0;
}

/* include/acpi/ghes.h: GHES_SEV_NO, _CORRECTED, _RECOVERABLE, _PANIC */
static __always_inline enum severity_of severity_of_firmware(__u8 severity)
{
	return severity <= 1 ? CORRECTED : severity == 2 ? UNCORRECTED : severity == 3 ? FATAL : UNKNOWN;
}

SEC("?tp_btf/arm_event")
int arm_error(__u64 *ctx)
{
	if (bpf_core_type_exists(btf_trace_arm_event___severity))
		count(arm, severity_of_firmware((__u64)ctx_arg(ctx, 7)), 1);
	else
		count(arm, UNKNOWN, 1);
	return 0;
}

SEC("?tp_btf/non_standard_event")
int cper_error(__u64 *ctx)
{
	count(cper, severity_of_firmware(ctx[3]), 1);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * What differs between kernels: renamed fields, tracepoints whose arguments changed, helpers that
 * came later. Each is chosen by the shape that the running kernel's BTF shows, never by its version:
 * distributions backport. A `typedef void (*btf_trace_X___flavour)(...)` names one prototype of
 * tracepoint X; libbpf ignores the flavour and compares number and kinds of the arguments.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

/*
 * True when a tracepoint argument does not point to anything.
 *
 * From 6.2 the verifier calls such arguments trusted, drops a plain `!p` as never true, and reads
 * without a fault handler; yet tcp_send_reset's sk (from 6.10) and kfree_skb's rx_sk are NULL at
 * times, and signal_generate's info may be 1. From 6.13 (cb4158ce8ec8, c83508da5620) those known to be NULL demand
 * `!p`. So both: the test the new verifier wants, then one that no verifier takes for decided.
 */
#define is_null(pointer) ({ \
	bool _null = !(pointer); \
	if (!_null) { \
		asm volatile("" : "+r"(pointer)); \
		_null = (__u64)(pointer) < 4096; \
	} \
	_null; })

/*
 * Argument `n` of a tracepoint, where two prototypes have it at different places: written out,
 * because clang merges `shape ? ctx[2] : ctx[1]` into one load at a computed offset, which the
 * verifier refuses.
 */
#define ctx_arg(ctx, n) ({ \
	__u64 _arg; \
	asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(_arg) : "r"(ctx), "i"(8 * (n))); \
	(void *)_arg; })

/* Task and socket storage for tracing programs, bpf_sock_from_file(): 5.11 (a10787e6d58c, 8e4597c627fb) */
#define have_local_storage() \
	bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_storage_get)

/* Text into memory, from any address: 5.13 (7b15523a989b) */
#define have_snprintf() bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_snprintf)

/*
 * signal_generate's info may be the number 1, so verifiers since 6.13 (838a10bd2ebf: "may encode
 * error"; 6.12.117 has it too) take it for a number that nothing can be read from. A cast is a kernel
 * function (6.2), and libbpf before 1.5 searches modules for one that is missing, which only
 * CAP_SYS_ADMIN may. So the registers of the system call are asked instead (5.15, dd6e10fbd9fb).
 */
#define have_task_regs() bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs)

struct pt_regs___x86 {
	unsigned long orig_ax;
	unsigned long cs;
} __attribute__((preserve_access_index));
struct pt_regs___arm64 {
	unsigned long pstate;
	int syscallno;
	int _pad;
} __attribute__((preserve_access_index));

/* The architecture is the kernel's, not the object's: one object runs on both. */
#define on_x86() bpf_core_field_exists(((struct pt_regs___x86 *)0)->orig_ax)

/* The number of the system call that these registers came with; negative outside of one. */
static __always_inline long syscall_number(void *regs)
{
	if (on_x86())
		return ((struct pt_regs___x86 *)regs)->orig_ax;
	return ((struct pt_regs___arm64 *)regs)->syscallno;
}

/*
 * Code of 32 bits has numbers of its own: its fsync is 64-bit code's getresuid. Told by the registers,
 * as 5.10 shows no task: __USER32_CS of x86, PSR_MODE32_BIT of arm64.
 */
static __always_inline bool is_32_bit(void *regs)
{
	if (on_x86())
		return (((struct pt_regs___x86 *)regs)->cs & 0xffff) == 0x23;
	return ((struct pt_regs___arm64 *)regs)->pstate & 0x10;
}

static __always_inline bool in_system_call(void)
{
	return syscall_number((void *)bpf_task_pt_regs(bpf_get_current_task_btf())) >= 0;
}

/* 5.15 (8520e224f547): before, sk_cgrp_data was a number that may or may not be a pointer. */
#define have_sock_cgroup() bpf_core_field_exists(((struct sock *)0)->sk_cgrp_data.cgroup)

/*
 * sched_switch: (preempt, prev, next), then (preempt, prev_state, prev, next) in 5.18 (fa2c3254d7cf),
 * then prev_state moved to the end (9c2136be0878). With the middle form unhandled, `prev` would be a
 * number and `next` the task that leaves.
 */
typedef void (*btf_trace_sched_switch___state_second)(void *, bool, unsigned int,
						      struct task_struct *, struct task_struct *);
#define switch_prev(ctx) \
	((struct task_struct *)(bpf_core_type_exists(btf_trace_sched_switch___state_second) ? \
					ctx_arg(ctx, 2) : \
					ctx_arg(ctx, 1)))
#define switch_next(ctx) \
	((struct task_struct *)(bpf_core_type_exists(btf_trace_sched_switch___state_second) ? \
					ctx_arg(ctx, 3) : \
					ctx_arg(ctx, 2)))

/* task_struct.__state was .state (and a long) before 5.14 (2f064a59a11f). */
struct task_struct___before_5_14 {
	volatile long state;
} __attribute__((preserve_access_index));
struct task_struct___since_5_14 {
	unsigned int __state;
} __attribute__((preserve_access_index));

static __always_inline long task_state(struct task_struct *task)
{
	struct task_struct___since_5_14 *now = (void *)task;
	struct task_struct___before_5_14 *old = (void *)task;

	return bpf_core_field_exists(now->__state) ? now->__state : old->state;
}

/* block_rq_*, block_bio_queue: the queue argument went away in 5.11 (a54895fa057c); of block_rq_* also in 5.10.137. */
typedef void (*btf_trace_block_rq_insert___with_queue)(void *, struct request_queue *,
						       struct request *);
typedef void (*btf_trace_block_rq_issue___with_queue)(void *, struct request_queue *,
						      struct request *);
typedef void (*btf_trace_block_rq_requeue___with_queue)(void *, struct request_queue *,
							struct request *);
typedef void (*btf_trace_block_rq_merge___with_queue)(void *, struct request_queue *,
						      struct request *);
typedef void (*btf_trace_block_bio_queue___with_queue)(void *, struct request_queue *,
						       struct bio *);
#define after_queue(ctx, hook) \
	((void *)(bpf_core_type_exists(btf_trace_##hook##___with_queue) ? ctx_arg(ctx, 1) : \
									  ctx_arg(ctx, 0)))

/* block_io_done came in 6.5 (5a80bd075f3b), block_rq_error in 5.18 (d5869fdc189f). */
typedef void (*btf_trace_block_io_done___any)(void *, struct request *);
typedef void (*btf_trace_block_rq_error___any)(void *, struct request *, int, unsigned int);

/* struct request.rq_disk moved to the queue in 5.17 (f3fa33acca9f). */
struct request___before_5_17 {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

static __always_inline struct gendisk *request_disk(struct request *rq)
{
	struct request___before_5_17 *old = (void *)rq;

	if (bpf_core_field_exists(rq->q->disk))
		return rq->q->disk;
	return old->rq_disk;
}

/* sched_process_exit: `bool group_dead` came in 6.16 (2ee6ab3c4d4c); before, ask signal->live (process.bpf.c). */
typedef void (*btf_trace_sched_process_exit___group_dead)(void *, struct task_struct *, bool);

/* mark_victim: (int pid) became (task, uid) in 6.9 (72ba14deb40a), and in 6.1.192. */
typedef void (*btf_trace_mark_victim___task)(void *, struct task_struct *, __u32);

/* tcp_retransmit_skb: `int err` came in 6.17; before, the event itself meant success. */
typedef void (*btf_trace_tcp_retransmit_skb___err)(void *, struct sock *, struct sk_buff *, int);

/* tcp_send_reset: the reason came in 6.10 (b533fb9cf4f7); before, only full sockets fired it. */
typedef void (*btf_trace_tcp_send_reset___reason)(void *, struct sock *, struct sk_buff *,
						  enum sk_rst_reason);

/*
 * balance_dirty_pages: five numbers became one structure in 6.15 ("writeback: let
 * trace_balance_dirty_pages() take struct dtc as parameter"): `pause` is the seventh, no more the eleventh.
 */
typedef void (*btf_trace_balance_dirty_pages___of_numbers)(void *, struct bdi_writeback *,
							   unsigned long, unsigned long,
							   unsigned long, unsigned long,
							   unsigned long, unsigned long,
							   unsigned long, unsigned long,
							   unsigned long, long, unsigned long);
#define throttle_pause(ctx) \
	((long)(bpf_core_type_exists(btf_trace_balance_dirty_pages___of_numbers) ? \
			ctx_arg(ctx, 10) : \
			ctx_arg(ctx, 6)))

/*
 * What inet_csk_accept() returns follows its arguments: (sk, flags, err, kern), then (sk, arg) in 6.10
 * (92ef0fd55ac8). bpf_get_func_ret() came in 5.17 only.
 */
struct proto_accept_arg {
	int flags;
} __attribute__((preserve_access_index));
#define accepted_sock(ctx) \
	((struct sock *)(bpf_core_type_exists(struct proto_accept_arg) ? ctx_arg(ctx, 2) : ctx_arg(ctx, 4)))

/*
 * kfree_skb: the reason came in 5.17 (c504e5c2f964), the socket that should have received the packet
 * in 6.11 (c53795d48ee8); before, a drop on the way into a socket says nothing of it.
 */
typedef void (*btf_trace_kfree_skb___reason)(void *, struct sk_buff *, void *, enum skb_drop_reason);
typedef void (*btf_trace_kfree_skb___rx_sk)(void *, struct sk_buff *, void *, enum skb_drop_reason,
					    struct sock *);
#define have_drop_socket() bpf_core_type_exists(btf_trace_kfree_skb___rx_sk)
#define have_drop_reason() \
	(bpf_core_type_exists(btf_trace_kfree_skb___reason) || have_drop_socket())
/* A reason's number in this kernel; one that no packet has where the kernel does not know it. */
#define drop_reason(name) \
	(bpf_core_enum_value_exists(enum skb_drop_reason, name) ? \
		 (__u32)bpf_core_enum_value(enum skb_drop_reason, name) : \
		 ~0U)

/* udp_fail_queue_rcv_skb: with the packet, and for IPv6 too, from 6.10 (e9669a00bba7) on. */
typedef void (*btf_trace_udp_fail_queue_rcv_skb___skb)(void *, int, struct sock *, struct sk_buff *);

/*
 * sk_buff.sk shared its place with the offset of a fragment before 6.9 (18685451fc4e), and verifiers
 * since 6.6 (33937607efa0) give no helper a pointer out of a union: it may be no pointer.
 */
struct sk_buff___before_6_9 {
	int ip_defrag_offset;
} __attribute__((preserve_access_index));
#define skb_sk_is_shared() \
	bpf_core_field_exists(((struct sk_buff___before_6_9 *)0)->ip_defrag_offset)

/*
 * net.net_cookie is never given twice. Before 5.12 (3d368ab87cf6) it was made only when asked for; the
 * inode number, for those, may go to the next namespace when this one ends.
 */
static __always_inline __u64 netns_id(struct net *net)
{
	return bpf_core_field_exists(net->net_cookie) ? net->net_cookie : net->ns.inum;
}

/*
 * Connections of a namespace in time_wait: an atomic_t, then a refcount_t that begins at 1 (5.18), in a
 * structure that was elsewhere from 5.18 (fbb8295248e1) until 6.1 (e9bd0cca09d1).
 */
struct refcount_struct {
	atomic_t refs;
} __attribute__((preserve_access_index));
struct inet_timewait_death_row___before_5_18 {
	atomic_t tw_count;
} __attribute__((preserve_access_index));
struct inet_timewait_death_row___since_5_18 {
	struct refcount_struct tw_refcount;
} __attribute__((preserve_access_index));
struct netns_ipv4___here {
	struct inet_timewait_death_row___since_5_18 tcp_death_row;
} __attribute__((preserve_access_index));
struct netns_ipv4___elsewhere {
	struct inet_timewait_death_row___since_5_18 *tcp_death_row;
} __attribute__((preserve_access_index));
struct net___here {
	struct netns_ipv4___here ipv4;
} __attribute__((preserve_access_index));
struct net___elsewhere {
	struct netns_ipv4___elsewhere ipv4;
} __attribute__((preserve_access_index));

static __always_inline __u32 time_wait_sockets(struct net *net)
{
	struct net___elsewhere *apart = (void *)net;
	struct net___here *in = (void *)net;
	struct inet_timewait_death_row___since_5_18 *now;
	struct inet_timewait_death_row___before_5_18 *old;

	if (bpf_core_field_exists(in->ipv4.tcp_death_row))
		now = &in->ipv4.tcp_death_row;
	else
		now = apart->ipv4.tcp_death_row;
	old = (void *)now;
	return bpf_core_field_exists(now->tw_refcount) ? now->tw_refcount.refs.counter - 1 : old->tw_count.counter;
}

/*
 * mce_record: (struct mce *), on newer kernels (7.3, not yet 6.12) a structure around it; nothing but the
 * name of the argument's type tells them apart. x86 alone has either.
 */
struct mce___bare {
	__u64 status;
} __attribute__((preserve_access_index));
struct mce_hw_err___around {
	struct mce___bare m;
} __attribute__((preserve_access_index));

static __always_inline __u64 mce_status(__u64 *ctx)
{
	struct mce_hw_err___around *now = ctx_arg(ctx, 0);
	struct mce___bare *old = (void *)now;

	return bpf_core_field_exists(now->m) ? now->m.status : old->status;
}

/* arm_event: (proc), then with what the firmware says, its severity among it (6.12.118, not yet 6.1). */
typedef void (*btf_trace_arm_event___severity)(void *, const struct cper_sec_proc_arm *, const __u8 *, const __u32,
					       const __u8 *, const __u32, const __u8 *, const __u32, __u8, int);

/* task_struct.cpu moved into thread_info in 5.16. */
struct thread_info___since_5_16 {
	__u32 cpu;
} __attribute__((preserve_access_index));
struct task_struct___since_5_16 {
	struct thread_info___since_5_16 thread_info;
} __attribute__((preserve_access_index));
struct task_struct___before_5_16 {
	unsigned int cpu;
} __attribute__((preserve_access_index));

static __always_inline __u32 task_cpu(struct task_struct *task)
{
	struct task_struct___since_5_16 *now = (void *)task;
	struct task_struct___before_5_16 *old = (void *)task;

	return bpf_core_field_exists(old->cpu) ? old->cpu : now->thread_info.cpu;
}

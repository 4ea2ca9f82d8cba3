/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The functions of irq.bpf.c in an order that no machine brings at will: handlers inside a softirq and
 * inside each other, and two devices on one line. Run by BPF_PROG_TEST_RUN, attached to nothing.
 */
#include "../../../bpf/irq.bpf.c"

__u64 elapsed_ns = 0;

/* Long beside all else that a run does; a verifier follows each turn. */
static __always_inline void handle(void)
{
	for (int i = 0; i < 2000; i++)
		bpf_ktime_get_ns();
}

SEC("raw_tp/softirq_entry")
int test_nested(__u64 *ctx)
{
	__u64 start = bpf_ktime_get_ns();

	end_softirq(VEC_NET_RX); /* ends that nobody saw begin */
	end_hardirq(7, 0xa, 0);
	begin_softirq(VEC_NET_RX);
	begin_hardirq(7, 0xa);
	handle();
	begin_hardirq(8, 0xb); /* inside the other */
	end_hardirq(8, 0xb, 0);
	end_hardirq(7, 0xa, 0xaa); /* 0xaa is on the same line */
	begin_hardirq(7, 0xaa);
	end_hardirq(7, 0xaa, 0);
	end_softirq(VEC_NET_RX);
	begin_hardirq(9, 0xc);
	end_hardirq(9, 0xc, 0);
	begin_hardirq(5000, 0xd); /* of a device that was plugged in after many others */
	end_hardirq(5000, 0xd, 0);
	elapsed_ns = bpf_ktime_get_ns() - start;
	return 0;
}

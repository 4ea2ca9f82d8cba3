/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The programs of health.bpf.c that count what a machine cannot be made to suffer, as raw tracepoints:
 * those BPF_PROG_TEST_RUN runs with arguments of the test's own.
 */
#include "../../../bpf/health.bpf.c"

SEC("raw_tp/mc_event")
int test_edac(__u64 *ctx)
{
	return edac_error(ctx);
}

SEC("raw_tp/aer_event")
int test_aer(__u64 *ctx)
{
	return aer_error(ctx);
}

SEC("raw_tp/arm_event")
int test_arm(__u64 *ctx)
{
	return arm_error(ctx);
}

SEC("raw_tp/non_standard_event")
int test_cper(__u64 *ctx)
{
	return cper_error(ctx);
}

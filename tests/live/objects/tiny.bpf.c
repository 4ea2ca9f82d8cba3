/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* For laws_test.sh: a table that is full at once. Counts the programs that "tiny" processes become. */
#include "who.bpf.h"

struct tiny {
	COUNTER(execs, "Programs started whose name begins with tiny.");
};
TABLE(HASH, tiny, struct who, struct tiny, 4);

SEC("tp_btf/sched_process_exec")
int tiny_exec(__u64 *ctx)
{
	struct who who;
	struct tiny *row;

	who_of_task(&who, (struct task_struct *)ctx[0]);
	if (who.comm[0] != 't' || who.comm[1] != 'i' || who.comm[2] != 'n' || who.comm[3] != 'y')
		return 0;
	row = WHO_ROW(tiny, &who);
	if (row)
		ADD(row->execs, 1);
	return 0;
}

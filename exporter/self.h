/* SPDX-License-Identifier: GPL-2.0-only */
/* self: the exporter's own metrics, bpf_exporter_* and process_*, written into the same families.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "attach.h"
#include "label_cgroup.h"
#include "poll.h"
#include "privilege.h"
#include "serve.h"
#include "series.h"

struct self;

/* Makes the families. NULL with errno. */
struct self *self_new(struct families *families);
void self_free(struct self *self);

/* What never changes: versions, the kernel, the programs' shapes, the maps' sizes. After load. */
void self_describe(struct self *self, const struct collectors *collectors,
		   const struct cgroup_mounts *mounts, const char *procfs);

/* What confines the exporter from here on. */
void self_sandbox(struct self *self, const struct privilege_report *report);

/* What changes: called after each poll. `serve` may be NULL. */
struct self_input {
	const struct poller *poller;
	const struct groups *groups;
	const struct processes *processes;
	const struct fold *fold;
	const struct serve_stats *serve;
	uint64_t polls_missed;
	const char *procfs;
};
void self_update(struct self *self, const struct self_input *input);

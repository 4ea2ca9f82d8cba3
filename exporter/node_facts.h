/* SPDX-License-Identifier: GPL-2.0-only */
/* node_facts: what the programs are told of this node before load (bpf/who.bpf.h). */
#pragma once

#include "attach.h"
#include "label_cgroup.h"

void node_facts_read(struct node_facts *facts, const struct cgroup_mounts *mounts,
		     const char *sysfs);

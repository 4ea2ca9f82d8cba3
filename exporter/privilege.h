/* SPDX-License-Identifier: GPL-2.0-only */
/* privilege: what the exporter needs to start, and what it gives away once it has attached. */
#pragma once

#include <stdbool.h>

/*
 * Tests for the capabilities that loading and attaching need. Returns 0, or -EPERM after one line that
 * names what is missing and how to grant it.
 */
int privilege_check(void);

/*
 * Gives up everything but what polling needs: CAP_BPF and CAP_PERFMON (map and iterator calls on
 * kernels before 5.19, and where unprivileged BPF is off), CAP_SYS_ADMIN in their place where the
 * kernel has no CAP_BPF, CAP_DAC_READ_SEARCH (cgroups and sysfs folders of others). New privileges
 * are ruled out for good. Returns 0 or -errno.
 */
int privilege_drop(void);

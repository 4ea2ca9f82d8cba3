/* SPDX-License-Identifier: GPL-2.0-only */
/* sandbox: what of the exporter's work must go on when its privileges are given up. */
#pragma once

#include "label_cgroup.h"
#include "options.h"
#include "poll.h"
#include "privilege.h"

/*
 * Opens the sockets that are needed later, then drops what polling can do without (privilege.h);
 * `report` says what is left. Before any thread, which would keep its privileges.
 */
void sandbox_enter(struct poller *poller, const struct cgroup_mounts *mounts,
		   const struct options *options, const struct privilege_user *user,
		   struct privilege_report *report);

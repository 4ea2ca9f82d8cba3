/* SPDX-License-Identifier: GPL-2.0-only */
#include "sandbox.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cgroup_tree.h"
#include "container_names.h"
#include "label.h"
#include "notify.h"

struct trial {
	struct poller *poller;
	const struct cgroup_mounts *mounts;
	const char *procfs, *rootfs;
};

/* In a child that has given up what is to be given up: could it poll? See privilege.h. */
static unsigned int try_polling(void *arg)
{
	const struct trial *trial = arg;
	const char *roots[] = { trial->mounts->main, trial->mounts->blkio };
	unsigned int failed = poller_try(trial->poller) ? PRIVILEGE_TABLES : 0;
	char first[512];

	for (size_t i = 0; i < 2; i++)
		if (*roots[i] && cgroup_tree_try(roots[i]))
			failed |= PRIVILEGE_CGROUPS;
	snprintf(first, sizeof(first), "%s/1", trial->procfs);
	if (container_names_try(trial->rootfs, privilege_opens_all()))
		failed |= PRIVILEGE_NAMES;
	return access(first, F_OK) ? failed | PRIVILEGE_PROCESSES : failed;
}

void sandbox_enter(struct poller *poller, const struct cgroup_mounts *mounts,
		   const struct options *options, const struct privilege_user *user,
		   struct privilege_report *report)
{
	struct trial trial = { poller, mounts, options->procfs, options->rootfs };
	struct privilege_config config = {
		.user = *user,
		.paths = { options->procfs, options->sysfs, mounts->main, mounts->blkio },
		.try = try_polling,
		.arg = &trial,
	};
	char folders[PRIVILEGE_PATHS][512];

	for (size_t i = 0, n = 4; i < container_names_nr_folders && n < PRIVILEGE_PATHS; i++, n++) {
		container_names_place(&container_names_folders[i], options->rootfs, folders[n],
				      sizeof(folders[n]));
		config.paths[n] = folders[n];
	}

	notify_open(); /* it and the next: no sockets are made any more */
	label_open();
	privilege_drop(&config, report);
}

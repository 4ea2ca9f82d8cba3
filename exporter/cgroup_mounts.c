/* SPDX-License-Identifier: GPL-2.0-only */
/* Which cgroup hierarchy tells groups apart on this machine, and where it is mounted. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "label_cgroup.h"
#include "log.h"

const char *const cgroup_mode_names[] = { "none", "v1", "hybrid", "v2" };

static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += n)
		if ((at == list || at[-1] == ',') && (!at[n] || at[n] == ',' || at[n] == '\n'))
			return true;
	return false;
}

/* One line of mountinfo: proc(5). The mount point is field 5; after " - " the type and options. */
static void read_mount(struct cgroup_mounts *found, char *v2, size_t v2_size, char *line)
{
	char point[256], type[32], options[512], root[256];
	char *rest = strstr(line, " - ");

	if (!rest || sscanf(line, "%*s %*s %*s %255s %255s", root, point) != 2 ||
	    sscanf(rest, " - %31s %*s %511s", type, options) != 2)
		return;
	if (!strcmp(type, "cgroup2") && !*v2)
		snprintf(v2, v2_size, "%s", point);
	if (!strcmp(type, "cgroup") && has_word(options, "memory") && !*found->main)
		snprintf(found->main, sizeof(found->main), "%s", point);
	if (!strcmp(type, "cgroup") && has_word(options, "blkio") && !*found->blkio)
		snprintf(found->blkio, sizeof(found->blkio), "%s", point);
}

static bool is_cgroup(const char *folder, const char *below, const char *file)
{
	char path[300];

	snprintf(path, sizeof(path), "%s%s/%s", folder, below, file);
	return !access(path, F_OK);
}

/* A folder that the user named: a v2 root, or one that holds the mounts of v1's controllers. */
static void look_below(struct cgroup_mounts *found, char *v2, size_t v2_size, const char *folder)
{
	if (is_cgroup(folder, "/memory", "cgroup.procs"))
		snprintf(found->main, sizeof(found->main), "%.248s/memory", folder);
	if (is_cgroup(folder, "/blkio", "cgroup.procs"))
		snprintf(found->blkio, sizeof(found->blkio), "%.249s/blkio", folder);
	if (is_cgroup(folder, "/unified", "cgroup.controllers"))
		snprintf(v2, v2_size, "%.247s/unified", folder);
	else if (is_cgroup(folder, "", "cgroup.controllers"))
		snprintf(v2, v2_size, "%.255s", folder);
}

void cgroup_mounts_find(struct cgroup_mounts *mounts, const char *procfs, const char *cgroupfs)
{
	char path[512], line[4096], v2[256] = "";
	FILE *file;

	*mounts = (struct cgroup_mounts){ 0 };
	snprintf(path, sizeof(path), "%s/self/mountinfo", procfs);
	if (cgroupfs) {
		look_below(mounts, v2, sizeof(v2), cgroupfs);
	} else {
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			read_mount(mounts, v2, sizeof(v2), line);
		if (file)
			fclose(file);
		else /* procfs is not where it should be: that costs no labels */
			look_below(mounts, v2, sizeof(v2), "/sys/fs/cgroup");
	}
	if (*mounts->main)
		mounts->mode = *v2 ? CGROUP_HYBRID : CGROUP_V1;
	else if (*v2) {
		mounts->mode = CGROUP_V2;
		*mounts->blkio = 0;
		snprintf(mounts->main, sizeof(mounts->main), "%s", v2);
	}
	if (mounts->mode == CGROUP_NONE)
		log_warn("no cgroup tree in %s: counts go on, groups are called (unknown); mount "
			 "cgroup2, or "
			 "give the folder where it is by --path.cgroupfs",
			 cgroupfs ? cgroupfs : path);
}

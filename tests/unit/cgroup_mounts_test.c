/* SPDX-License-Identifier: GPL-2.0-only */
/* cgroup_mounts: which hierarchy tells groups apart, from mountinfo files of real machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "label_cgroup.h"
#include "log.h"

#define ROOT	"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard\n"
#define V2	"29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define TMPFS	"30 23 0:27 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n"
#define UNIFIED "31 30 0:28 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw\n"
#define SYSTEMD "32 30 0:29 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,xattr,name=systemd\n"
#define CPU	"33 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct\n"
#define MEMORY	"34 30 0:31 / /sys/fs/cgroup/memory rw shared:13 - cgroup cgroup rw,memory\n"
#define BLKIO	"35 30 0:32 / /sys/fs/cgroup/blkio rw shared:14 - cgroup cgroup rw,blkio\n"
#define ALL	"36 30 0:33 / /cgroup rw - cgroup none rw,cpu,blkio,memory\n" /* one mount for all */
#define NAMED	"37 30 0:34 / /x rw - cgroup cgroup rw,name=memory_of_mine,memoryx\n"
#define SECOND	"38 30 0:26 / /host/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"

static char dir[64];

struct mounts_case {
	const char *what, *mountinfo, *main, *blkio;
	enum cgroup_mode mode;
};

static const struct mounts_case cases[] = {
	{ "v2", ROOT V2, "/sys/fs/cgroup", "", CGROUP_V2 },
	{ "v2, no optional fields", "29 23 0:26 / /cg rw - cgroup2 none rw\n", "/cg", "", CGROUP_V2 },
	{ "v2 twice: the first", V2 SECOND, "/sys/fs/cgroup", "", CGROUP_V2 },
	{ "v1", ROOT TMPFS SYSTEMD CPU MEMORY BLKIO, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/blkio", CGROUP_V1 },
	{ "hybrid: memory rules", TMPFS UNIFIED SYSTEMD MEMORY BLKIO CPU, "/sys/fs/cgroup/memory",
	  "/sys/fs/cgroup/blkio", CGROUP_HYBRID },
	{ "hybrid without v1's memory is v2", TMPFS SYSTEMD UNIFIED BLKIO, "/sys/fs/cgroup/unified", "", CGROUP_V2 },
	{ "one v1 mount for all", ROOT ALL, "/cgroup", "/cgroup", CGROUP_V1 },
	{ "no controller by that name", ROOT NAMED, "", "", CGROUP_NONE },
	{ "none", ROOT, "", "", CGROUP_NONE },
	{ "empty", "", "", "", CGROUP_NONE },
	{ "cut lines", "29 23 0:26 / /sys/fs/cgroup rw - cgroup2\n29 23 - \n - \n\n29", "", "", CGROUP_NONE },
};

static void write_mountinfo(const char *text)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/self/mountinfo", dir);
	unlink(path);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Bug: groups of the wrong hierarchy: ids that match nothing, everything is (removed). */
static void test_mountinfo(void **state)
{
	int failed = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct cgroup_mounts mounts;

		write_mountinfo(cases[i].mountinfo);
		memset(&mounts, 0xff, sizeof(mounts));
		cgroup_mounts_find(&mounts, dir, NULL);
		if (mounts.mode != cases[i].mode || strcmp(mounts.main, cases[i].main) ||
		    strcmp(mounts.blkio, cases[i].blkio)) {
			print_error("%s: got %s \"%s\" \"%s\"\n", cases[i].what, cgroup_mode_names[mounts.mode],
				    mounts.main, mounts.blkio);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

static const char *below(const char *name)
{
	static char paths[4][128];
	static int turn;
	char *path = paths[turn++ & 3];

	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

/* A folder that is a hierarchy's root to whom looks for the file that each of its folders has. */
static void make_tree(const char *name, const char *mark)
{
	char path[256];
	FILE *file;

	assert_int_equal(mkdir(below(name), 0755), 0);
	snprintf(path, sizeof(path), "%s/%s", below(name), mark);
	file = fopen(path, "we");
	assert_non_null(file);
	fclose(file);
}

/* Bug: --path.cgroupfs is ignored where a container sees the host's tree elsewhere, or v1 in it is not seen. */
static void test_cgroupfs(void **state)
{
	struct cgroup_mounts mounts;

	(void)state;
	write_mountinfo(ROOT V2); /* of the container; must not matter */
	make_tree("cg", "cgroup.controllers");
	cgroup_mounts_find(&mounts, dir, below("cg"));
	assert_int_equal(mounts.mode, CGROUP_V2);
	assert_string_equal(mounts.main, below("cg"));
	assert_string_equal(mounts.blkio, "");

	assert_int_equal(unlink(below("cg/cgroup.controllers")), 0);
	cgroup_mounts_find(&mounts, dir, below("cg"));
	assert_int_equal(mounts.mode, CGROUP_NONE); /* any folder would do otherwise, and all be (removed) */
	make_tree("cg/unified", "cgroup.controllers");
	cgroup_mounts_find(&mounts, dir, below("cg"));
	assert_int_equal(mounts.mode, CGROUP_V2);
	assert_string_equal(mounts.main, below("cg/unified"));

	make_tree("cg/memory", "cgroup.procs");
	make_tree("cg/blkio", "cgroup.procs");
	cgroup_mounts_find(&mounts, dir, below("cg"));
	assert_int_equal(mounts.mode, CGROUP_HYBRID);
	assert_string_equal(mounts.main, below("cg/memory"));
	assert_string_equal(mounts.blkio, below("cg/blkio"));

	assert_int_equal(unlink(below("cg/unified/cgroup.controllers")), 0);
	cgroup_mounts_find(&mounts, dir, below("cg"));
	assert_int_equal(mounts.mode, CGROUP_V1);
}

/* Bug: a path longer than the field is cut without a NUL, or overflows. */
static void test_long_path(void **state)
{
	struct cgroup_mounts mounts;
	char path[400];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = 0;
	cgroup_mounts_find(&mounts, dir, path);
	assert_true(strlen(mounts.main) < sizeof(mounts.main));
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/bpf_exporter_mounts_XXXXXX");
	return mkdtemp(dir) ? mkdir(below("self"), 0755) : -1;
}

static int teardown(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_mountinfo), T(test_cgroupfs), T(test_long_path) };

	log_setup(LOG_ERROR, LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

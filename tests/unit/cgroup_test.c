/* SPDX-License-Identifier: GPL-2.0-only */
/* label_cgroup: paths as runtimes make them -> labels; walks over folders that come, go and move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "label_cgroup.h"
#include "log.h"
#include "render.h"

#define UID "6dd3a3e0-2f4b-4f0e-9b6a-0c3f5a1e7d42"
#define POD "/kubepods/pod" UID

/* ---- walks ---- */

struct tree {
	char dir[64];
	struct groups *groups;
	int pods, added, gone; /* what the listener heard */
};

static void listen_to(uint64_t id, bool is_pod, bool added, void *arg)
{
	struct tree *tree = arg;

	assert_true(id);
	tree->added += added;
	tree->gone += !added;
	if (is_pod)
		tree->pods += added ? 1 : -1;
}

static const char *in(struct tree *tree, const char *path)
{
	static char paths[2][256];
	static int turn;

	turn = !turn;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/root%s", tree->dir, path);
	return paths[turn];
}

static uint64_t make(struct tree *tree, const char *path)
{
	struct stat st;

	assert_int_equal(mkdir(in(tree, path), 0755), 0);
	assert_int_equal(stat(in(tree, path), &st), 0);
	return st.st_ino;
}

static void move(struct tree *tree, const char *from, const char *to)
{
	assert_int_equal(rename(in(tree, from), in(tree, to)), 0);
}

static int setup(void **state)
{
	struct tree *tree = calloc(1, sizeof(*tree));
	struct cgroup_mounts mounts = { .mode = CGROUP_V2 };

	strcpy(tree->dir, "/tmp/bpf_exporter_tree_XXXXXX");
	if (!mkdtemp(tree->dir) || mkdir(in(tree, ""), 0755))
		return -1;
	snprintf(mounts.main, sizeof(mounts.main), "%s", in(tree, ""));
	tree->groups = groups_new(&mounts, NULL, listen_to, tree);
	*state = tree;
	return 0;
}

static int teardown(void **state)
{
	struct tree *tree = *state;
	char command[96];

	groups_free(tree->groups);
	snprintf(command, sizeof(command), "rm -rf %s", tree->dir);
	free(tree);
	return system(command);
}

#define assert_group(tree, id, want) assert_string_equal(groups_find((tree)->groups, id)->labels, want)

/* Bug: a group that is there is called (removed), one that went lives on, the listener hears wrong things. */
static void test_come_and_go(void **state)
{
	struct tree *tree = *state;
	uint64_t a = make(tree, "/a.service"), b = make(tree, "/a.service/b"), pod;

	assert_group(tree, a, "unit=\"a.service\""); /* an unknown id is looked for */
	assert_group(tree, 0, "cgroup=\"(overflow)\"");
	assert_int_equal(groups_walk(tree->groups, 1), 3);
	assert_group(tree, a, "unit=\"a.service\"");
	assert_ptr_equal(groups_find(tree->groups, a), groups_find(tree->groups, b));
	assert_int_equal(groups_find(tree->groups, a)->live, 2);
	assert_true(groups_exists(tree->groups, b));
	make(tree, "/kubepods");
	pod = make(tree, POD);
	assert_int_equal(groups_walk(tree->groups, 2), 5);
	assert_int_equal(tree->pods, 1);
	move(tree, POD, "/../gone");
	move(tree, "/a.service/b", "/../gone2");
	assert_int_equal(groups_walk(tree->groups, 3), 3);
	assert_group(tree, pod, "cgroup=\"(removed)\"");
	assert_false(groups_exists(tree->groups, b));
	assert_int_equal(tree->pods, 0);
	assert_int_equal(groups_find(tree->groups, a)->live, 1);
	assert_int_equal(tree->added, 5);
	assert_int_equal(tree->gone, 2);
	assert_int_equal(groups_walk(tree->groups, 4), 3);
	assert_int_equal(tree->added, 5);
}

/* Bug: a group that somebody still counts for is freed, one that nobody does stays. */
static void test_users(void **state)
{
	struct tree *tree = *state;
	struct group *group;
	uint64_t a = make(tree, "/a");

	groups_walk(tree->groups, 1);
	group = groups_find(tree->groups, a);
	group_get(group);
	move(tree, "/a", "/../gone");
	groups_walk(tree->groups, 7);
	assert_int_equal(group->gone_ns, 7);
	assert_string_equal(group->labels, "cgroup=\"/a\"");
	make(tree, "/a"); /* it is back under another id */
	groups_walk(tree->groups, 8);
	assert_int_equal(group->gone_ns, 0);
	assert_int_equal(group->live, 1);
	move(tree, "/a", "/../gone2");
	groups_walk(tree->groups, 9);
	group_put(tree->groups, group); /* ASan: freed once */
	group_put(tree->groups, NULL);
}

/* Bug: a renamed cgroup (v1 can), or an inode number that was used again, keeps the old name. */
static void test_renamed(void **state)
{
	struct tree *tree = *state;
	uint64_t a, b;
	struct group *old;

	make(tree, "/kubepods");
	a = make(tree, "/a.service");
	b = make(tree, "/a.service/b");
	groups_walk(tree->groups, 1);
	old = groups_find(tree->groups, a);
	group_get(old);
	move(tree, "/a.service", POD);
	assert_int_equal(groups_walk(tree->groups, 2), 4);
	assert_group(tree, a, "pod=\"" UID "\"");
	assert_group(tree, b, "pod=\"" UID "\"");
	assert_int_equal(old->live, 0);
	assert_int_equal(old->gone_ns, 2);
	assert_int_equal(tree->pods, 2);
	assert_int_equal(groups_find(tree->groups, a)->live, 2);
	move(tree, POD, "/a.service");
	groups_walk(tree->groups, 3);
	assert_ptr_equal(groups_find(tree->groups, a), old);
	assert_int_equal(old->live, 2);
	assert_int_equal(tree->pods, 0);
	group_put(tree->groups, old);
}

/* Bug: an unreadable tree looks like one where everything was removed. */
static void test_unreadable(void **state)
{
	struct tree *tree = *state;
	uint64_t a = make(tree, "/a");
	char away[96];

	groups_walk(tree->groups, 1);
	snprintf(away, sizeof(away), "%s/away", tree->dir);
	assert_int_equal(rename(in(tree, ""), away), 0);
	assert_int_equal(groups_walk(tree->groups, 2), -ENOENT);
	assert_group(tree, a, "cgroup=\"/a\"");
	assert_group(tree, a + (1 << 20), "cgroup=\"(unknown)\"");
	assert_int_equal(groups_find(tree->groups, a)->live, 1);
	assert_int_equal(rename(away, in(tree, "")), 0);
	assert_int_equal(groups_walk(tree->groups, 3), 2);
	assert_group(tree, a + (1 << 20), "cgroup=\"(removed)\"");
}

/* Bug: a tree that cannot be read to its end for a reason of the moment loses its live groups. */
static void test_half_read(void **state)
{
	struct tree *tree = *state;
	uint64_t a = make(tree, "/a"), b = make(tree, "/a/b"), c = make(tree, "/a/b/c");
	struct rlimit old, few;
	int fd;

	assert_int_equal(groups_walk(tree->groups, 1), 4);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	for (unsigned int room = 0; room < 4; room++) { /* a tree as deep needs four descriptors */
		fd = dup(0);
		few = (struct rlimit){ fd + room, old.rlim_max };
		close(fd);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		assert_int_equal(groups_walk(tree->groups, 2), -EMFILE);
		assert_true(groups_failed(tree->groups));
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		assert_group(tree, a, "cgroup=\"/a\"");
		assert_group(tree, b, "cgroup=\"/a/b\"");
		assert_group(tree, c, "cgroup=\"/a/b/c\"");
		assert_int_equal(groups_find(tree->groups, c)->gone_ns, 0);
	}
	assert_int_equal(groups_walk(tree->groups, 3), 4);
	assert_false(groups_failed(tree->groups));
}

/* Bug: the folder that the tree was mounted on looks like a tree where everything was removed. */
static void test_unmounted(void **state)
{
	struct tree *tree = *state;
	uint64_t a = make(tree, "/a");
	char away[96];

	groups_walk(tree->groups, 1);
	snprintf(away, sizeof(away), "%s/away", tree->dir);
	assert_int_equal(rename(in(tree, ""), away), 0);
	assert_int_equal(symlink("/proc/self/fd", in(tree, "")), 0); /* of another file system */
	assert_int_equal(groups_walk(tree->groups, 2), -ESTALE);
	assert_group(tree, a, "cgroup=\"/a\"");
	assert_int_equal(groups_find(tree->groups, a)->live, 1);
	assert_int_equal(unlink(in(tree, "")), 0);
	assert_int_equal(rename(away, in(tree, "")), 0);
	assert_int_equal(groups_walk(tree->groups, 3), 2);
}

/* Bug: what goes in a walk that a missed id causes is gone since the last poll that walked: hours. */
static void test_gone_since(void **state)
{
	struct tree *tree = *state;
	uint64_t a = make(tree, "/a");
	struct group *group;

	groups_walk(tree->groups, 1);
	group = groups_find(tree->groups, a);
	group_get(group);
	assert_int_equal(rmdir(in(tree, "/a")), 0);
	groups_new_poll(tree->groups, 3600);
	groups_find(tree->groups, a + (1 << 20));
	assert_int_equal(group->gone_ns, 3600);
	group_put(tree->groups, group);
}

/* What programs tell, once each time it is heard. */
struct told {
	struct groups *groups;
	uint64_t untold, made, gone; /* ids; 0: nothing */
	const char *path;
};

static void hear(void *arg)
{
	struct told *told = arg;

	if (told->made)
		groups_made(told->groups, told->made, told->path);
	if (told->gone)
		groups_gone(told->groups, told->gone);
	told->made = told->gone = 0;
}

static void poll_at(struct tree *tree, uint64_t now_ns)
{
	groups_new_poll(tree->groups, now_ns);
	groups_refresh(tree->groups);
}

/*
 * Bug: trees are walked although all was told, again and again for ids that are gone; one that came and went
 * between two polls has no name while its counts are read; what was not told is not looked for.
 */
static void test_told(void **state)
{
	struct tree *tree = *state;
	struct told told = { .groups = tree->groups };
	uint64_t a = make(tree, "/a"), b, c;
	char away[96];

	groups_follow(tree->groups, &(struct groups_news){ &told.untold, hear, &told });
	poll_at(tree, 1);
	assert_group(tree, a, "cgroup=\"/a\"");

	b = make(tree, "/b"); /* heard in the middle of a poll; not there for the walk that is not made */
	c = make(tree, "/c"); /* before that: inode numbers come again */
	assert_int_equal(rmdir(in(tree, "/b")), 0);
	told.made = b, told.gone = b, told.path = "/b";
	assert_group(tree, b, "cgroup=\"/b\"");
	assert_group(tree, c, "cgroup=\"(removed)\"");
	assert_true(groups_exists(tree->groups, b));
	poll_at(tree, 2);
	assert_false(groups_exists(tree->groups, b));
	assert_group(tree, b, "cgroup=\"(removed)\"");
	assert_group(tree, c, "cgroup=\"(removed)\"");

	told.untold++;
	assert_group(tree, c, "cgroup=\"/c\"");
	for (int i = 0; i < 3; i++) { /* what goes on changing is looked at in the next poll */
		static const char *const paths[] = { "/d", "/e", "/f" };

		told.untold++;
		b = make(tree, paths[i]);
		assert_group(tree, b, i ? "cgroup=\"(removed)\"" : "cgroup=\"/d\"");
	}
	poll_at(tree, 3);
	assert_group(tree, b, "cgroup=\"/f\"");
	told.gone = a;
	poll_at(tree, 4);
	assert_group(tree, a, "cgroup=\"/a\"");
	poll_at(tree, 5);
	assert_group(tree, a, "cgroup=\"(removed)\"");

	/* no tree to read: what is told in the middle of a poll has its name all the same */
	snprintf(away, sizeof(away), "%s/away", tree->dir);
	assert_int_equal(rename(in(tree, ""), away), 0);
	assert_int_equal(groups_walk(tree->groups, 6), -ENOENT);
	told.made = UINT32_MAX, told.path = "/g";
	assert_group(tree, UINT32_MAX, "cgroup=\"/g\"");
	assert_group(tree, 77, "cgroup=\"(unknown)\"");
	assert_int_equal(rename(away, in(tree, "")), 0);
}

/* Bug: a deep tree (anybody with a delegated cgroup can make one) overflows the stack or the path. */
static void test_deep(void **state)
{
	struct tree *tree = *state;
	char name[256];
	int fd = open(in(tree, ""), O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < 200; i++) {
		int child;

		memset(name, 'x', sizeof(name));
		name[i < 50 ? 1 : 250] = 0;
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		child = openat(fd, name, O_RDONLY | O_DIRECTORY);
		assert_true(child >= 0);
		close(fd);
		fd = child;
	}
	close(fd);
	assert_in_range(groups_walk(tree->groups, 1), 50, 70);
	for (int i = 0; i < 400; i++) { /* and a wide one: the table of ids grows */
		snprintf(name, sizeof(name), "/%d", i);
		make(tree, name);
	}
	assert_in_range(groups_walk(tree->groups, 2), 450, 470);
	assert_int_equal(symlink("..", in(tree, "/0/loop")), 0);
	assert_in_range(groups_walk(tree->groups, 3), 450, 470);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { T(test_come_and_go), T(test_users),
					    T(test_renamed), T(test_unreadable), T(test_half_read),
					    T(test_unmounted), T(test_gone_since), T(test_told), T(test_deep) };

	log_setup(LOG_ERROR, LOG_LOGFMT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

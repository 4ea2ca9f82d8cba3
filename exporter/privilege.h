/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * privilege: what the exporter needs to start, and what it gives away once it has attached.
 *
 * From the drop on it polls and serves: it holds the capabilities without which a child could not
 * poll (none from Linux 5.19 on), is another user than root, gains no privileges by any program,
 * opens files only to read and only below procfs, sysfs and the cgroup trees (Landlock), and has no
 * system call but those of polling, serving, logging and ending (seccomp). Each is a layer; one
 * that cannot be had costs that layer and one warning.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PRIVILEGE_PATHS 16

/* Who the exporter becomes. */
struct privilege_user {
	const char *name; /* --user, or what stands for it */
	uid_t uid;
	gid_t gid;
	bool change; /* it is somebody else now, and may become this one */
};

/* What `try` could not do. */
#define PRIVILEGE_TABLES    1u /* read a map, run an iterator */
#define PRIVILEGE_CGROUPS   2u /* read the whole cgroup tree */
#define PRIVILEGE_PROCESSES 4u /* see the processes of others */
#define PRIVILEGE_NAMES	    8u /* read what runtimes call their containers */

struct privilege_config {
	struct privilege_user user;
	const char *paths[PRIVILEGE_PATHS]; /* below which it goes on reading; NULL and "" are
					       skipped */
	/* Run in a child that has given up what is to be given up: one poll. Returns the bits
	 * above. */
	unsigned int (*try)(void *arg);
	void *arg;
};

/* The layers that are in force. */
struct privilege_report {
	bool dropped;  /* all capabilities but `kept` */
	uint64_t kept; /* bit by capability */
	uid_t uid;     /* after the drop */
	bool no_new_privs;
	int landlock; /* the kernel's ABI, 0: none */
	bool seccomp;
};

/*
 * Tests for what loading and attaching need. Returns 0, or -EPERM after one line that names what is
 * missing and how to grant it.
 */
int privilege_check(void);
/*
 * Why the kernel may have refused (EPERM, EACCES) what the capabilities of privilege_check() are
 * for;
 * "" when nothing is known. `hook` is a program's section, or NULL for the load.
 */
const char *privilege_why(int err, const char *section);

/*
 * Finds the user of --user (NULL: "nobody" for root, else who we are). Returns 0, -ENOENT for a
 * user that does not exist, -EPERM for one we may not become, each after one line.
 */
int privilege_find_user(const char *name, struct privilege_user *user);

/* To be called while there is one thread. Tries in children, then does it, and logs what it did. */
void privilege_drop(const struct privilege_config *config, struct privilege_report *report);

/* Whether we may read the files that are root's alone. */
bool privilege_opens_all(void);

/* "CAP_BPF" of 39; NULL for numbers that cannot be kept. */
const char *privilege_capability_name(int capability);

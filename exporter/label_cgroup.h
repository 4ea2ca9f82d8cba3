/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * label_cgroup: cgroup ids -> groups, and the labels of a group.
 *
 * A group is a label set: several cgroups (those below a unit, or a restarted one) may be one
 * group. Ids come from the programs; on cgroup v1 those of the blkio hierarchy carry CGROUP_BLKIO,
 * because each hierarchy numbers its own. An id is the inode number of the cgroup's directory
 * (kernfs, 5.5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CGROUP_BLKIO (1ULL << 63)

struct group {
	char *labels; /* `unit="nginx.service"`, escaped, never empty */
	uint32_t labels_len;
	uint32_t live;	  /* cgroups that exist and belong to it */
	uint32_t users;	  /* rows and series that point here */
	uint64_t gone_ns; /* when the last of them went; 0 while live */
	char uid[37];	  /* of its pod: one of the same name and another uid is another group */
	bool hidden;	  /* it has no name yet: its series are counted and not shown */
	struct group
		*heir; /* whose counts its own become at the next fold_tick(); NULL: nobody's */
	struct group *next; /* of its hash chain */
};

enum cgroup_mode { CGROUP_NONE, CGROUP_V1, CGROUP_HYBRID, CGROUP_V2 };
extern const char *const cgroup_mode_names[];

/* Where the hierarchies are mounted. Empty strings when there is none. */
struct cgroup_mounts {
	enum cgroup_mode mode;
	char main[256];	 /* v2's root, or on v1 and hybrid the memory controller's */
	char blkio[256]; /* v1 only */
};

/*
 * Reads `procfs`/self/mountinfo. `cgroupfs` (--path.cgroupfs, may be NULL) names the root instead:
 * a v2 root itself, or a folder with one mount per v1 controller. The kernel says which controller
 * rules: memory on v1 means v1 or hybrid, else v2.
 */
void cgroup_mounts_find(struct cgroup_mounts *mounts, const char *procfs, const char *cgroupfs);

/* Called for each cgroup that comes or goes, for maps that must know (pods). */
typedef void groups_listener(uint64_t id, bool is_pod, bool added, void *arg);

/* `naming` is borrowed and may be NULL: groups are named by their paths alone then. */
struct group_naming;
struct groups *groups_new(const struct cgroup_mounts *mounts, const struct group_naming *naming,
			  groups_listener *listener, void *arg);
void groups_free(struct groups *groups);

/* A poll begins: what was told to be gone leaves, names that came late are given. */
void groups_new_poll(struct groups *groups, uint64_t now_ns);
/* Learns what came and went: by a walk where that is needed, and by what programs tell. */
void groups_refresh(struct groups *groups);

/* What programs tell of the trees' changes (bpf/cgroups.bpf.c). */
struct groups_news {
	const uint64_t *untold;	 /* counts up with each change that `hear` does not tell; NULL:
				    nobody counts */
	void (*hear)(void *arg); /* calls groups_made() and groups_gone(); may be NULL */
	void *arg;
};
void groups_follow(struct groups *groups, const struct groups_news *news);

/*
 * Walks the trees and notes what came and went. Returns the number of cgroups, or -errno when they
 * could not be read whole (logged once per reason): known groups stay known then, none is gone.
 */
int groups_walk(struct groups *groups, uint64_t now_ns);
/* Whether the last walk failed for a reason that may pass. */
bool groups_failed(const struct groups *groups);

/*
 * The group of an id; never NULL. An id that the tree does not have (any more) belongs to the group
 * "(removed)", without a readable tree to "(unknown)", id 0 to "(overflow)".
 */
struct group *groups_find(struct groups *groups, uint64_t id);
/* Whether there is a cgroup of that id. */
bool groups_exists(struct groups *groups, uint64_t id);
/*
 * A program saw a cgroup being made, or removed. One that is gone keeps its name for the rest of
 * this poll: what it counted since the last one is yet to be read.
 */
void groups_made(struct groups *groups, uint64_t id, const char *path);
void groups_gone(struct groups *groups, uint64_t id);
/*
 * True once after groups got an heir: the fold moves what they counted then. A group has an heir
 * when its name became known, or when a pod of its name but another uid came.
 */
bool groups_take_heirs(struct groups *groups);
struct group *groups_removed(struct groups *groups);

/* Calls `each` for every group that has a live cgroup. */
void groups_each_live(struct groups *groups, void (*each)(struct group *group, void *arg),
		      void *arg);
/* One user more or less; a group that is gone leaves with its last user. NULL is fine. */
void group_get(struct group *group);
void group_put(struct groups *groups, struct group *group);
size_t groups_count(const struct groups *groups); /* cgroups that exist now */

/* How many groups were named in which way since the start, by enum resolution (group_name.h). */
const uint64_t *groups_resolutions(const struct groups *groups);

/* Another number whenever a cgroup came, went or got its name. */
uint64_t groups_version(const struct groups *groups);
/* Calls `each` for every cgroup that exists and has its name. */
void groups_each_cgroup(struct groups *groups,
			void (*each)(uint64_t id, const char *path, const struct group *group,
				     void *arg),
			void *arg);

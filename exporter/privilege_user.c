/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who the exporter becomes. Root's default is nobody: what it reads is readable by everybody, and
 * root without capabilities still owns root's files.
 */
#include "privilege_parts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "log.h"

#define NOBODY 65534 /* where an image has no list of users */

/* A name, or digits: 0 when it is neither. */
static bool look_up(const char *name, struct privilege_user *user)
{
	const struct passwd *entry = getpwnam(name);
	unsigned long long uid;
	char *end;

	if (!entry) {
		errno = 0;
		uid = strtoull(name, &end, 10);
		if (*name < '0' || *name > '9' || *end || errno || uid >= UINT32_MAX)
			return false;
		user->uid = uid;
		entry = getpwuid(uid);
	}
	user->gid = entry ? entry->pw_gid : user->uid;
	if (entry)
		user->uid = entry->pw_uid;
	return true;
}

int privilege_find_user(const char *name, struct privilege_user *user)
{
	const uint64_t both = CAPABILITY(CAP_SETUID) | CAPABILITY(CAP_SETGID);
	uint64_t have = 0;
	bool may;

	*user = (struct privilege_user){ .name = name ? name : "nobody",
					 .uid = NOBODY,
					 .gid = NOBODY };
	if (!look_up(user->name, user) && name) {
		log_error("--user=%s: no such user; create it, or give one that exists or a number",
			  name);
		return -ENOENT;
	}
	may = !capabilities_read(&have) && (have & both) == both;
	if (user->uid == geteuid() && !name)
		return 0;
	if (name && user->uid != geteuid() && !may) {
		log_error("--user=%s: missing%s%s%s: becoming another user needs both; start as "
			  "root, or leave "
			  "the flag out to stay user %u",
			  name, have & CAPABILITY(CAP_SETUID) ? "" : " CAP_SETUID",
			  (have & both) ? "" : " and",
			  have & CAPABILITY(CAP_SETGID) ? "" : " CAP_SETGID", geteuid());
		return -EPERM;
	}
	user->change = may && (name || !geteuid());
	return 0;
}

int user_become(const struct privilege_user *user, bool group_0, bool keep)
{
	static const gid_t root = 0;
	int signal = 0, err = 0;

	prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0);
	if ((keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)) || setgroups(group_0, &root) ||
	    setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		err = -errno;
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (signal) /* who is to end with its parent still is: becoming another user forgets it */
		prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0);
	return err;
}

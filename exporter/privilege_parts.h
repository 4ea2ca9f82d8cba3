/* SPDX-License-Identifier: GPL-2.0-only */
/* privilege_parts: the layers, one file each. All return 0 or -errno and log nothing. */
#pragma once

#include "privilege.h"

#include <linux/capability.h>

/* Headers before 5.8 do not know them. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#define CAP_BPF	    39
#endif
#define CAPABILITY(number) (1ULL << (number))

/* The effective ones. */
int capabilities_read(uint64_t *effective);
/* Of the bounding and the ambient set as well; what CAP_SETPCAP would be needed for is left. */
void capabilities_bound(uint64_t keep);
int capabilities_keep(uint64_t keep);

/* With group 0 when `group_0`, else without any other group. Capabilities survive it when `keep`.
 */
int user_become(const struct privilege_user *user, bool group_0, bool keep);

bool landlock_available(void);
/* Returns the kernel's ABI (1 or more), or -errno: ENOSYS, EOPNOTSUPP where there is none. */
int landlock_restrict(const char *const *paths, size_t n);

/* For all threads. Needs no_new_privs. */
int seccomp_restrict(void);

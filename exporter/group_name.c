/* SPDX-License-Identifier: GPL-2.0-only */
#include "group_name.h"

#include <fnmatch.h>
#include <string.h>

#include "label.h"

const char *const group_label_names[NR_GROUP_LABELS + 1] = { "cgroup", "unit",	    "namespace",
							     "pod",    "container", NULL };
const char *const resolution_names[NR_RESOLUTIONS] = { "pod",  "container", "unit",
						       "path", "other",	    "unresolved" };

#define SHORT_ID 12 /* digits of a container's id, as runtimes print it */

static bool matches(const char *const *globs, size_t n, const char *path, const char *unit,
		    const char *namespace)
{
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(globs[i], path, 0) || (*unit && !fnmatch(globs[i], unit, 0)) ||
		    (*namespace && !fnmatch(globs[i], namespace, 0)))
			return true;
	return false;
}

static bool is_left_out(const struct group_naming *naming, const char *path, const char *unit,
			const char *namespace)
{
	return (naming->nr_include &&
		!matches(naming->include, naming->nr_include, path, unit, namespace)) ||
	       matches(naming->exclude, naming->nr_exclude, path, unit, namespace);
}

static void add(struct group_name *out, const struct group_naming *naming, enum group_label label,
		const char *value)
{
	if (!(naming->drop >> label & 1))
		label_add(&out->labels, group_label_names[label], value, strlen(value));
}

/* A container that nobody has a name for is called by its id. */
static void by_id(struct container_name *name, const struct cgroup_path *at)
{
	snprintf(name->container, sizeof(name->container), "%.*s", SHORT_ID, at->container_id);
}

/* Finds the names; false when one may still come. */
static bool find_names(const struct group_naming *naming, const struct cgroup_path *at, bool last,
		       struct container_name *name, enum resolution *resolution)
{
	bool found = false;

	*name = (struct container_name){ 0 };
	if (at->owner == OWNER_UNIT) {
		*resolution = RESOLVED_UNIT;
		by_id(name, at); /* a user's own container: its names are in the user's home */
		return true;
	}
	*resolution = at->owner == OWNER_POD ? RESOLVED_POD : RESOLVED_CONTAINER;
	if (naming->names)
		found = container_names_find(naming->names, at, name);
	if (found || (naming->names && !last))
		return found;
	*resolution = UNRESOLVED;
	if (at->owner == OWNER_CONTAINER)
		by_id(name, at);
	else if (!*name->pod)
		strcpy(name->pod, at->pod_uid);
	return true;
}

bool group_name(struct group_name *out, const struct group_naming *naming, const char *path,
		bool last)
{
	struct container_name name;
	struct cgroup_path at;
	char unit[256] = "";
	bool task = false;

	*out = (struct group_name){ .resolution = RESOLVED_PATH };
	cgroup_path_parse(&at, path);
	if (at.owner == OWNER_PATH) {
		name = (struct container_name){ 0 };
		task = naming->names && container_names_of_task(naming->names, path, &name);
		if (task)
			out->resolution = RESOLVED_CONTAINER;
	} else if (!find_names(naming, &at, last, &name, &out->resolution)) {
		return false;
	}
	if (at.unit)
		snprintf(unit, sizeof(unit), "%.*s", (int)at.unit_len, at.unit);
	if (is_left_out(naming, path, unit, name.namespace)) {
		out->resolution = RESOLVED_OTHER;
		label_add(&out->labels, "cgroup", "(other)", 7);
		return true;
	}
	strcpy(out->uid, at.pod_uid);
	add(out, naming, GROUP_LABEL_UNIT, unit);
	add(out, naming, GROUP_LABEL_NAMESPACE, name.namespace);
	add(out, naming, GROUP_LABEL_POD, name.pod);
	add(out, naming, GROUP_LABEL_CONTAINER, name.container);
	if (at.owner == OWNER_PATH && !task)
		add(out, naming, GROUP_LABEL_CGROUP, path);
	if (!out->labels.len) /* all that it has was dropped */
		label_add(&out->labels, "cgroup", "(dropped)", 9);
	/* pods that share one label set are not one after the other */
	if (naming->drop >> GROUP_LABEL_POD & 1)
		*out->uid = 0;
	return true;
}

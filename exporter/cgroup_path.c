/* SPDX-License-Identifier: GPL-2.0-only */
#include "cgroup_path.h"

#include <string.h>

#define ID_LEN	64
#define UID_LEN 36 /* 8-4-4-4-12; a static pod's is 32 hex digits */

/* One element of a path. */
struct element {
	const char *text;
	size_t len;
};

static bool next_element(const char **at, struct element *e)
{
	while (**at == '/')
		(*at)++;
	e->text = *at;
	e->len = strcspn(*at, "/");
	*at += e->len;
	return e->len;
}

static bool begins(const struct element *e, const char *prefix)
{
	size_t n = strlen(prefix);

	return e->len > n && !memcmp(e->text, prefix, n);
}

static bool ends(const struct element *e, const char *suffix)
{
	size_t n = strlen(suffix);

	return e->len > n && !memcmp(e->text + e->len - n, suffix, n);
}

static struct element without(struct element e, size_t front, const char *suffix)
{
	e.text += front;
	e.len -= front;
	if (suffix && ends(&e, suffix))
		e.len -= strlen(suffix);
	return e;
}

static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return len;
}

static void keep(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	out[len] = 0;
}

/* ---- pods ---- */

/* A pod's uid: dashed, dashes as '_' (the systemd driver), or a static pod's hash. */
static bool read_uid(char *out, const struct element *e)
{
	static const size_t parts[] = { 8, 4, 4, 4, 12 };
	const char *at = e->text;

	if (e->len == 32 && is_hex(e->text, 32)) {
		keep(out, e->text, 32);
		return true;
	}
	if (e->len != UID_LEN)
		return false;
	for (size_t i = 0; i < 5; at += parts[i++] + 1)
		if (!is_hex(at, parts[i]) || (i < 4 && at[parts[i]] != '-' && at[parts[i]] != '_'))
			return false;
	keep(out, e->text, UID_LEN);
	for (char *c = out; *c; c++)
		if (*c == '_')
			*c = '-';
	return true;
}

/* "pod<uid>" of the cgroupfs driver, "...-pod<uid>.slice" of the systemd driver. */
static bool read_pod(struct cgroup_path *out, const struct element *e)
{
	struct element uid;

	if (begins(e, "pod")) {
		uid = without(*e, 3, NULL);
		return read_uid(out->pod_uid, &uid);
	}
	if (!ends(e, ".slice"))
		return false;
	uid = without(*e, 0, ".slice");
	for (size_t len = UID_LEN;; len = 32) {
		if (uid.len > len + 4 && !memcmp(uid.text + uid.len - len - 4, "-pod", 4)) {
			struct element tail = without(uid, uid.len - len, NULL);

			if (read_uid(out->pod_uid, &tail))
				return true;
		}
		if (len == 32)
			return false;
	}
}

/* The folders of the kubelet: "kubepods", "burstable"; "x-kubepods-besteffort.slice". */
static void read_qos(struct cgroup_path *out, const struct element *e)
{
	static const char *const classes[] = { "burstable", "besteffort" };
	struct element name = without(*e, 0, ".slice");

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(classes[i]);

		if (name.len >= n && !memcmp(name.text + name.len - n, classes[i], n) &&
		    (name.len == n || name.text[name.len - n - 1] == '-'))
			out->qos = classes[i];
	}
}

static bool is_kubepods(const struct element *e)
{
	struct element name = without(*e, 0, ".slice");
	const char *word = "kubepods";
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= name.len; i++)
		if (!memcmp(name.text + i, word, n) && (!i || name.text[i - 1] == '-') &&
		    (i + n == name.len || name.text[i + n] == '-'))
			return true;
	return false;
}

/* ---- containers ---- */

static const struct {
	const char *prefix, *runtime;
	bool monitor;
} id_prefixes[] = {
	{ "crio-conmon-", "cri-o", true },	    { "crio-", "cri-o", false },
	{ "cri-containerd-", "containerd", false }, { "docker-", "docker", false },
	{ "libpod-conmon-", "podman", true },	    { "libpod-", "podman", false },
	{ "nerdctl-", "containerd", false },	    { "", "", false },
};

/* An element that carries a container's id: "<id>", "docker-<id>.scope", "libpod-<id>". */
static bool read_id(struct cgroup_path *out, const struct element *element)
{
	struct element e = without(*element, 0, ".scope");

	if (e.len < ID_LEN || !is_hex(e.text + e.len - ID_LEN, ID_LEN))
		return false;
	for (size_t i = 0; i < sizeof(id_prefixes) / sizeof(*id_prefixes); i++) {
		size_t n = strlen(id_prefixes[i].prefix);

		if (e.len != n + ID_LEN || memcmp(e.text, id_prefixes[i].prefix, n))
			continue;
		keep(out->container_id, e.text + n, ID_LEN);
		if (*id_prefixes[i].runtime)
			out->runtime = id_prefixes[i].runtime;
		out->monitor = id_prefixes[i].monitor;
		return true;
	}
	return false;
}

/* systemd's escapes: "\x2d" is '-'. False when the name does not fit. */
static bool unescape(char *out, size_t size, const struct element *e)
{
	size_t used = 0;

	for (size_t i = 0; i < e->len; i++) {
		char c = e->text[i];

		if (c == '\\' && e->len - i >= 4 && e->text[i + 1] == 'x' &&
		    is_hex(e->text + i + 2, 2)) {
			const char *hex = e->text + i + 2;
			unsigned int high = hex[0] <= '9' ? hex[0] - '0' : hex[0] - 'a' + 10;
			unsigned int low = hex[1] <= '9' ? hex[1] - '0' : hex[1] - 'a' + 10;

			c = (char)(high << 4 | low);
			i += 3;
		}
		if (used + 1 >= size) {
			*out = 0; /* or whoever is further down the path had half of it */
			return false;
		}
		out[used++] = c;
	}
	out[used] = 0;
	return used;
}

/* Containers that are known by name: LXC's at the root, those registered with machined. */
static bool read_named(struct cgroup_path *out, const struct element *e, size_t depth, bool in_lxc)
{
	struct element name = { NULL, 0 };

	if (!depth && begins(e, "lxc.payload."))
		name = without(*e, 12, NULL);
	else if (depth == 1 && in_lxc)
		name = *e;
	if (name.len && unescape(out->name, sizeof(out->name), &name)) {
		out->runtime = "lxc";
		return true;
	}
	/* a virtual machine is no container: its scope stays a unit */
	if (!ends(e, ".scope") || begins(e, "machine-qemu"))
		return false;
	name = without(*e, 0, ".scope");
	if (!begins(&name, "machine-"))
		return false;
	name = without(name, 8, NULL);
	if (!unescape(out->name, sizeof(out->name), &name))
		return false;
	out->runtime = "machined";
	return true;
}

static bool is_unit(const struct element *e)
{
	return ends(e, ".service") || ends(e, ".scope") || ends(e, ".mount") ||
	       ends(e, ".socket") || ends(e, ".swap");
}

/* What a plain 64-digit folder belongs to is said by the one around it. */
static const char *runtime_around(const struct element *parent)
{
	if (parent->len == 6 && !memcmp(parent->text, "docker", 6))
		return "docker";
	if (parent->len == 13 && !memcmp(parent->text, "libpod_parent", 13))
		return "podman";
	if (parent->len == 6 && !memcmp(parent->text, "k8s.io", 6))
		return "containerd";
	return "";
}

/* The first one below a pod is its container; what follows is that one's own. */
static void read_pods_container(struct cgroup_path *out, const char *at)
{
	struct element e;

	while (next_element(&at, &e))
		if (read_id(out, &e))
			return;
}

/* podman's pods: "PODID/libpod-ID"; `pod` is the element that was taken for a container. */
static bool read_podman_pod(struct cgroup_path *out, const struct element *pod,
			    const struct element *e)
{
	if (pod->len != ID_LEN || !begins(e, "libpod-"))
		return false;
	memcpy(out->pod_id, out->container_id, sizeof(out->pod_id));
	return read_id(out, e);
}

void cgroup_path_parse(struct cgroup_path *out, const char *path)
{
	struct element e, parent = { "", 0 };
	bool kube = false, in_lxc = false, mine;
	const char *at = path;

	*out = (struct cgroup_path){ .runtime = "", .qos = "" };
	for (size_t depth = 0; next_element(&at, &e); parent = e, depth++) {
		kube |= is_kubepods(&e);
		if (kube && out->owner != OWNER_UNIT) {
			read_qos(out, &e);
			if (read_pod(out, &e)) {
				/* a container around it is the node itself */
				out->owner = OWNER_POD;
				out->container_id[0] = out->name[0] = out->pod_id[0] = 0;
				out->runtime = "";
				if (!*out->qos)
					out->qos = "guaranteed";
				read_pods_container(out, at);
				return;
			}
		}
		if (out->owner == OWNER_CONTAINER) {
			if (read_podman_pod(out, &parent, &e))
				break;
			continue;
		}
		mine = read_id(out, &e);
		if (out->owner == OWNER_UNIT) {
			if (mine)
				break; /* a user's own container */
			continue;
		}
		if (mine && !*out->runtime)
			out->runtime = runtime_around(&parent);
		if (mine || read_named(out, &e, depth, in_lxc)) {
			out->owner = OWNER_CONTAINER;
		} else if (is_unit(&e)) {
			out->owner = OWNER_UNIT;
			out->unit = e.text;
			out->unit_len = e.len;
			/* what a service makes below itself is its own, but users run containers
			 * too */
			if (!begins(&e, "user@"))
				break;
		}
		in_lxc = !depth && e.len == 3 && !memcmp(e.text, "lxc", 3);
	}
	out->qos = "";
}

bool cgroup_path_is_pod(const char *path)
{
	struct cgroup_path parsed;

	cgroup_path_parse(&parsed, path);
	return parsed.owner == OWNER_POD;
}

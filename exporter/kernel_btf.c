/* SPDX-License-Identifier: GPL-2.0-only */
#include "kernel_btf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "hash.h"
#include "kernel_btf_parts.h"
#include "log.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* 6.3 */
#endif

/* ---- names ---- */

/* Of both kinds of enums one is meant when the other is asked for: kernels changed between them. */
static uint32_t kind_bit(uint32_t kind)
{
	return 1U << (kind == BTF_KIND_ENUM64 ? BTF_KIND_ENUM : kind);
}

static uint32_t essential_len(const char *name)
{
	const char *flavour = strstr(name, "___");

	return flavour && flavour != name ? (uint32_t)(flavour - name) : (uint32_t)strlen(name);
}

static struct wanted_name *slot_of(const struct names *names, const char *text, uint32_t len)
{
	size_t at = hash_bytes(text, len);

	for (;; at++) {
		struct wanted_name *slot = &names->slots[at & (names->size - 1)];

		if (!slot->text || (slot->len == len && !memcmp(slot->text, text, len)))
			return slot;
	}
}

static int grow(struct names *names)
{
	struct names bigger = { .n = names->n, .size = names->size ? 2 * names->size : 1024 };

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < names->size; i++)
		if (names->slots[i].text)
			*slot_of(&bigger, names->slots[i].text, names->slots[i].len) =
				names->slots[i];
	free(names->slots);
	*names = bigger;
	return 0;
}

int names_add(struct names *names, const char *name, uint32_t kind)
{
	uint32_t len = essential_len(name);
	struct wanted_name *slot;

	if (2 * (names->n + 1) > names->size && grow(names))
		return -ENOMEM;
	slot = slot_of(names, name, len);
	if (!slot->text) {
		slot->text = name;
		slot->len = len;
		names->n++;
	}
	slot->kinds |= kind_bit(kind);
	return 0;
}

bool names_have(const struct names *names, const char *name, uint32_t kind)
{
	return names->size && slot_of(names, name, essential_len(name))->kinds & kind_bit(kind);
}

/* ---- what the objects ask about ---- */

static int add_types(struct names *names, const struct btf *btf)
{
	int err = 0;

	for (uint32_t id = 1; btf && id < btf__type_cnt(btf) && !err; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf__name_by_offset(btf, t->name_off);

		if (name && *name &&
		    (btf_is_composite(t) || btf_is_any_enum(t) || btf_is_typedef(t) ||
		     btf_is_int(t)))
			err = names_add(names, name, btf_kind(t));
	}
	return err;
}

/* SEC("x/hook"): the function `hook`, a tracepoint's prototype, an iterator's. */
static int add_hooks(struct names *names, const struct bpf_object *object, char **texts, size_t *n)
{
	static const struct {
		const char *prefix;
		uint32_t kind;
	} types[] = { { "", BTF_KIND_FUNC },
		      { "btf_trace_", BTF_KIND_TYPEDEF },
		      { "bpf_iter_", BTF_KIND_FUNC } };
	struct bpf_program *program;

	bpf_object__for_each_program(program, object)
	{
		const char *hook = strchr(bpf_program__section_name(program), '/');

		for (size_t i = 0; hook && i < sizeof(types) / sizeof(*types); i++) {
			if (asprintf(&texts[*n], "%s%s", types[i].prefix, hook + 1) < 0)
				return -ENOMEM;
			if (names_add(names, texts[(*n)++], types[i].kind))
				return -ENOMEM;
		}
	}
	return 0;
}

static size_t count_programs(struct bpf_object *const *objects, size_t n)
{
	struct bpf_program *program;
	size_t programs = 0;

	for (size_t i = 0; i < n; i++)
		bpf_object__for_each_program(program, objects[i]) programs++;
	return programs;
}

/* ---- the kernel's ---- */

struct bytes {
	void *data;
	size_t size;
};

/* Mapped where that is possible (6.16, a539e2a6d51d): then it costs no memory at all. */
static int read_bytes(const char *path, struct bytes *bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	size_t have = 0;
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !st.st_size) {
		close(fd);
		return -EPROTO;
	}
	bytes->size = st.st_size;
	bytes->data = mmap(NULL, bytes->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes->data != MAP_FAILED) {
		close(fd);
		return 0;
	}
	/* no malloc(): this goes back to the kernel whole */
	bytes->data =
		mmap(NULL, bytes->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bytes->data == MAP_FAILED)
		err = -ENOMEM;
	while (!err && have < bytes->size) {
		got = read(fd, (char *)bytes->data + have, bytes->size - have);
		if (got > 0)
			have += got;
		else if (!got || errno != EINTR)
			err = got ? -errno : -EPROTO;
	}
	close(fd);
	if (err && bytes->data != MAP_FAILED)
		munmap(bytes->data, bytes->size);
	return err;
}

static int write_file(struct kernel_btf *kernel)
{
	uint32_t size, have = 0;
	const char *data = btf__raw_data(kernel->types, &size);

	if (!data)
		return -ENOMEM;
	while (kernel->file >= 0 && have < size) {
		ssize_t put = write(kernel->file, data + have, size - have);

		if (put < 0 && errno != EINTR)
			return -errno;
		have += put > 0 ? put : 0;
	}
	return 0;
}

void kernel_btf_open(struct kernel_btf *kernel)
{
	*kernel = (struct kernel_btf){ .file = memfd_create("btf", MFD_CLOEXEC | MFD_NOEXEC_SEAL) };
	if (kernel->file < 0) /* before 6.3; since, vm.memfd_noexec=2 demands the flag */
		kernel->file = memfd_create("btf", MFD_CLOEXEC);
	snprintf(kernel->path, sizeof(kernel->path), "/proc/self/fd/%d", kernel->file);
	if (kernel->file >= 0 && access(kernel->path, R_OK)) {
		close(kernel->file);
		kernel->file = -1;
	}
	if (kernel->file < 0)
		snprintf(kernel->path, sizeof(kernel->path), "%s", KERNEL_BTF);
}

static int cut(struct kernel_btf *kernel, const char *path, const struct names *names)
{
	struct bytes bytes = { 0 };
	int err = read_bytes(path, &bytes);

	if (err)
		return err;
	kernel->types = kernel_btf_cut(bytes.data, bytes.size, names, &kernel->ids);
	err = kernel->types ? 0 : -errno;
	munmap(bytes.data, bytes.size);
	if (err == -EPROTO) { /* kinds of types that came later: a newer libbpf may know them */
		kernel->types = btf__parse(path, NULL);
		err = kernel->types ? 0 : -errno;
	}
	return err ? err : write_file(kernel);
}

int kernel_btf_read(struct kernel_btf *kernel, const char *path, struct bpf_object *const *objects,
		    size_t n)
{
	char **texts = calloc(3 * count_programs(objects, n) + 1, sizeof(*texts));
	struct names names = { 0 };
	size_t nr_texts = 0;
	int err = texts ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && !err; i++) {
		err = add_types(&names, bpf_object__btf(objects[i]));
		if (!err)
			err = add_hooks(&names, objects[i], texts, &nr_texts);
	}
	if (!err) /* what the loader itself asks about (attach.c, attach_maps.c) */
		err = names_add(&names, "bpf_func_id", BTF_KIND_ENUM);
	if (!err)
		err = names_add(&names, "bpf_htab", BTF_KIND_STRUCT);
	if (!err)
		err = cut(kernel, path, &names);
	for (size_t i = 0; i < nr_texts; i++)
		free(texts[i]);
	free(texts);
	free(names.slots);
	return err;
}

uint32_t kernel_btf_id(const struct kernel_btf *kernel, const char *prefix, const char *name,
		       uint32_t kind)
{
	char full[256];
	int id;

	if (snprintf(full, sizeof(full), "%s%s", prefix, name) >= (int)sizeof(full))
		return 0;
	id = btf__find_by_name_kind(kernel->types, full, kind);
	if (id <= 0)
		return 0;
	return kernel->ids ? kernel->ids[id] : (uint32_t)id;
}

void kernel_btf_close(struct kernel_btf *kernel)
{
	btf__free(kernel->types);
	free(kernel->ids);
	if (kernel->file >= 0)
		close(kernel->file);
	*kernel = (struct kernel_btf){ .file = -1 };
}

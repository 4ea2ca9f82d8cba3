/* SPDX-License-Identifier: GPL-2.0-only */
/* kernel_btf_cut: a small BTF out of a large one, without a copy of the large one. */
#include "kernel_btf_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

/* How a type was reached: what of it is needed. */
enum how {
	NAMED = 1,    /* all of it, and what it points to as an argument would */
	MEMBER = 2,   /* all of it; where it points to does not matter */
	ARGUMENT = 4, /* what it is and points to, but not what a structure has in it */
};

struct cut {
	const struct names *names;
	const char *strings;
	uint32_t strings_len, n;
	const struct btf_type **types; /* by id; the first one, void, is NULL */
	uint8_t *kept;		       /* by id: bits of enum how */
	uint32_t *new_ids;	       /* by id, of what is kept */
	uint32_t void_pointer;	       /* its new id */
	struct btf *out;
};

/* ---- the large one ---- */

static uint32_t bytes_after(const struct btf_type *t)
{
	uint32_t n = btf_vlen(t);

	switch (btf_kind(t)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return n * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return n * sizeof(struct btf_var_secinfo);
	}
	return UINT32_MAX;
}

static const char *name_at(const struct cut *cut, uint32_t offset)
{
	return offset < cut->strings_len ? cut->strings + offset : "";
}

/* NULL for void, and for an id that there is not. */
static const struct btf_type *type_of(const struct cut *cut, uint32_t id)
{
	return id < cut->n ? cut->types[id] : NULL;
}

/* Finds where each type begins: once to count them, once to remember. */
static int find_types(struct cut *cut, const char *at, const char *end)
{
	while (at < end) {
		const struct btf_type *t = (const void *)at;
		uint32_t more;

		if ((size_t)(end - at) < sizeof(*t))
			return -EPROTO;
		more = bytes_after(t);
		if (more > (size_t)(end - at) - sizeof(*t))
			return -EPROTO; /* of an unknown kind, or the end is missing */
		if (cut->types)
			cut->types[cut->n] = t;
		cut->n++;
		at += sizeof(*t) + more;
	}
	return 0;
}

static int read_all(struct cut *cut, const char *data, size_t size)
{
	struct btf_header header;
	size_t rest;
	const char *types;
	int err;

	if (size < sizeof(header))
		return -EPROTO;
	memcpy(&header, data, sizeof(header));
	if (header.magic != BTF_MAGIC || header.hdr_len < sizeof(header) || header.hdr_len > size)
		return -EPROTO;
	rest = size - header.hdr_len;
	if (header.type_off % 4 || header.hdr_len % 4 || header.type_off > rest ||
	    header.type_len > rest - header.type_off || header.str_off > rest ||
	    header.str_len > rest - header.str_off || !header.str_len)
		return -EPROTO;
	types = data + header.hdr_len + header.type_off;
	cut->strings = data + header.hdr_len + header.str_off;
	cut->strings_len = header.str_len;
	if (cut->strings[cut->strings_len - 1])
		return -EPROTO;
	cut->n = 1;
	err = find_types(cut, types, types + header.type_len);
	if (err)
		return err;
	cut->types = calloc(cut->n, sizeof(*cut->types));
	cut->kept = calloc(cut->n, sizeof(*cut->kept));
	cut->new_ids = calloc(cut->n, sizeof(*cut->new_ids));
	if (!cut->types || !cut->kept || !cut->new_ids)
		return -ENOMEM;
	cut->n = 1;
	return find_types(cut, types, types + header.type_len);
}

/* ---- what to keep ---- */

static void keep(struct cut *cut, uint32_t id, enum how how);

static void keep_members(struct cut *cut, const struct btf_type *t)
{
	for (int i = 0; i < btf_vlen(t); i++)
		keep(cut, btf_members(t)[i].type, MEMBER);
}

static void keep_prototype(struct cut *cut, const struct btf_type *t)
{
	keep(cut, t->type, ARGUMENT);
	for (int i = 0; i < btf_vlen(t); i++)
		keep(cut, btf_params(t)[i].type, ARGUMENT);
}

static void keep(struct cut *cut, uint32_t id, enum how how)
{
	const struct btf_type *t = type_of(cut, id);

	if (!t || cut->kept[id] & how || (btf_is_ptr(t) && how == MEMBER))
		return;
	cut->kept[id] |= how;
	switch (btf_kind(t)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FUNC:
		keep(cut, t->type, ARGUMENT);
		break;
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		keep(cut, t->type, how);
		break;
	case BTF_KIND_ARRAY:
		keep(cut, btf_array(t)->type, how);
		keep(cut, btf_array(t)->index_type, how);
		break;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		if (how != ARGUMENT)
			keep_members(cut, t);
		break;
	case BTF_KIND_FUNC_PROTO:
		keep_prototype(cut, t);
		break;
	}
}

static void keep_wanted(struct cut *cut)
{
	for (uint32_t id = 1; id < cut->n; id++) {
		const struct btf_type *t = cut->types[id];

		if (t->name_off && names_have(cut->names, name_at(cut, t->name_off), btf_kind(t)))
			keep(cut, id, NAMED);
	}
}

/* ---- the small one ---- */

/* What a type of the cut refers to: pointers that were not followed are to void. */
static int new_id(const struct cut *cut, uint32_t id)
{
	const struct btf_type *t = type_of(cut, id);

	if (!t)
		return 0;
	return cut->kept[id] || !btf_is_ptr(t) ? cut->new_ids[id] : cut->void_pointer;
}

static int add_structure(const struct cut *cut, const struct btf_type *t, uint8_t kept)
{
	const char *name = name_at(cut, t->name_off);
	int id = btf_is_union(t) ? btf__add_union(cut->out, name, t->size)
				 : btf__add_struct(cut->out, name, t->size);
	int err = 0;

	if (!(kept & (NAMED | MEMBER)))
		return id;
	for (int i = 0; i < btf_vlen(t) && id > 0 && !err; i++) {
		const struct btf_member *m = &btf_members(t)[i];

		err = btf__add_field(cut->out, name_at(cut, m->name_off), new_id(cut, m->type),
				     btf_member_bit_offset(t, i), btf_member_bitfield_size(t, i));
	}
	return err ? err : id;
}

static int add_enum(const struct cut *cut, const struct btf_type *t)
{
	int id = btf__add_enum(cut->out, name_at(cut, t->name_off), t->size), err = 0;

	for (int i = 0; i < btf_vlen(t) && id > 0 && !err; i++) {
		const struct btf_enum *e = &btf_enum(t)[i];

		/* without the sign they came with, 0xffffffff and -1 are one */
		err = btf__add_enum_value(cut->out, name_at(cut, e->name_off),
					  btf_kflag(t) ? e->val : (int64_t)(uint32_t)e->val);
	}
	return err ? err : id;
}

static int add_enum64(const struct cut *cut, const struct btf_type *t)
{
	int id = btf__add_enum64(cut->out, name_at(cut, t->name_off), t->size, btf_kflag(t));
	int err = 0;

	for (int i = 0; i < btf_vlen(t) && id > 0 && !err; i++)
		err = btf__add_enum64_value(cut->out, name_at(cut, btf_enum64(t)[i].name_off),
					    btf_enum64_value(&btf_enum64(t)[i]));
	return err ? err : id;
}

static int add_prototype(const struct cut *cut, const struct btf_type *t)
{
	int id = btf__add_func_proto(cut->out, new_id(cut, t->type)), err = 0;

	for (int i = 0; i < btf_vlen(t) && id > 0 && !err; i++)
		err = btf__add_func_param(cut->out, name_at(cut, btf_params(t)[i].name_off),
					  new_id(cut, btf_params(t)[i].type));
	return err ? err : id;
}

/* Returns the new id, or -errno. */
static int add(const struct cut *cut, const struct btf_type *t, uint8_t kept)
{
	const char *name = name_at(cut, t->name_off);
	int to = t->type && btf_kind(t) != BTF_KIND_INT ? new_id(cut, t->type) : 0;

	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		return btf__add_int(cut->out, name, t->size, btf_int_encoding(t));
	case BTF_KIND_FLOAT:
		return btf__add_float(cut->out, name, t->size);
	case BTF_KIND_PTR:
		return btf__add_ptr(cut->out, to);
	case BTF_KIND_ARRAY:
		return btf__add_array(cut->out, new_id(cut, btf_array(t)->index_type),
				      new_id(cut, btf_array(t)->type), btf_array(t)->nelems);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return add_structure(cut, t, kept);
	case BTF_KIND_ENUM:
		return add_enum(cut, t);
	case BTF_KIND_ENUM64:
		return add_enum64(cut, t);
	case BTF_KIND_FWD:
		return btf__add_fwd(cut->out, name, btf_kflag(t) ? BTF_FWD_UNION : BTF_FWD_STRUCT);
	case BTF_KIND_TYPEDEF:
		return btf__add_typedef(cut->out, name, to);
	case BTF_KIND_VOLATILE:
		return btf__add_volatile(cut->out, to);
	case BTF_KIND_CONST:
		return btf__add_const(cut->out, to);
	case BTF_KIND_RESTRICT:
		return btf__add_restrict(cut->out, to);
	case BTF_KIND_TYPE_TAG:
		return btf__add_type_tag(cut->out, name, to);
	case BTF_KIND_FUNC:
		return btf__add_func(cut->out, name, btf_vlen(t), to);
	case BTF_KIND_FUNC_PROTO:
		return add_prototype(cut, t);
	}
	return -EPROTO; /* variables and tags are never kept */
}

static int copy_kept(struct cut *cut, uint32_t **ids)
{
	uint32_t n = 1;
	int err;

	for (uint32_t id = 1; id < cut->n; id++)
		if (cut->kept[id])
			cut->new_ids[id] = n++;
	cut->void_pointer = n;
	*ids = calloc(n + 1, sizeof(**ids));
	cut->out = btf__new_empty();
	if (!*ids || !cut->out)
		return -ENOMEM;
	btf__set_pointer_size(cut->out, 8);
	for (uint32_t id = 1; id < cut->n; id++) {
		if (!cut->kept[id])
			continue;
		err = add(cut, cut->types[id], cut->kept[id]);
		if (err != (int)cut->new_ids[id])
			return err < 0 ? err : -EPROTO;
		(*ids)[err] = id;
	}
	err = btf__add_ptr(cut->out, 0);
	return err < 0 ? err : 0;
}

struct btf *kernel_btf_cut(const void *data, size_t size, const struct names *names, uint32_t **ids)
{
	struct cut cut = { .names = names };
	int err = read_all(&cut, data, size);

	*ids = NULL;
	if (!err) {
		keep_wanted(&cut);
		err = copy_kept(&cut, ids);
	}
	free(cut.types);
	free(cut.kept);
	free(cut.new_ids);
	if (!err)
		return cut.out;
	btf__free(cut.out);
	free(*ids);
	*ids = NULL;
	errno = -err;
	return NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * version: what --version, the man page and build_info say. The build passes
 * -DBPF_EXPORTER_VERSION.
 */
#pragma once

#ifndef BPF_EXPORTER_VERSION
#define BPF_EXPORTER_VERSION "dev"
#endif

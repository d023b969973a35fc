/* conf_file: the text of a .env file as names and values.
 *
 * A line is blank, a comment after #, or NAME=VALUE with an optional `export` before it. A plain
 * value loses the blanks around it and ends before " #". In 'single quotes' all is meant as it
 * stands; in "double quotes" \n \t \r \" \\ \$ are escapes. Behind a closing quote only blanks and
 * a comment may stand. A quoted value ends on its line. Nothing is expanded.
 * SPDX-License-Identifier: MIT */
#ifndef BASE_CONF_FILE_H
#define BASE_CONF_FILE_H
#include "base/buf.h"

/* One entry; the slices are gone after the call. False stops the parse (with ERR_DENIED). */
typedef bool (*conf_entry_fn)(void *self, struct str name, struct str value, size_t line);

/* Calls `fn` for each entry in order. ERR_SYNTAX: `error` says the line and what would be right. */
enum err conf_file_parse(struct str text, struct buf *error, void *self,
                         conf_entry_fn fn) MUST_CHECK;

#endif

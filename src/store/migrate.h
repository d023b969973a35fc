/* migrate: the steps that make a database what this program expects, oldest first. Step n brings a
 * database of version n - 1 to version n; a step that was released is never changed, a new one is
 * added behind it. The text is SQLite's; who runs it keeps the version in `user_version`.
 * SPDX-License-Identifier: MIT */
#ifndef STORE_MIGRATE_H
#define STORE_MIGRATE_H

struct migration {
    const char *what; /* for the log */
    const char *sql;
};

/* The newest version; migrate_step(1) .. migrate_step(migrate_version()). */
int migrate_version(void);
const struct migration *migrate_step(int version);

#endif

/* assets: the files of web/light inside the program, plain and gzipped.
 *
 * scripts/embed-assets writes the table at build time from web/light/PATHS. Constant, sorted by
 * nothing, shared by all threads. SPDX-License-Identifier: MIT */
#ifndef API_ASSETS_H
#define API_ASSETS_H

struct asset {
    const char *path;          /* of the URL, "/crypto_report" */
    const char *type;          /* Content-Type */
    const unsigned char *gzip; /* NULL when gzip would not make it smaller */
    unsigned gzip_len;
    const unsigned char *plain;
    unsigned plain_len;
    const char *etag; /* with its quotes, of the plain bytes */
};

extern const struct asset assets[];
extern const unsigned assets_count;

#endif

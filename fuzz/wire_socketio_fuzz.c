/* Packets of Socket.IO of both revisions: what is read keeps the limits, and written again is read
 * as the same. SPDX-License-Identifier: MIT */
#include "wire/socketio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct str text, unsigned revision)
{
    struct sio_packet p, again;
    struct buf out = {0};
    const char *why = NULL;
    if (sio_read(text, revision, &p, &why) != OK) {
        if (!why || !why[0]) {
            abort();
        }
        return;
    }
    if (p.attachments > SIO_MAX_ATTACHMENTS || p.nsp.len > SIO_MAX_NAMESPACE ||
        p.ack.len > SIO_MAX_ACK_DIGITS || !p.nsp.len || !str_is_utf8(p.data) ||
        p.args.len > p.data.len) {
        abort();
    }
    if (p.type == SIO_CONNECT_ERROR && p.data.len && p.data.ptr[0] <= '9') {
        return; /* a number (behind blanks) would be taken for an ack id */
    }
    sio_write(&out, p.type, p.attachments, p.nsp, p.ack, p.data);
    if (sio_read(buf_str(&out), revision, &again, &why) != OK || again.type != p.type ||
        again.attachments != p.attachments || !str_eq(again.nsp, p.nsp) ||
        !str_eq(again.ack, p.ack) || !str_eq(again.data, p.data) || !str_eq(again.event, p.event) ||
        !str_eq(again.args, p.args)) {
        abort();
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make((const char *)data, size);
    check(text, 5);
    check(text, 4);
    return 0;
}

/* Posted payloads of Engine.IO; the first byte chooses the form. What was read is written again and
 * must be read as the same packets. SPDX-License-Identifier: MIT */
#include "wire/engineio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_PACKETS 64

/* A packet as eio_payload_add() takes it. */
static void write_packet(struct buf *out, enum eio_form form, const struct eio_packet *p)
{
    struct buf text = {0};
    size_t before = out->len;
    if (!p->binary) {
        (void)buf_add_char(&text, (char)('0' + (int)p->type));
        (void)buf_add_str(&text, p->data);
    }
    struct str bytes = p->binary ? p->data : buf_str(&text);
    eio_payload_add(out, form, p->binary, bytes);
    if (out->len - before > eio_payload_cost(form, p->binary, bytes)) {
        abort();
    }
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) {
        return 0;
    }
    enum eio_form form = (enum eio_form)(data[0] % 3);
    struct str body = str_make((const char *)data + 1, size - 1);
    struct eio_payload p, q;
    struct eio_packet packet, again;
    struct buf scratch = {0}, written = {0}, decoded = {0};
    enum err e = OK;
    size_t count = 0;
    eio_payload_begin(&p, form, body);
    while (count < MAX_PACKETS && (e = eio_payload_next(&p, &scratch, &packet)) == OK) {
        if (!packet.binary && !str_is_utf8(packet.data)) {
            abort();
        }
        write_packet(&written, form, &packet);
        count++;
    }
    eio_payload_begin(&p, form, body);
    eio_payload_begin(&q, form, buf_str(&written));
    for (size_t i = 0; i < count; i++) {
        if (eio_payload_next(&p, &scratch, &packet) != OK ||
            eio_payload_next(&q, &decoded, &again) != OK || packet.type != again.type ||
            packet.binary != again.binary || !str_eq(packet.data, again.data)) {
            abort();
        }
    }
    if (count && eio_payload_next(&q, &decoded, &again) != ERR_NOT_FOUND) {
        abort();
    }
    buf_fini(&scratch);
    buf_fini(&written);
    buf_fini(&decoded);
    return 0;
}

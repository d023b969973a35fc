// What limits each row of the results and what would be next: written by hand from `perf record -e cpu-clock`
// of the server, to be looked at again when the numbers change.

/** `table` makes one of a head and rows. */
export const limits = (table) =>
  "## What limits each, and what would be next\n\n" +
  "Shares are of the server's CPU time, sampled on Linux 6.18 with OpenSSL 3.0 and 1,000 clients.\n\n" +
  table(
    ["what", "limit", "next"],
    [
      [
        "a delivery, one in flight",
        "97 % is the kernel's send, over 40 % the receiving side, which loopback does in the sender's time; our part is the first touch of a connection's memory and the call",
        "descriptors registered with io_uring: to look one up for each send is 3 to 4 %",
      ],
      ["bursts", "the same, once for all messages of a turn; copying their bytes is 4 to 6 %", "nothing known"],
      ["4 KB", "the same; copying is 6 %", "`MSG_ZEROCOPY`, which pays from some 10 KB on only"],
      [
        "latency, a value's way",
        "sends follow one another on one core: the last of 1,000 waits for 999; the load client reads on one core, too",
        "more shards on more cores",
      ],
      [
        "memory of a connection",
        "our record of it and its places in the fan-out; over TLS OpenSSL's session is all but everything",
        "nothing for plain ones; a TLS library with smaller sessions",
      ],
      [
        "accept and upgrade",
        "over four fifths are the kernel's: first send, accept, receive, registration; the rest is parsing, SHA-1, the welcome, and page faults of new memory",
        "io_uring's accept into registered descriptors, which makes no file descriptor",
      ],
      [
        "a subscription",
        "each answer to a command is a send of its own: the fan-out takes bytes that wait in a connection for a full socket",
        "one send for all answers of a turn",
      ],
      ["permessage-deflate", "compressed once for all; then it is a delivery of fewer bytes", "nothing known"],
      [
        "TLS",
        "OpenSSL's own work, 0.6 us a record; some 40 cache lines of a session, which the sends in between push out; half a microsecond more in the kernel, whose lines they push out in turn",
        "kernel TLS where a kernel has it (docs/decisions/0013)",
      ],
      ["two shards", "they share nothing with each message; on two cores the load client takes its share of one", "a machine with more cores"],
      ["stalled clients", "nothing is kept for one but its place; the kernel's send buffer is bounded", "nothing known"],
      ["GET of the summary", "88 to 90 % is the kernel's send and receive; our own code, with reading the request, is 6 %", "nothing known"],
    ],
  );

/* Certificates of a test's own, made by openssl: an authority, and what it issues.
 * SPDX-License-Identifier: MIT */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const openssl = (args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });

/* Folders of files: `ca` is the authority's certificate; issue('DNS:a.test,IP:127.0.0.1') gives
 * {cert, key}, `days` below 0 one that has expired. */
export function makeAuthority(name = 'Test authority') {
  const dir = mkdtempSync(join(tmpdir(), 'coincast-ca-'));
  const ca = join(dir, 'ca.pem');
  const caKey = join(dir, 'ca-key.pem');
  let count = 0;
  openssl(['req', '-x509', ...KEY, '-days', '3', '-subj', `/CN=${name}`, '-keyout', caKey, '-out', ca]);
  return {
    dir,
    ca,
    issue(names, { days = 2 } = {}) {
      const at = join(dir, String(++count));
      const [cert, key, request, extensions] = ['.pem', '-key.pem', '.csr', '.ext'].map((end) => at + end);
      writeFileSync(extensions, `subjectAltName=${names}\n`);
      openssl(['req', ...KEY, '-subj', '/CN=exchange', '-keyout', key, '-out', request]);
      openssl(['x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', String(days),
        '-extfile', extensions, '-out', cert]);
      return { cert, key };
    },
    remove: () => rm(dir, { recursive: true, force: true }),
  };
}

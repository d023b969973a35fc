/* screenshots: pictures of the page as a running server shows it, for the README.
 * Usage: node screenshots.mjs http://127.0.0.1:8000 [SECONDS]
 * Waits SECONDS (30) so that the line of prices has something to show; writes docs/images/*.png.
 * SPDX-License-Identifier: MIT */
import { mkdirSync } from 'node:fs';
import { chromium } from 'playwright-core';

const [url, seconds = '30'] = process.argv.slice(2);
if (!url) {
  console.error('usage: node screenshots.mjs URL [SECONDS]');
  process.exit(2);
}
const folder = new URL('../../docs/images/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });
const shots = [
  { name: 'page-dark', viewport: { width: 1280, height: 1130 }, colorScheme: 'dark', locale: 'en-US' },
  { name: 'page-phone-vi', viewport: { width: 390, height: 1530 }, colorScheme: 'light', locale: 'vi-VN' },
];
await Promise.all(shots.map(async ({ name, ...options }) => {
  const page = await (await browser.newContext({ ...options, timezoneId: 'UTC' })).newPage();
  await page.goto(new URL('/crypto_report', url).href);
  await page.waitForFunction(() => document.getElementById('websocket-status')?.dataset.state === 'live');
  await page.waitForTimeout(Number(seconds) * 1000);
  await page.screenshot({ path: `${folder}${name}.png` });
}));
await browser.close();

/* first-paint: the reader's chosen theme and language, set before anything is drawn, so that nothing
 * flashes or moves. Runs before the body is read. SPDX-License-Identifier: MIT */
(() => {
  'use strict';
  const root = document.documentElement;
  let theme = null;
  let lang = null;
  try {
    theme = localStorage.getItem('coincast-theme');
    lang = localStorage.getItem('coincast-lang');
  } catch {
    // storage can be forbidden; then the choice lasts as long as the page
  }
  root.lang = lang ?? (navigator.language?.startsWith('vi') ? 'vi' : 'en');
  if (theme === 'dark' || theme === 'light') {
    root.dataset.theme = theme;
  }
})();

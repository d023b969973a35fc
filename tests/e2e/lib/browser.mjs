/* What a browser's scripts find and this Node may lack: loaded before an example that is written for
 * both. SPDX-License-Identifier: MIT */
import { EventSource } from 'eventsource';
import WebSocket from 'ws';

Object.assign(globalThis, { EventSource, WebSocket });

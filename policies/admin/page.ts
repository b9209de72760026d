import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerResponse } from 'node:http';
import { send } from './http.ts';

/** The dashboard's files and their types. Nothing else is served from the folder. */
const files: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'dashboard.js': 'text/javascript; charset=utf-8',
  'dashboard.css': 'text/css; charset=utf-8',
};

/** Allows only resources from this gateway, since the page shows names that clients chose. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Sends one of the dashboard's files from `folder`, the output of the build. */
export async function sendPage(res: ServerResponse, folder: string, name: string): Promise<void> {
  const body = await readFile(join(folder, name));
  send(res, 200, files[name] ?? 'application/octet-stream', body, {
    'Content-Security-Policy': policy,
    'Cross-Origin-Opener-Policy': 'same-origin',
  });
}

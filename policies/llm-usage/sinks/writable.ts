import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Returns why no file can be written at that path, or null if one can. Creates missing folders. */
export function whyNotWritable(path: string): string | null {
  const file = resolve(path);
  const folder = dirname(file);
  try {
    makeFolder(folder);
  } catch (error) {
    return `the folder ${folder} cannot be created (${codeOf(error)})`;
  }
  try {
    const known = statSync(file, { throwIfNoEntry: false });
    if (known?.isDirectory()) return `${file} is a folder, expected a file`;
    accessSync(known === undefined ? folder : file, constants.W_OK);
    return null;
  } catch (error) {
    return `${file} cannot be written (${codeOf(error)})`;
  }
}

/**
 * Does without `recursive`: in a folder that accepts no new ones (/proc), Node 20 would then loop
 * forever.
 */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  try {
    mkdirSync(folder);
  } catch (error) {
    // Another process may have created it meanwhile.
    if (codeOf(error) !== 'EEXIST') throw error;
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

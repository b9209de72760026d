import { readFileSync } from 'node:fs';
import process from 'node:process';
import { ConfigurationError } from '../../schemas/validate.ts';
import { isObject, type JsonObject } from '../shared/json/json.ts';

/** The gateway's own Redis options, without those that are only for the gateway. */
export function redisOfGateway(
  systemConfig: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const {
    emulate: _emulate,
    namespace: _namespace,
    keyPrefix: _keyPrefix,
    ...options
  } = dbRedis(systemConfig);
  return isObject(options['tls']) ? { ...options, tls: withFiles(options['tls']) } : options;
}

/** Reads the files that `tls` names. The gateway itself reads them only after loading its plugins. */
function withFiles(tls: JsonObject): JsonObject {
  const read = { ...tls };
  for (const name of ['key', 'cert', 'ca']) {
    const file = tls[`${name}File`];
    if (typeof file === 'string' && file !== '') read[name] ??= readFile(file, `${name}File`);
  }
  return read;
}

function readFile(file: string, setting: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
    throw new ConfigurationError(
      `system.config.yml: "db.redis.tls.${setting}" is a file that cannot be read (${code}): ${file}`,
    );
  }
}

/** Whether the gateway runs without a Redis of its own. */
export function isEmulated(systemConfig: Readonly<Record<string, unknown>>): boolean {
  return process.argv[2] === 'emulate' || dbRedis(systemConfig)['emulate'] === true;
}

function dbRedis(systemConfig: Readonly<Record<string, unknown>>): JsonObject {
  const { db } = systemConfig;
  return isObject(db) && isObject(db['redis']) ? db['redis'] : {};
}

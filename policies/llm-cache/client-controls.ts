import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';

/** What a client's request headers ask of the cache. */
export interface ClientControls {
  /** Neither answer from the cache nor store the answer. */
  readonly bypass: 'no-cache' | 'no-store' | null;
  /** Never call the upstream. */
  readonly onlyIfCached: boolean;
  /** Call the upstream and replace the stored response. */
  readonly refresh: boolean;
  /** The greatest age of a stored response, in seconds. */
  readonly maxAge: number | null;
  /** The freshness lifetime of the answer to this request, in seconds. */
  readonly ttl: number | null;
  /** Whether the cache of identical requests takes part. */
  readonly exact: boolean;
  /** Whether the client asks for the cache, as `mode: opt-in` requires. */
  readonly optsIn: boolean;
  /** What the client adds to the keys of its requests; null for nothing. */
  readonly namespace: string | null;
}

export const noControls: ClientControls = {
  bypass: null,
  onlyIfCached: false,
  refresh: false,
  maxAge: null,
  ttl: null,
  exact: true,
  optsIn: false,
  namespace: null,
};

type ControlSettings = Pick<LlmCacheSettings, 'clientControls' | 'allowedControls'>;

/** Reads the controls that the settings of a pipeline step allow the client. */
export function controlsOf(
  request: { header(name: string): string | undefined },
  { clientControls, allowedControls }: ControlSettings,
): ClientControls {
  if (!clientControls) return noControls;
  const allowed: readonly string[] = allowedControls;
  return readControls((name) => (allowed.includes(name) ? request.header(name) : undefined));
}

/** Reads the controls from the headers. Ignores unknown directives (RFC 9111, section 5.2). */
export function readControls(header: (name: string) => string | undefined): ClientControls {
  const general = header('cache-control');
  const ours = header('x-cache-control');
  const ttl = header('x-cache-ttl');
  const type = header('x-cache-type');
  const namespace = header('x-cache-namespace');
  if ((general ?? ours ?? ttl ?? type ?? namespace) === undefined) return noControls;
  const cacheControl = directives(general);
  const own = directives(ours);
  const noStore = cacheControl.has('no-store') || own.has('no-store');
  return {
    bypass: cacheControl.has('no-cache') ? 'no-cache' : noStore ? 'no-store' : null,
    onlyIfCached: cacheControl.has('only-if-cached'),
    refresh: own.has('refresh'),
    maxAge: seconds(cacheControl.get('max-age')),
    ttl: seconds(ttl) || null,
    exact: type?.trim().toLowerCase() !== 'semantic',
    optsIn: own.has('cache'),
    namespace: namespace?.trim() || null,
  };
}

/** Returns whether the client asks for a new answer regardless of what is stored. */
export function asksForFresh(controls: ClientControls): boolean {
  return controls.bypass !== null || controls.refresh || controls.maxAge === 0;
}

/** Parses directives by lower-case name. The smaller argument wins if a directive is repeated. */
function directives(value: string | undefined): Map<string, string> {
  const found = new Map<string, string>();
  for (const member of members(value ?? '')) {
    const equals = member.indexOf('=');
    const name = (equals < 0 ? member : member.slice(0, equals)).trim().toLowerCase();
    const argument = equals < 0 ? '' : unquoted(member.slice(equals + 1).trim());
    const before = seconds(found.get(name));
    if (before !== null && before <= (seconds(argument) ?? Infinity)) continue;
    found.set(name, argument);
  }
  return found;
}

/** Splits at commas outside quotes. */
function members(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const char = value[at];
    if (char === '"') quoted = !quoted;
    else if (char === '\\' && quoted) at++;
    else if (char === ',' && !quoted) {
      parts.push(value.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}

function unquoted(text: string): string {
  return text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

function seconds(value: string | undefined): number | null {
  const text = value?.trim() ?? '';
  return /^\d+$/.test(text) ? Math.min(Number(text), 2 ** 31) : null;
}

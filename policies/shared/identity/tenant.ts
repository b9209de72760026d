import { Recent } from '../recent.ts';
import { isPlain } from './canonical-text.ts';
import { wordsOf } from '../words.ts';

/** Words in the names of claims that say in which realm a subject's id is valid. `aud` is not one. */
const tenantWords: ReadonlySet<string> = new Set(
  (
    'iss issuer tenant tenants tid tenantid org orgid organization organizationid organisation ' +
    'organisationid account accountid acct workspace workspaceid realm company companyid customer ' +
    'customerid team teamid project projectid domain hd shop site merchant provider idp authority'
  ).split(' '),
);

const maxMembers = 1000;
const maxRememberedLength = 100;
const remembered = new Recent<boolean>(1000);

function isTenantName(name: string): boolean {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const found = wordsOf(name).some((word) => tenantWords.has(word));
  if (name.length <= maxRememberedLength) remembered.set(name, found);
  return found;
}

/**
 * Returns the claims of a consumer or a token's payload that name an issuer or a tenant: its own
 * members, those of plain objects in them (`firebase.tenant`, `app_metadata.org_id`), and getters of
 * its class. Throws if a getter throws or if an object has too many members.
 */
export function tenantClaims(consumer: object): [name: string, value: unknown][] {
  const found: [string, unknown][] = [];
  collect(consumer, '', found);
  for (const name of inheritedTenantNames(consumer)) add(found, name, read(consumer, name));
  return found;
}

function collect(object: object, within: string, found: [string, unknown][]): void {
  const names = Object.getOwnPropertyNames(object);
  if (names.length > maxMembers) throw new Error('too many members');
  for (const name of names) {
    const value = read(object, name);
    if (isTenantName(name)) add(found, within + name, value);
    else if (within === '' && isPlain(value)) collect(value, `${name}.`, found);
  }
}

function add(found: [string, unknown][], name: string, value: unknown): void {
  if (value !== undefined && value !== null) found.push([name, value]);
}

function read(object: object, name: string): unknown {
  return (object as Record<string, unknown>)[name];
}

const inherited = new WeakMap<object, readonly string[]>();

/** Returns the names of inherited members that name a tenant, such as the getters of a class. */
function inheritedTenantNames(object: object): readonly string[] {
  const prototype = Object.getPrototypeOf(object) as object | null;
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return [];
  let names = inherited.get(prototype);
  if (names === undefined) {
    const own = Object.getOwnPropertyNames(prototype).filter((name) => !isMethod(prototype, name));
    names = [...new Set([...own.filter(isTenantName), ...inheritedTenantNames(prototype)])];
    inherited.set(prototype, names);
  }
  return names;
}

function isMethod(prototype: object, name: string): boolean {
  return typeof Object.getOwnPropertyDescriptor(prototype, name)?.value === 'function';
}

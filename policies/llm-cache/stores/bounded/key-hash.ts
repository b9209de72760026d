/** A key ends with its digest, of which so much tells enough. */
const lastLength = 12;

/** A number of 32 bits that stands for a key where a rare mistake costs little. */
export function keyHash(key: string): number {
  let hash = key.length;
  for (let at = Math.max(0, key.length - lastLength); at < key.length; at++) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  }
  // Every bit of it counts for every bit of the result, so that any of them can be looked at.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

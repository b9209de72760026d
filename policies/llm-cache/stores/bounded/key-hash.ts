/** Keys end with a digest, so their last characters are enough to tell them apart. */
const hashedLength = 12;

/** Returns a 32-bit hash of a key. Callers must tolerate or check for collisions. */
export function keyHash(key: string): number {
  let hash = key.length;
  for (let at = Math.max(0, key.length - hashedLength); at < key.length; at++) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(at)) | 0;
  }
  // Mix the bits (the MurmurHash3 finalizer): callers use the high or the low bits alone.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

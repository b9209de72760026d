/** SHA-256, in base64url without padding, of bytes in one piece or in many. */
export interface Hashing {
  of(bytes: Uint8Array): string;
  start(): RunningHash;
}

export interface RunningHash {
  update(bytes: Uint8Array): void;
  end(): string;
}

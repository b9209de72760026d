/** What a request body says, as far as anything here asks. */
export interface BodyContent {
  /** Why it cannot be gone by; null when it can. */
  readonly problem: ContentProblem | null;
  /** In bytes, without a content coding. */
  readonly length: number;
  /**
   * Its members: null, true, false, numbers and short strings as they are, a long string empty, an
   * object with the short of its own members, an array with its length and something of the kind of
   * its first item.
   */
  readonly outline: Readonly<Record<string, unknown>>;
  /**
   * Its members by name, each value in canonical form or, where that is long, `#` and its digest.
   * Null where it has no canonical form: a member stands twice, a name is too long, it is nested
   * too deep, has too many values or a number too far from any double.
   */
  readonly members: ReadonlyMap<string, string> | null;
  /** Of all its bytes; empty where it has members, and is known by them. */
  readonly digest: string;
}

export type ContentProblem =
  | 'not-utf8'
  | 'not-json'
  | 'too-many-members'
  | 'encoding'
  | 'request-too-large'
  | 'buffer-limit';

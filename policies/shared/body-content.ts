/** The content of a request body, as far as the policies need it. */
export interface BodyContent {
  /** Why the content cannot be used; null if it can. */
  readonly problem: ContentProblem | null;
  /** In bytes, after content decoding. */
  readonly length: number;
  /**
   * The members in short: null, booleans, numbers and short strings as they are; a long string as an
   * empty one; an object with only its short members; an array with its length and, as its first
   * item, an example of that item's type.
   */
  readonly outline: Readonly<Record<string, unknown>>;
  /**
   * The members by name, each value in canonical form or, if that is long, as `#` and its digest.
   * Null if the body has no canonical form: it has a duplicate member, a name that is too long,
   * too much nesting, too many values, too much to sort, or a number with too many digits or too
   * large an exponent.
   */
  readonly members: ReadonlyMap<string, string> | null;
  /** The digest of all bytes; empty if `members` identify the body. */
  readonly digest: string;
}

export type ContentProblem =
  | 'not-utf8'
  | 'not-json'
  | 'too-many-members'
  | 'encoding'
  | 'request-too-large'
  | 'buffer-limit';

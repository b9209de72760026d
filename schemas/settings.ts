type Described = Readonly<Record<string, unknown>>;
type Properties = Readonly<Record<string, Described>>;

/** The names that are always present after `validate` has filled in the defaults. */
type Present<P extends Properties, Required extends string> = {
  [Name in keyof P]: P[Name] extends { readonly default: unknown }
    ? Name
    : Name extends Required
      ? Name
      : never;
}[keyof P];

/**
 * Derives the type of a validated object from its schema, so that no parameter is declared twice. It
 * knows the keywords that this package's schemas use, and maps all else to `unknown`.
 */
export type SettingsOf<P extends Properties, Required extends string = never> = {
  -readonly [Name in Present<P, Required>]: ValueOf<P[Name]>;
} & {
  -readonly [Name in Exclude<keyof P, Present<P, Required>>]?: ValueOf<P[Name]>;
};

type ValueOf<S> = S extends { readonly enum: readonly (infer Value)[] }
  ? Value
  : S extends { readonly anyOf: readonly (infer One)[] }
    ? ValueOf<One>
    : S extends { readonly type: readonly (infer Name)[] }
      ? Name extends string
        ? TypeNamed<Name, S>
        : never
      : S extends { readonly type: infer Name extends string }
        ? TypeNamed<Name, S>
        : unknown;

type TypeNamed<Name extends string, S> = Name extends 'string'
  ? string
  : Name extends 'integer' | 'number'
    ? number
    : Name extends 'boolean'
      ? boolean
      : Name extends 'null'
        ? null
        : Name extends 'array'
          ? S extends { readonly items: infer Item }
            ? ValueOf<Item>[]
            : unknown[]
          : Name extends 'object'
            ? Record<
                string,
                S extends { readonly additionalProperties: infer V } ? ValueOf<V> : unknown
              >
            : unknown;

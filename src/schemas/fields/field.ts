import type { TSchema } from 'typebox'

export interface Option {
  readonly key: string
  readonly label: string
}

/** The options of a field. */
export interface Options {
  /** In HighLevel's order. */
  readonly all: readonly Option[]
  /** Finds a key by key or by label. Where one option's label is another's key, the key wins. */
  readonly keyOf: ReadonlyMap<string, string>
}

/** A field of a location's object: what the gateway must know to check and translate its values. */
export interface Field {
  /** The short key, without the object's key in front. */
  readonly key: string
  readonly name: string
  /** HighLevel's own name of the type. */
  readonly dataType: string
  readonly type: FieldType
  readonly options: Options
  /** Whether values other than the options are accepted. */
  readonly allowsCustom: boolean
  readonly maxFiles: number
}

/** A file in HighLevel's form, identified by its URL. */
export interface File {
  readonly url: string
  readonly name?: string
}

/** A change to a list, in HighLevel's form. */
export interface Delta {
  readonly add?: readonly unknown[]
  readonly remove?: readonly unknown[]
}

/** Collects what a field type cannot return as a single value. */
export interface FieldReport {
  /**
   * Adds an error for the value, or for the part of it that the JSON Pointer `path` names. Pass a function where the
   * detail is expensive to build: it is called only if the detail is needed.
   */
  addError(code: string, detail: string | (() => string), path?: string): void
  /** The value is a wanted list: the delta depends on what the record holds. */
  addWantedList(items: readonly unknown[]): void
  /** Sets a member of HighLevel's `properties`: of the field itself, or of one of its text boxes. */
  setProperty(key: string, value: unknown): void
}

/** Checks the values of a field and translates them into HighLevel's form. One for each of its data types. */
export interface FieldType {
  /**
   * HighLevel's form of a value that is not null. `undefined` where nothing changes, or where the report holds the
   * result.
   */
  translate(value: unknown, field: Field, report: FieldReport): unknown
  /** The same for `null`, which clears a field. If absent, null is sent. */
  clear?(field: Field, report: FieldReport): unknown
  /**
   * The delta from `stored` to the wanted list. `undefined` where they are equal, null where the field must be cleared.
   */
  diff?(wanted: readonly unknown[], stored: unknown, field: Field): Delta | null | undefined
  /** The JSON Schema of the values, for frontends. Leaves out null, which every field accepts. */
  schema(field: Field): TSchema
}

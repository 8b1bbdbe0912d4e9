import type { TSchema } from 'typebox'

export interface Option {
  readonly key: string
  readonly label: string
}

/** The options of a field: all of them in order, and the key of one by its key or label; keys come first. */
export interface Options {
  readonly all: readonly Option[]
  readonly keyOf: ReadonlyMap<string, string>
}

/** A field of a location's object, as far as its values depend on it. */
export interface Field {
  /** Without the object's key in front. */
  readonly key: string
  readonly name: string
  /** HighLevel's own word for its type. */
  readonly dataType: string
  readonly type: FieldType
  readonly options: Options
  /** Other values than the options are taken too. */
  readonly allowsCustom: boolean
  /** How many files it holds at most. */
  readonly maxFiles: number
}

/** A file as HighLevel takes it: the URL says which one it is. */
export interface File {
  readonly url: string
  readonly name?: string
}

/** A change of a list, in HighLevel's form. */
export interface Delta {
  readonly add?: readonly unknown[]
  readonly remove?: readonly unknown[]
}

/** Where a type says what it cannot give back as one value. */
export interface FieldReport {
  /** A fault of the value, or of the part of it that `path`, a JSON Pointer, leads to. What takes long to say is said if asked for. */
  fault(code: string, detail: string | (() => string), path?: string): void
  /** The value is a wanted list: the change that leads to it depends on what the record holds. */
  want(items: readonly unknown[]): void
  /** A further member of HighLevel's `properties`. */
  set(key: string, value: unknown): void
}

/** How the values of a field are checked and put into HighLevel's form. One for each of its data types. */
export interface FieldType {
  /** HighLevel's form of a value that is not null; `undefined` where the notes say the rest, or nothing is to be changed. */
  read(value: unknown, field: Field, notes: FieldReport): unknown
  /** The same of `null`, which clears a field. Absent: null itself. */
  clear?(field: Field, notes: FieldReport): unknown
  /** The change that makes `stored` the wanted list; `undefined` where there is none, null where it has to be cleared. */
  difference?(wanted: readonly unknown[], stored: unknown, field: Field): Delta | null | undefined
  /** What a value may be, but for null, as a frontend has to know it. */
  schema(field: Field): TSchema
}

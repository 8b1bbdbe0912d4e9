import type { FieldError } from '../problems/problem.ts'
import { didYouMean } from '../shared/did-you-mean.ts'
import { pointerPart } from '../shared/json-pointer.ts'
import type { Field, FieldReport } from './fields/field.ts'
import { isLeftover } from './fields/options.ts'
import { fieldOf, type ObjectSchema } from './object-schema.ts'

type Properties = Record<string, unknown>

/** A list that a caller wants a field to hold. */
interface Wanted {
  /** As the caller names it. */
  name: string
  field: Field
  items: readonly unknown[]
}

/** What the `properties` of a caller come to under an object's schema. */
export interface PropertiesPlan {
  errors: readonly FieldError[]
  /** In HighLevel's form, but for the lists: what they need depends on the record. */
  translated: Properties
  wanted: readonly Wanted[]
}

/** Pointers may be long here: the answer stays within some tens of kilobytes. */
const MAX_FAULTS = 50
/** A near name is looked for this often: each look goes over all names of the object. */
const MAX_HINTS = 10

/** Takes notes of one member after another; `isSaid` where errors are for somebody to read. */
function createPlanning(withDetails: boolean) {
  const errors: FieldError[] = []
  const translated: Properties = {}
  const wanted: Wanted[] = []
  /** The member that is being read, as the caller has named it, and its field. */
  let name = ''
  let field: Field | undefined
  let hints = 0

  /** Sentences that take long are made for those errors alone that are shown, and for few of them. */
  const say = (detail: string | (() => string)): string => {
    if (typeof detail === 'string') return detail
    hints += 1
    return hints <= MAX_HINTS ? detail() : 'is not known to the object'
  }
  const fault: FieldReport['fault'] = (code, detail, path = '') => {
    if (errors.length === MAX_FAULTS) return
    errors.push({ pointer: `/properties/${pointerPart(name)}${path}`, code, detail: withDetails ? say(detail) : '' })
  }
  const isNew = (key: string): boolean => {
    if (!Object.hasOwn(translated, key) && !wanted.some((other) => other.field.key === key)) return true
    fault('duplicate-field', `names ${key}, which another member names too`)
    return false
  }
  const notes: FieldReport = {
    fault,
    want(items) {
      if (field !== undefined && isNew(field.key)) wanted.push({ name, field, items })
    },
    set(key, value) {
      if (isNew(key)) translated[key] = value
    }
  }
  const turnTo = (member: string, its: Field | undefined) => {
    name = member
    field = its
  }
  return { errors, translated, wanted, notes, turnTo }
}

function unknownField({ fields, title }: ObjectSchema, name: string): string {
  const near = didYouMean(name, fields.keys())
  return `is not a field of ${title}${near === undefined ? '' : `: did you mean "${near}"?`}`
}

/** Checks every member, and puts it into HighLevel's form. Nothing of it is of use where there are errors. */
export function planProperties(schema: ObjectSchema, properties: Properties, isSaid = true): PropertiesPlan {
  const { errors, translated, wanted, notes, turnTo } = createPlanning(isSaid)
  for (const name of Object.keys(properties)) {
    const field = fieldOf(schema, name)
    turnTo(name, field)
    if (field === undefined) {
      notes.fault('unknown-field', () => unknownField(schema, name))
      continue
    }
    const value = properties[name]
    const { type } = field
    const read =
      value !== null ? type.read(value, field, notes) : type.clear === undefined ? null : type.clear(field, notes)
    if (read !== undefined) notes.set(field.key, read)
  }
  return { errors, translated, wanted }
}

/** The same where nothing is to be checked: what does not fit goes as it came. */
export function planUnchecked(schema: ObjectSchema, properties: Properties): PropertiesPlan {
  const translated: Properties = {}
  const wanted: Wanted[] = []
  for (const name in properties) {
    const plan = planProperties(schema, { [name]: properties[name] }, false)
    if (plan.errors.length > 0) translated[name] = properties[name]
    else {
      Object.assign(translated, plan.translated)
      wanted.push(...plan.wanted)
    }
  }
  return { errors: [], translated, wanted }
}

/** A field may be called as a member is that every object inherits, such as `constructor`. */
const own = (held: Properties, key: string): unknown => (Object.hasOwn(held, key) ? held[key] : undefined)

/** Lists that are wanted where the record holds what is none: HighLevel fails to change that, and takes only null. */
export const leftoverErrors = ({ wanted }: PropertiesPlan, held: Properties): readonly FieldError[] =>
  wanted
    .filter(({ field, items }) => items.length > 0 && isLeftover(own(held, field.key)))
    .map(({ name }) => ({
      pointer: `/properties/${pointerPart(name)}`,
      code: 'conflict',
      detail: 'holds a value of a former type of the field: clear it with null, then write the list'
    }))

/** The properties of the write, once for each plan, given what the record holds; `undefined` where there are none. */
export function resolveWanted({ translated, wanted }: PropertiesPlan, held: Properties): Properties | undefined {
  for (const { field, items } of wanted) {
    const change = field.type.difference?.(items, own(held, field.key), field)
    if (change !== undefined) translated[field.key] = change
  }
  return isEmpty(translated) ? undefined : translated
}

const isEmpty = (properties: Properties): boolean => {
  for (const _ in properties) return false
  return true
}

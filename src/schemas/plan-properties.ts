import type { FieldError } from '../problems/problem.ts'
import { didYouMean } from '../shared/did-you-mean.ts'
import { escapePointerToken } from '../shared/json.ts'
import type { Field, FieldReport } from './fields/field.ts'
import { isOfFormerType } from './fields/options.ts'
import { fieldOf, type ObjectSchema } from './object-schema.ts'

type Properties = Record<string, unknown>

/** A list that the caller wants a field to hold. */
interface WantedList {
  /** The member's name in the caller's body. */
  name: string
  field: Field
  items: readonly unknown[]
}

/** What a caller's `properties` become under an object's schema. */
export interface PropertiesPlan {
  errors: readonly FieldError[]
  /** In HighLevel's form, without the wanted lists: their deltas depend on the record. */
  translated: Properties
  wantedLists: readonly WantedList[]
}

/** Pointers can be long: this keeps the answer within some tens of kilobytes. */
const MAX_ERRORS = 50
/** Each hint searches all names of the object. */
const MAX_HINTS = 10

/** Builds a plan, one member after another. Without `withDetails` the errors have codes only. */
function createPlanBuilder(withDetails: boolean) {
  const errors: FieldError[] = []
  const translated: Properties = {}
  const wantedLists: WantedList[] = []
  /** The member that is being read, and its field. */
  let name = ''
  let field: Field | undefined
  let hints = 0

  /** Builds an expensive detail only for errors that are shown, and only for the first few. */
  const detailText = (detail: string | (() => string)): string => {
    if (typeof detail === 'string') return detail
    hints += 1
    return hints <= MAX_HINTS ? detail() : 'is not known to the object'
  }
  const addError: FieldReport['addError'] = (code, detail, path = '') => {
    if (errors.length === MAX_ERRORS) return
    const pointer = `/properties/${escapePointerToken(name)}${path}`
    errors.push({ pointer, code, detail: withDetails ? detailText(detail) : '' })
  }
  const isFirst = (key: string): boolean => {
    if (!Object.hasOwn(translated, key) && !wantedLists.some((other) => other.field.key === key)) return true
    addError('duplicate-field', `sets ${key}, which another member already sets`)
    return false
  }
  const report: FieldReport = {
    addError,
    addWantedList(items) {
      if (field !== undefined && isFirst(field.key)) wantedLists.push({ name, field, items })
    },
    setProperty(key, value) {
      if (isFirst(key)) translated[key] = value
    }
  }
  const startMember = (memberName: string, memberField: Field | undefined) => {
    name = memberName
    field = memberField
  }
  return { errors, translated, wantedLists, report, startMember }
}

function unknownField({ fields, title }: ObjectSchema, name: string): string {
  const near = didYouMean(name, fields.keys())
  return `is not a field of ${title}${near === undefined ? '' : `: did you mean "${near}"?`}`
}

/**
 * Checks every member and translates it into HighLevel's form. Where there are errors, use nothing else of the plan.
 */
export function planProperties(schema: ObjectSchema, properties: Properties, withDetails = true): PropertiesPlan {
  const { errors, translated, wantedLists, report, startMember } = createPlanBuilder(withDetails)
  for (const name of Object.keys(properties)) {
    const field = fieldOf(schema, name)
    startMember(name, field)
    if (field === undefined) {
      report.addError('unknown-field', () => unknownField(schema, name))
      continue
    }
    const value = properties[name]
    const { type } = field
    const sent =
      value !== null
        ? type.translate(value, field, report)
        : type.clear === undefined
          ? null
          : type.clear(field, report)
    if (sent !== undefined) report.setProperty(field.key, sent)
  }
  return { errors, translated, wantedLists }
}

/** The same without checks: a value that does not fit is passed on unchanged. */
export function planUnchecked(schema: ObjectSchema, properties: Properties): PropertiesPlan {
  const translated: Properties = {}
  const wantedLists: WantedList[] = []
  for (const name in properties) {
    const plan = planProperties(schema, { [name]: properties[name] }, false)
    if (plan.errors.length > 0) translated[name] = properties[name]
    else {
      Object.assign(translated, plan.translated)
      wantedLists.push(...plan.wantedLists)
    }
  }
  return { errors: [], translated, wantedLists }
}

/** Own members only: a field may be named like an inherited member, such as `constructor`. */
export const ownValue = (stored: Properties, key: string): unknown =>
  Object.hasOwn(stored, key) ? stored[key] : undefined

/**
 * Errors for wanted lists where the record holds a value of the field's former type: HighLevel fails to change such a
 * value, and accepts only null.
 */
export const formerTypeErrors = ({ wantedLists }: PropertiesPlan, stored: Properties): readonly FieldError[] =>
  wantedLists
    .filter(({ field, items }) => items.length > 0 && isOfFormerType(ownValue(stored, field.key)))
    .map(({ name }) => ({
      pointer: `/properties/${escapePointerToken(name)}`,
      code: 'conflict',
      detail: 'still holds a value of its former type: clear it with null, then write the list'
    }))

/**
 * Turns the wanted lists into deltas against the stored properties. Returns the properties to send, `undefined` where
 * there are none. Changes the plan: call it once.
 */
export function resolveWanted({ translated, wantedLists }: PropertiesPlan, stored: Properties): Properties | undefined {
  for (const { field, items } of wantedLists) {
    const change = field.type.diff?.(items, ownValue(stored, field.key), field)
    if (change !== undefined) translated[field.key] = change
  }
  return isEmpty(translated) ? undefined : translated
}

const isEmpty = (properties: Properties): boolean => {
  for (const _ in properties) return false
  return true
}

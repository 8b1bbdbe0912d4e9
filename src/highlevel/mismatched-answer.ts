import { isObject } from '../shared/json.ts'
import { parseBody } from './answer-body.ts'
import type { Answer } from './call.ts'
import { readUpstreamError } from './errors/error-body.ts'
import type { ObjectRef, RecordRef } from './record-ref.ts'

/** Keys and ids never differ in case only, and HighLevel may return them in another case. */
const isSame = (asked: string, answered: unknown): boolean =>
  answered === asked || (typeof answered === 'string' && answered.toLowerCase() === asked.toLowerCase())

const isOtherLocation = (asked: string, answered: unknown): boolean =>
  typeof answered === 'string' && answered !== asked

const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300

/** The only refusal that names its object. */
const OBJECT_NOT_FOUND = /Custom Object \((custom_objects\.[^)]+)\) not found/

function isRefusalOfOther({ schemaKey }: ObjectRef, answer: Answer): boolean {
  if (answer.status !== 404 || !schemaKey.startsWith('custom_objects.')) return false
  const [, named] = OBJECT_NOT_FOUND.exec(readUpstreamError(answer).message ?? '') ?? []
  return named !== undefined && !isSame(schemaKey, named)
}

/**
 * Whether an answer belongs to a call for another record. In HTTP/1.1 only the order on the connection ties an answer
 * to its call: after one answer too many, each call gets the answer of the one before. An answer that cannot be read
 * does not count as mismatched here: reading it fails later.
 */
export const isOtherRecord =
  (ref: RecordRef) =>
  (answer: Answer): boolean => {
    if (!isSuccess(answer)) return isRefusalOfOther(ref, answer)
    const body = parseBody(answer)
    const record = 'object' in body ? body.object['record'] : undefined
    // HighLevel returns every record with its id.
    return (
      isObject(record) &&
      (!isSame(ref.id, record['id'] ?? record['_id']) || isOtherLocation(ref.locationId, record['locationId']))
    )
  }

/** The same for an object, which is named by its key or its id. */
export const isOtherObject =
  (ref: ObjectRef) =>
  (answer: Answer): boolean => {
    if (!isSuccess(answer)) return isRefusalOfOther(ref, answer)
    const body = parseBody(answer)
    const object = 'object' in body ? body.object['object'] : undefined
    if (!isObject(object)) return false
    const isNamed = isSame(ref.schemaKey, object['key']) || isSame(ref.schemaKey, object['id'] ?? object['_id'])
    return !isNamed || isOtherLocation(ref.locationId, object['locationId'])
  }

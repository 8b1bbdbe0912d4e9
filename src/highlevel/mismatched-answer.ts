import { isObject } from '../shared/json.ts'
import { bodyOf } from './answer-body.ts'
import type { Answer } from './call.ts'
import { readUpstreamError } from './errors/error-body.ts'
import type { ObjectRef, RecordRef } from './record-ref.ts'

/** Keys and ids do not differ in case alone, and HighLevel need not repeat them as they were asked for. */
const isSame = (asked: string, shown: unknown): boolean =>
  shown === asked || (typeof shown === 'string' && shown.toLowerCase() === asked.toLowerCase())

const isElsewhere = (locationId: string, shown: unknown): boolean => typeof shown === 'string' && shown !== locationId

const isSuccess = ({ status }: Answer): boolean => status >= 200 && status < 300

/** The one refusal that names what it is about. */
const OTHER_OBJECT = /Custom Object \((custom_objects\.[^)]+)\) not found/

function refusesOther({ schemaKey }: ObjectRef, answer: Answer): boolean {
  if (answer.status !== 404 || !schemaKey.startsWith('custom_objects.')) return false
  const [, named] = OTHER_OBJECT.exec(readUpstreamError(answer).message ?? '') ?? []
  return named !== undefined && !isSame(schemaKey, named)
}

/**
 * Whether an answer belongs to another call than that for this record. Nothing in HTTP/1.1 ties an answer to its call but
 * the order on the connection: one answer too many, and each call gets that of the one before. What cannot be read at
 * all is nobody's, and is told of elsewhere.
 */
export const isOtherRecord =
  (ref: RecordRef) =>
  (answer: Answer): boolean => {
    if (!isSuccess(answer)) return refusesOther(ref, answer)
    const body = bodyOf(answer)
    const record = 'object' in body ? body.object['record'] : undefined
    // Every record that HighLevel answers with has its id.
    return (
      isObject(record) &&
      (!isSame(ref.id, record['id'] ?? record['_id']) || isElsewhere(ref.locationId, record['locationId']))
    )
  }

/** The same of an object, which is asked for by its key or its id. */
export const isOtherObject =
  (ref: ObjectRef) =>
  (answer: Answer): boolean => {
    if (!isSuccess(answer)) return refusesOther(ref, answer)
    const body = bodyOf(answer)
    const object = 'object' in body ? body.object['object'] : undefined
    if (!isObject(object)) return false
    const isNamed = isSame(ref.schemaKey, object['key']) || isSame(ref.schemaKey, object['id'] ?? object['_id'])
    return !isNamed || isElsewhere(ref.locationId, object['locationId'])
  }

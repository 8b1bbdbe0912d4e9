import { isUtf8 } from 'node:buffer'
import { Problem } from '../problems.ts'
import { problemOf } from './answers.ts'
import { type Answer, type CallContext, type LocationCall, type Send, writes } from './call.ts'
import { traceIdOf } from './words.ts'

/** A record of a location's object. All three parts have passed their patterns. */
export interface RecordRef {
  locationId: string
  schemaKey: string
  id: string
}

/** HighLevel's answer to a call for one record: its text as it came, and what the gateway reads of it. */
export interface RecordAnswer {
  text: string
  record: Record<string, unknown>
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readRecord(call: LocationCall, answer: Answer): RecordAnswer {
  const unreadable = (detail: string) =>
    new Problem('upstream-unreadable', detail, {
      upstream: { status: answer.status },
      applied: writes(call) ? 'unknown' : 'no'
    })
  // Other bytes would not come out as they went in.
  if (!isUtf8(answer.body)) throw unreadable('HighLevel’s answer is not UTF-8')
  const text = answer.body.toString('utf8')
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    // The parser's message repeats a piece of the record, so it is not kept as a cause.
    throw unreadable('HighLevel’s answer is not whole JSON')
  }
  const record = isObject(body) ? body['record'] : undefined
  if (!isObject(body) || !isObject(record)) throw unreadable('HighLevel’s answer holds no record')
  call.trace.upstreamTraceId = traceIdOf(body)
  return { text, record }
}

/** A problem says how the last attempt went; an earlier one may have been carried out nevertheless. */
const asSure = <P>({ trace }: LocationCall, problem: P): P =>
  problem instanceof Problem && trace.unsure && problem.extras.applied !== 'unknown'
    ? (new Problem(problem.code, problem.detail, { ...problem.extras, applied: 'unknown' }) as P & Problem)
    : problem

const path = ({ locationId, schemaKey, id }: RecordRef) =>
  `/objects/${encodeURIComponent(schemaKey)}/records/${encodeURIComponent(id)}?locationId=${encodeURIComponent(locationId)}`

/** Member by member: what is spread into an object costs many times what is written into it, on the path of every call. */
const callOf = (
  method: 'GET' | 'PUT',
  ref: RecordRef,
  body: string | undefined,
  { deadlineAt, trace, waiting }: CallContext
): LocationCall => ({
  method,
  path: path(ref),
  body,
  authorization: undefined,
  deadlineAt,
  trace,
  waiting,
  locationId: ref.locationId,
  isProbe: false,
  isRepeat: false
})

/** The calls to HighLevel that use cases make. Each rejects with a Problem for every answer but a record. */
export function createUpstreamClient(send: Send<LocationCall>) {
  const ask = async (call: LocationCall, sent: unknown): Promise<RecordAnswer> => {
    let answer: Answer
    try {
      answer = await send(call)
    } catch (problem) {
      throw asSure(call, problem)
    }
    if (answer.status >= 200 && answer.status < 300) return readRecord(call, answer)
    const problem = asSure(call, problemOf(call, answer, sent))
    call.trace.upstreamTraceId = problem.extras.upstream?.traceId
    throw problem
  }

  return {
    getRecord: (ref: RecordRef, context: CallContext) => ask(callOf('GET', ref, undefined, context), undefined),

    /** `body` is in HighLevel's dialect. */
    putRecord: (ref: RecordRef, body: object, context: CallContext) =>
      ask(callOf('PUT', ref, JSON.stringify(body), context), body)
  }
}

export type UpstreamClient = ReturnType<typeof createUpstreamClient>

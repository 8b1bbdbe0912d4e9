import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { isObject } from '../shared/json.ts'
import { parseBody } from './answer-body.ts'
import type { TokenSource } from './bearer.ts'
import type { Answer, CallContext, LocationCall, Send } from './call.ts'
import { tokenDeadlineProblem, withDeadline } from './deadline.ts'
import { traceIdOf } from './errors/error-body.ts'
import { upstreamProblem } from './errors/to-problem.ts'
import { isOtherObject, isOtherRecord } from './mismatched-answer.ts'
import { type ObjectRef, objectPath, type RecordRef, recordPath } from './record-ref.ts'
import { appliedAfter, markSucceeded, withWriteOutcome } from './write-outcome.ts'

/** HighLevel's answer with one record: its text unchanged, and the parsed record. */
export interface RecordAnswer {
  text: string
  record: Record<string, unknown>
}

const unreadable = (call: LocationCall, answer: Answer, detail: string) =>
  new Problem('upstream-unreadable', detail, {
    upstream: { status: answer.status },
    applied: appliedAfter(call, answer)
  })

function readObject(call: LocationCall, answer: Answer): { text: string; object: Record<string, unknown> } {
  const body = parseBody(answer)
  if ('unreadable' in body) throw unreadable(call, answer, body.unreadable)
  call.callRecord.upstreamTraceId = traceIdOf(body.object)
  return body
}

function readRecord(call: LocationCall, answer: Answer): RecordAnswer {
  const { text, object } = readObject(call, answer)
  const record = object['record']
  if (!isObject(record)) throw unreadable(call, answer, 'HighLevel’s answer contains no record')
  return { text, record }
}

/** HighLevel documents only 200. Other 2xx prove less: 202 not that it was done, 206 not that it is complete. */
const isSuccess = ({ status }: Answer) => status === 200 || status === 201

/** Member by member: spreading objects is many times slower, and every call passes here. */
const callOf = (
  method: 'GET' | 'PUT',
  path: string,
  locationId: string,
  isMismatched: (answer: Answer) => boolean,
  body: string | undefined,
  { deadlineAt, callRecord, write, caller }: CallContext
): LocationCall => ({
  method,
  path,
  body,
  authorization: undefined,
  isSent: false,
  onSent: undefined,
  isMismatched,
  deadlineAt,
  callRecord,
  write,
  caller,
  locationId,
  isProbe: false,
  isBackground: false,
  isRepeat: false
})

/** The calls to HighLevel that use cases make. Each rejects with a Problem unless the answer is what it asked for. */
export function createHighLevelClient(
  send: Send<LocationCall>,
  { tokenFor }: Pick<TokenSource, 'tokenFor'>,
  clock: Clock
) {
  const request = async <T>(
    call: LocationCall,
    sent: unknown,
    read: (call: LocationCall, answer: Answer) => T
  ): Promise<T> => {
    let answer: Answer
    try {
      answer = await send(call)
    } catch (problem) {
      throw withWriteOutcome(call, problem)
    }
    if (isSuccess(answer)) {
      const result = read(call, answer)
      markSucceeded(call)
      return result
    }
    const problem = withWriteOutcome(call, upstreamProblem(call, answer, sent, clock.now()))
    call.callRecord.upstreamTraceId = problem.extras.upstream?.traceId
    throw problem
  }

  return {
    getRecord: (ref: RecordRef, context: CallContext) =>
      request(
        callOf('GET', recordPath(ref), ref.locationId, isOtherRecord(ref), undefined, context),
        undefined,
        readRecord
      ),

    /** `body` is in HighLevel's dialect. */
    putRecord: (ref: RecordRef, body: object, context: CallContext) =>
      request(
        callOf('PUT', recordPath(ref), ref.locationId, isOtherRecord(ref), JSON.stringify(body), context),
        body,
        readRecord
      ),

    /** Rejects with a Problem if the location has no token. Makes no call. */
    requireConnected: async (locationId: string, { deadlineAt }: CallContext): Promise<void> => {
      await withDeadline(clock, deadlineAt, Promise.resolve(tokenFor(locationId)), tokenDeadlineProblem)
    },

    /**
     * The body of HighLevel's answer about an object and its fields. Calls `onSent` when the request goes on the wire.
     */
    getObject: async (ref: ObjectRef, context: CallContext, onSent?: () => void): Promise<unknown> =>
      (
        await request(
          {
            ...callOf('GET', objectPath(ref), ref.locationId, isOtherObject(ref), undefined, context),
            isBackground: true,
            onSent
          },
          undefined,
          readObject
        )
      ).object
  }
}

export type HighLevelClient = ReturnType<typeof createHighLevelClient>

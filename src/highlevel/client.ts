import { Problem } from '../problems/problem.ts'
import { isObject } from '../shared/json.ts'
import { bodyOf } from './answer-body.ts'
import type { TokenSource } from './bearer.ts'
import type { Answer, CallContext, LocationCall, Send } from './call.ts'
import { lateToken, withDeadline } from './deadline.ts'
import { traceIdOf } from './errors/error-body.ts'
import { upstreamProblem } from './errors/to-problem.ts'
import { isOtherObject, isOtherRecord } from './mismatched-answer.ts'
import { type ObjectRef, objectPath, type RecordRef, recordPath } from './record-ref.ts'
import { appliedAfter, markSucceeded, withWriteOutcome } from './write-outcome.ts'

/** HighLevel's answer to a call for one record: its text as it came, and what the gateway reads of it. */
export interface RecordAnswer {
  text: string
  record: Record<string, unknown>
}

const unreadable = (call: LocationCall, answer: Answer, detail: string) =>
  new Problem('upstream-unreadable', detail, {
    upstream: { status: answer.status },
    applied: appliedAfter(call, answer)
  })

/** The text of an answer, and the JSON object that it is. */
function readObject(call: LocationCall, answer: Answer): { text: string; object: Record<string, unknown> } {
  const body = bodyOf(answer)
  if ('unreadable' in body) throw unreadable(call, answer, body.unreadable)
  call.callRecord.upstreamTraceId = traceIdOf(body.object)
  return body
}

function readRecord(call: LocationCall, answer: Answer): RecordAnswer {
  const { text, object } = readObject(call, answer)
  const record = object['record']
  if (!isObject(record)) throw unreadable(call, answer, 'HighLevel’s answer holds no record')
  return { text, record }
}

/** HighLevel documents 200 alone. Of the rest of 2xx, 202 does not say that it is done, and 206 not that it is whole. */
const isDone = ({ status }: Answer) => status === 200 || status === 201

/** Member by member: what is spread into an object costs many times what is written into it, on the path of every call. */
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

/** The calls to HighLevel that use cases make. Each rejects with a Problem for every answer but what it asks for. */
export function createHighLevelClient(send: Send<LocationCall>, { tokenFor }: Pick<TokenSource, 'tokenFor'>) {
  const ask = async <T>(
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
    if (isDone(answer)) {
      const result = read(call, answer)
      markSucceeded(call)
      return result
    }
    const problem = withWriteOutcome(call, upstreamProblem(call, answer, sent))
    call.callRecord.upstreamTraceId = problem.extras.upstream?.traceId
    throw problem
  }

  return {
    getRecord: (ref: RecordRef, context: CallContext) =>
      ask(
        callOf('GET', recordPath(ref), ref.locationId, isOtherRecord(ref), undefined, context),
        undefined,
        readRecord
      ),

    /** `body` is in HighLevel's dialect. */
    putRecord: (ref: RecordRef, body: object, context: CallContext) =>
      ask(
        callOf('PUT', recordPath(ref), ref.locationId, isOtherRecord(ref), JSON.stringify(body), context),
        body,
        readRecord
      ),

    /** Resolves where the location has a token to call with, without calling. */
    requireConnected: async (locationId: string, { deadlineAt }: CallContext): Promise<void> => {
      await withDeadline(deadlineAt, Promise.resolve(tokenFor(locationId)), lateToken)
    },

    /** What HighLevel says of an object and its fields. `onSent` is called when the read goes on the wire. */
    getObject: async (ref: ObjectRef, context: CallContext, onSent?: () => void): Promise<unknown> =>
      (
        await ask(
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

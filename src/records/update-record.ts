import type { CallContext } from '../highlevel/call.ts'
import type { HighLevelClient, RecordAnswer } from '../highlevel/client.ts'
import { unlessHungUp } from '../highlevel/deadline.ts'
import { type RecordRef, recordPath } from '../highlevel/record-ref.ts'
import { withWriteOutcome } from '../highlevel/write-outcome.ts'
import { type FieldError, Problem } from '../problems/problem.ts'
import type { Catalog, KnownSchema } from '../schemas/catalog.ts'
import { formerTypeErrors } from '../schemas/plan-properties.ts'
import type { UnavailableReason } from '../schemas/schema-unavailable.ts'
import type { Clock } from '../shared/clock.ts'
import { withPointers } from './error-pointers.ts'
import { etagOf, verifyMatch } from './etag.ts'
import { createKnownFields } from './known-fields.ts'
import type { RecordLock } from './record-lock.ts'
import type { RecordMutex } from './record-mutex.ts'
import { reread } from './reread.ts'
import type { RecordPatch } from './schemas.ts'
import { findUnstored, unstoredErrors, unstoredProblem } from './verify-stored.ts'
import { bodyOf, heldProperties, planWrite, type WriteBody, type WritePlan, type WriteRules } from './write-plan.ts'

interface Deps {
  upstream: HighLevelClient
  catalog: Pick<Catalog, 'find' | 'recheck'>
  /** Of the writes of each record, within this process, and among all that share a Redis. */
  recordMutex: RecordMutex
  recordLock: RecordLock
  rules: WriteRules
  clock: Clock
  /** Counts a write that is not checked, for want of a schema. */
  countUnchecked: (why: UnavailableReason) => void
}

export interface Conditions {
  /** Tags of which the record must have one. */
  ifMatch?: string | undefined
  /** Nothing is written. */
  isDry?: boolean
}

/** What a write would be. `request` is null where there is nothing to write. */
export interface DryRun {
  request: { method: 'PUT'; path: string; body: WriteBody } | null
  /** What was read from HighLevel to tell that. */
  reads: readonly { method: 'GET'; path: string }[]
}

interface Write extends Conditions {
  ref: RecordRef
  patch: RecordPatch
  context: CallContext
  /** Those that have been made for it so far. */
  reads: DryRun['reads'][number][]
  /** The record as it was read for it. */
  before: Record<string, unknown> | undefined
  /** What HighLevel took of it, and did not store. */
  losses: readonly FieldError[]
}

interface Attempt {
  outcome?: RecordAnswer | DryRun
  problem?: Problem
  /** No newer schema would help. */
  isFinal?: boolean
}

const refusal = (errors: readonly FieldError[]) =>
  new Problem('invalid-properties', `Faults in the values: ${errors.length}`, { errors })

/** `current` is the record as it is, where it was read. */
function send(
  upstream: HighLevelClient,
  { ref, context, isDry, reads }: Write,
  body: WriteBody | undefined,
  current?: RecordAnswer
): Promise<RecordAnswer | DryRun> {
  if (isDry) {
    const request = body === undefined ? null : ({ method: 'PUT', path: recordPath(ref), body } as const)
    return upstream.requireConnected(ref.locationId, context).then(() => ({ request, reads }))
  }
  if (body !== undefined) return upstream.putRecord(ref, body, context)
  // Everything is as it should be already: HighLevel need not be asked to change nothing.
  return current ? Promise.resolve(current) : upstream.getRecord(ref, context)
}

export function createUpdateRecord({ upstream, catalog, recordMutex, recordLock, rules, clock, countUnchecked }: Deps) {
  const fields = createKnownFields(catalog, rules, clock)

  /** Writes on what is read just before, held against others meanwhile. */
  const writeLocked = async (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> => {
    const { ref, context, ifMatch, isDry } = write
    const release = isDry ? undefined : await recordLock.acquire(recordKey(ref), context, ifMatch !== undefined)
    try {
      const current = await unlessHungUp(context, upstream.getRecord(ref, context))
      write.reads.push({ method: 'GET', path: recordPath(ref) })
      write.before = current.record
      verifyMatch(ifMatch, current.record)
      const stuck = rules.checks && plan.properties && formerTypeErrors(plan.properties, heldProperties(current.record))
      if (stuck && stuck.length > 0) throw refusal(stuck)
      return await send(upstream, write, bodyOf(plan, write.patch, current.record), current)
    } finally {
      release?.()
    }
  }

  const writeOnce = (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> =>
    plan.needsRecord || write.ifMatch !== undefined
      ? writeLocked(write, plan)
      : send(upstream, write, bodyOf(plan, write.patch, undefined))

  /** What came of one attempt: an outcome, or a problem that may be due to a field that is no longer what it was. */
  const attempt = async (write: Write, { schema }: KnownSchema): Promise<Attempt> => {
    const { patch, context } = write
    const plan = planWrite(rules, write.ref, patch, schema)
    write.before = undefined
    if (plan.errors.length > 0) return { problem: refusal([...plan.errors, ...write.losses]) }
    try {
      const outcome = await writeOnce(write, plan)
      if (!('record' in outcome)) return { outcome }
      const asked = { properties: plan.properties?.translated ?? patch.properties, patch, schema, before: write.before }
      const missed = findUnstored(asked, outcome.record)
      if (missed.length === 0) return { outcome }
      const { answer, lost } = await reread(upstream, write.ref, context, asked, outcome, missed)
      if (lost.length === 0) return { outcome: answer }
      // The record is another one by this very write. Where that cannot be told, nothing more is sent.
      const tag = etagOf(answer.record)
      const isFinal = write.ifMatch !== undefined && tag === undefined
      if (write.ifMatch !== undefined) write.ifMatch = tag
      write.losses = unstoredErrors(lost, patch, schema)
      return { problem: unstoredProblem(write.losses), isFinal }
    } catch (error) {
      const problem = withPointers(error, schema, patch)
      if (problem === undefined) throw withWriteOutcome(context, error)
      return { problem, isFinal: problem.code === 'duplicate-value' }
    }
  }

  /** With what a field is now, values are sent anew that its former type did not suit. */
  const writeWithRetry = async (write: Write, from: KnownSchema): Promise<RecordAnswer | DryRun> => {
    let known = from
    for (;;) {
      const { outcome, problem, isFinal } = await attempt(write, known)
      if (outcome !== undefined) return outcome
      const fresh = isFinal ? undefined : await fields.newer(write, known)
      if (fresh === undefined) throw withWriteOutcome(write.context, problem)
      known = fresh
    }
  }

  /**
   * Changes a record to what the patch states. Rejects with a Problem; resolves with the record as HighLevel has it now.
   * Writes of one record go one at a time, in order of arrival: an old one must not overtake a newer one. An id is of
   * one record, whatever the object is called in the path.
   */
  return async function updateRecord(
    ref: RecordRef,
    patch: RecordPatch,
    { ifMatch, isDry = false }: Conditions,
    context: CallContext
  ): Promise<RecordAnswer | DryRun> {
    const record = recordKey(ref)
    if (!recordMutex.take(record)) await recordMutex.wait(record, context)
    try {
      const write: Write = { ref, patch, context, reads: [], before: undefined, losses: [], ifMatch, isDry }
      const found = fields.find(write)
      // Nothing is written yet: whoever is gone holds up nobody.
      const known = found instanceof Promise ? await unlessHungUp(context, found) : found
      if (known.why !== undefined) countUnchecked(known.why)
      return await writeWithRetry(write, known)
    } finally {
      recordMutex.pass(record)
    }
  }
}

/** With the location, or a caller of one could hold up the records of another by their ids. */
const recordKey = ({ locationId, id }: RecordRef) => `${locationId} ${id}`

export type UpdateRecord = ReturnType<typeof createUpdateRecord>

import type { CallContext } from '../highlevel/call.ts'
import type { HighLevelClient, RecordAnswer } from '../highlevel/client.ts'
import { unlessHungUp } from '../highlevel/deadline.ts'
import { type RecordRef, recordPath } from '../highlevel/record-ref.ts'
import { withWriteOutcome } from '../highlevel/write-outcome.ts'
import { type FieldError, Problem } from '../problems/problem.ts'
import type { KnownSchema, SchemaCatalog } from '../schemas/schema-catalog.ts'
import type { UnavailableReason } from '../schemas/schema-unavailable.ts'
import type { Clock } from '../shared/clock.ts'
import { withPointers } from './error-pointers.ts'
import { etagOf, verifyMatch } from './record-etag.ts'
import type { RecordLock, RecordMutex } from './record-lock.ts'
import type { RecordPatch } from './request-schemas.ts'
import { createSchemaLookup } from './schema-lookup.ts'
import { confirmUnstored, findUnstored, unstoredErrors, unstoredProblem } from './verify-stored.ts'
import { buildBody, planWrite, storedErrors, type WriteBody, type WritePlan, type WriteRules } from './write-plan.ts'

interface Deps {
  upstream: HighLevelClient
  catalog: Pick<SchemaCatalog, 'find' | 'recheck'>
  /** Serializes the writes of a record within this process. */
  recordMutex: RecordMutex
  /** Does the same among processes that share a Redis, for writes that read first. */
  recordLock: RecordLock
  rules: WriteRules
  clock: Clock
  /** Counts a write that is sent unchecked because its schema is unavailable. */
  countUnchecked: (why: UnavailableReason) => void
}

export interface WriteOptions {
  /** Entity tags: the record must have one of them. */
  ifMatch?: string | undefined
  /** Nothing is written. */
  isDryRun?: boolean
}

/** What a write would send. `request` is null where nothing would be written. */
export interface DryRun {
  request: { method: 'PUT'; path: string; body: WriteBody } | null
  /** The reads of HighLevel that this took. */
  reads: readonly { method: 'GET'; path: string }[]
}

interface Write extends WriteOptions {
  ref: RecordRef
  patch: RecordPatch
  context: CallContext
  /** The reads so far. */
  reads: DryRun['reads'][number][]
  /** The record that was read before the write, if one was. */
  before: Record<string, unknown> | undefined
  /** Errors for the values that HighLevel accepted but did not store. */
  unstored: readonly FieldError[]
}

interface Attempt {
  result?: RecordAnswer | DryRun
  problem?: Problem
  /** A new schema would not help. */
  isFinal?: boolean
}

const invalidProperties = (errors: readonly FieldError[]) =>
  new Problem('invalid-properties', `Validation errors: ${errors.length}`, { errors })

/** `current` is the stored record, if it was read. */
function send(
  upstream: HighLevelClient,
  { ref, context, isDryRun, reads }: Write,
  body: WriteBody | undefined,
  current?: RecordAnswer
): Promise<RecordAnswer | DryRun> {
  if (isDryRun) {
    const request = body === undefined ? null : ({ method: 'PUT', path: recordPath(ref), body } as const)
    return upstream.requireConnected(ref.locationId, context).then(() => ({ request, reads }))
  }
  if (body !== undefined) return upstream.putRecord(ref, body, context)
  // Nothing changes, so the answer is the record as it is.
  return current ? Promise.resolve(current) : upstream.getRecord(ref, context)
}

export function createUpdateRecord({ upstream, catalog, recordMutex, recordLock, rules, clock, countUnchecked }: Deps) {
  const schemas = createSchemaLookup(catalog, rules, clock)

  /** Reads the record and writes it, while the lock keeps other processes from writing in between. */
  const writeLocked = async (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> => {
    const { ref, context, ifMatch, isDryRun } = write
    const release = isDryRun ? undefined : await recordLock.acquire(recordKey(ref), context, ifMatch !== undefined)
    try {
      const current = await unlessHungUp(context, upstream.getRecord(ref, context))
      write.reads.push({ method: 'GET', path: recordPath(ref) })
      write.before = current.record
      verifyMatch(ifMatch, current.record)
      const errors = storedErrors(rules, plan, current.record)
      if (errors.length > 0) throw invalidProperties(errors)
      return await send(upstream, write, buildBody(plan, write.patch, current.record), current)
    } finally {
      release?.()
    }
  }

  const writeOnce = (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> =>
    plan.needsRecord || write.ifMatch !== undefined
      ? writeLocked(write, plan)
      : send(upstream, write, buildBody(plan, write.patch, undefined))

  /** Resolves with a result, or with a problem that a changed schema may explain. Rejects with any other problem. */
  const attempt = async (write: Write, { schema }: KnownSchema): Promise<Attempt> => {
    const { ref, patch, context } = write
    const plan = planWrite(rules, ref, patch, schema)
    write.before = undefined
    if (plan.errors.length > 0) return { problem: invalidProperties([...plan.errors, ...write.unstored]) }
    try {
      const result = await writeOnce(write, plan)
      if (!('record' in result)) return { result }
      const sent = { properties: plan.properties?.translated ?? patch.properties, patch, schema, before: write.before }
      const missing = findUnstored(sent, result.record)
      if (missing.length === 0) return { result }
      const { answer, unstored } = await confirmUnstored(upstream, ref, context, sent, result, missing)
      if (unstored.length === 0) return { result: answer }
      // This write itself has changed the tag. Without the new one, a conditional write cannot be sent again.
      const tag = etagOf(answer.record)
      const isFinal = write.ifMatch !== undefined && tag === undefined
      if (write.ifMatch !== undefined) write.ifMatch = tag
      write.unstored = unstoredErrors(unstored, patch, schema)
      return { problem: unstoredProblem(write.unstored), isFinal }
    } catch (error) {
      const problem = withPointers(error, schema, patch)
      if (problem === undefined) throw withWriteOutcome(context, error)
      return { problem, isFinal: problem.code === 'duplicate-value' }
    }
  }

  /** If the schema has changed, plans and sends the write again. */
  const writeWithRetry = async (write: Write, initial: KnownSchema): Promise<RecordAnswer | DryRun> => {
    let known = initial
    for (;;) {
      const { result, problem, isFinal } = await attempt(write, known)
      if (result !== undefined) return result
      const changed = isFinal ? undefined : await schemas.recheck(write, known)
      if (changed === undefined) throw withWriteOutcome(write.context, problem)
      known = changed
    }
  }

  /**
   * Applies a patch to a record. Resolves with the record as HighLevel now has it; rejects with a Problem. Writes of
   * one record run one at a time, in order of arrival, so that an old one never overtakes a newer one.
   */
  return async function updateRecord(
    ref: RecordRef,
    patch: RecordPatch,
    { ifMatch, isDryRun = false }: WriteOptions,
    context: CallContext
  ): Promise<RecordAnswer | DryRun> {
    const key = recordKey(ref)
    if (!recordMutex.tryAcquire(key)) await recordMutex.acquire(key, context)
    try {
      const write: Write = { ref, patch, context, reads: [], before: undefined, unstored: [], ifMatch, isDryRun }
      const found = schemas.find(write)
      // Nothing has been written yet, so a caller that hangs up must not block the next write.
      const known = found instanceof Promise ? await unlessHungUp(context, found) : found
      if (known.why !== undefined) countUnchecked(known.why)
      return await writeWithRetry(write, known)
    } finally {
      recordMutex.release(key)
    }
  }
}

/**
 * An id is unique in its location, whatever the path calls its object. The location keeps callers of one location from
 * blocking the records of another by guessing their ids.
 */
const recordKey = ({ locationId, id }: RecordRef) => `${locationId} ${id}`

export type UpdateRecord = ReturnType<typeof createUpdateRecord>

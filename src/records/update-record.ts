import type { CallContext } from '../highlevel/call.ts'
import { asSure, type RecordAnswer, type RecordRef, recordPath, type UpstreamClient } from '../highlevel/client.ts'
import { orGone } from '../highlevel/deadline.ts'
import { type Fault, Problem } from '../problems/problem.ts'
import type { Catalog, Known } from '../schemas/catalog.ts'
import { leftoverFaults } from '../schemas/plan-properties.ts'
import type { Missing } from '../schemas/schema-unavailable.ts'
import { rejectionIn } from './error-pointers.ts'
import { etagOf, verifyMatch } from './etag.ts'
import { createKnownFields } from './known-fields.ts'
import type { RecordLock } from './record-lock.ts'
import type { RecordTurns } from './record-mutex.ts'
import { lookAgain } from './reread.ts'
import type { RecordPatch } from './schemas.ts'
import { compare, lossFaults, lossProblem } from './verify-stored.ts'
import { bodyOf, heldProperties, planWrite, type WriteBody, type WritePlan, type WriteRules } from './write-plan.ts'

interface Deps {
  upstream: UpstreamClient
  catalog: Pick<Catalog, 'find' | 'recheck'>
  /** Of the writes of each record, within this process, and among all that share a Redis. */
  turns: RecordTurns
  lock: RecordLock
  rules: WriteRules
  /** Counts a write that is not checked, for want of a schema. */
  countUnchecked: (why: Missing) => void
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
  losses: readonly Fault[]
}

interface Attempt {
  outcome?: RecordAnswer | DryRun
  problem?: Problem
  /** No newer schema would help. */
  isOver?: boolean
}

const refusal = (errors: readonly Fault[]) =>
  new Problem('invalid-properties', `Faults in the values: ${errors.length}`, { errors })

/** `current` is the record as it is, where it was read. */
function send(
  upstream: UpstreamClient,
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

export function createUpdateRecord({ upstream, catalog, turns, lock, rules, countUnchecked }: Deps) {
  const fields = createKnownFields(catalog, rules)

  /** Writes on what is read just before, held against others meanwhile. */
  const writeHeld = async (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> => {
    const { ref, context, ifMatch, isDry } = write
    const release = isDry ? undefined : await lock.acquire(recordKey(ref), context, ifMatch !== undefined)
    try {
      const current = await orGone(context, upstream.getRecord(ref, context))
      write.reads.push({ method: 'GET', path: recordPath(ref) })
      write.before = current.record
      verifyMatch(ifMatch, current.record)
      const stuck = rules.checks && plan.properties && leftoverFaults(plan.properties, heldProperties(current.record))
      if (stuck && stuck.length > 0) throw refusal(stuck)
      return await send(upstream, write, bodyOf(plan, write.patch, current.record), current)
    } finally {
      release?.()
    }
  }

  const carryOut = (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> =>
    plan.needsRecord || write.ifMatch !== undefined
      ? writeHeld(write, plan)
      : send(upstream, write, bodyOf(plan, write.patch, undefined))

  /** What came of one attempt: an outcome, or a problem that may be due to a field that is no longer what it was. */
  const attempt = async (write: Write, { schema }: Known): Promise<Attempt> => {
    const { patch, context } = write
    const plan = planWrite(rules, write.ref, patch, schema)
    write.before = undefined
    if (plan.faults.length > 0) return { problem: refusal([...plan.faults, ...write.losses]) }
    try {
      const outcome = await carryOut(write, plan)
      if (!('record' in outcome)) return { outcome }
      const asked = { properties: plan.properties?.ready ?? patch.properties, patch, schema, before: write.before }
      const missed = compare(asked, outcome.record)
      if (missed.length === 0) return { outcome }
      const { answer, lost } = await lookAgain(upstream, write.ref, context, asked, outcome, missed)
      if (lost.length === 0) return { outcome: answer }
      // The record is another one by this very write. Where that cannot be told, nothing more is sent.
      const tag = etagOf(answer.record)
      const isOver = write.ifMatch !== undefined && tag === undefined
      if (write.ifMatch !== undefined) write.ifMatch = tag
      write.losses = lossFaults(lost, patch, schema)
      return { problem: lossProblem(write.losses), isOver }
    } catch (error) {
      const problem = rejectionIn(error, schema, patch)
      if (problem === undefined) throw asSure(context, error)
      return { problem, isOver: problem.code === 'duplicate-value' }
    }
  }

  /** With what a field is now, values are sent anew that its former type did not suit. */
  const persist = async (write: Write, from: Known): Promise<RecordAnswer | DryRun> => {
    let known = from
    for (;;) {
      const { outcome, problem, isOver } = await attempt(write, known)
      if (outcome !== undefined) return outcome
      const fresh = isOver ? undefined : await fields.newer(write, known)
      if (fresh === undefined) throw asSure(write.context, problem)
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
    if (!turns.take(record)) await turns.wait(record, context)
    try {
      const write: Write = { ref, patch, context, reads: [], before: undefined, losses: [], ifMatch, isDry }
      const found = fields.find(write)
      // Nothing is written yet: whoever is gone holds up nobody.
      const known = found instanceof Promise ? await orGone(context, found) : found
      if (known.why !== undefined) countUnchecked(known.why)
      return await persist(write, known)
    } finally {
      turns.pass(record)
    }
  }
}

/** With the location, or a caller of one could hold up the records of another by their ids. */
const recordKey = ({ locationId, id }: RecordRef) => `${locationId} ${id}`

export type UpdateRecord = ReturnType<typeof createUpdateRecord>

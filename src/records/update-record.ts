import type { Catalog } from '../objects/catalog.ts'
import type { Missing } from '../objects/missing.ts'
import type { ObjectSchema } from '../objects/object-schema.ts'
import { type Fault, Problem } from '../problems.ts'
import type { CallContext } from '../upstream/call.ts'
import {
  asSure,
  objectPath,
  type RecordAnswer,
  type RecordRef,
  recordPath,
  type UpstreamClient
} from '../upstream/client.ts'
import { etagOf, verifyMatch } from './etag.ts'
import type { RecordLock } from './record-lock.ts'
import type { RecordTurns } from './record-turns.ts'
import { lostFaults, rejectionIn } from './rejection.ts'
import type { RecordPatch } from './schemas.ts'
import { bodyOf, planWrite, type WriteBody, type WritePlan, type WriteRules } from './write-plan.ts'

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
}

interface Known {
  schema: ObjectSchema | undefined
  /** Read during this call: HighLevel knows no newer one. */
  isNew: boolean
}

const none: readonly Fault[] = []

const refusal = ({ faults: errors }: WritePlan) =>
  new Problem('invalid-properties', `Faults in the values: ${errors.length}`, { errors })

const loss = (errors: readonly Fault[]) =>
  new Problem('upstream-rejected', 'HighLevel took the call, and emptied fields that were to be filled', {
    errors,
    applied: 'unknown'
  })

/** `current` is the record as it is, where it was read. */
function send(
  upstream: UpstreamClient,
  { ref, context, isDry, reads }: Write,
  body: WriteBody | undefined,
  current?: RecordAnswer
): Promise<RecordAnswer | DryRun> {
  if (isDry) {
    const request = body === undefined ? null : ({ method: 'PUT', path: recordPath(ref), body } as const)
    return Promise.resolve({ request, reads })
  }
  if (body !== undefined) return upstream.putRecord(ref, body, context)
  // Everything is as it should be already: HighLevel need not be asked to change nothing.
  return current ? Promise.resolve(current) : upstream.getRecord(ref, context)
}

export function createUpdateRecord({ upstream, catalog, turns, lock, rules, countUnchecked }: Deps) {
  const known = (found: ObjectSchema | Missing, isNew: boolean): Known => {
    if (typeof found !== 'string') return { schema: found, isNew }
    countUnchecked(found)
    return { schema: undefined, isNew }
  }

  /** Most often at once, without a promise. */
  const schemaOf = ({ ref, patch, context, reads }: Write): Known | Promise<Known> => {
    if (patch.properties === undefined || !rules.needsSchema) return { schema: undefined, isNew: false }
    const held = catalog.find(ref, context.deadlineAt)
    if (!(held instanceof Promise)) return known(held, false)
    reads.push({ method: 'GET', path: objectPath(ref) })
    const since = performance.now()
    return held
      .then((found) => known(found, true))
      .finally(() => {
        context.trace.schemaMs += performance.now() - since
      })
  }

  /** A newer schema than the one that led to trouble, if there is one. */
  const newer = async ({ ref, context }: Write, { schema, isNew }: Known): Promise<Known | undefined> => {
    if (schema === undefined || isNew) return undefined
    const since = performance.now()
    const fresh = await catalog.recheck(ref, schema, context.deadlineAt)
    context.trace.schemaMs += performance.now() - since
    return fresh && { schema: fresh, isNew: true }
  }

  /** Writes on what is read just before, held against others meanwhile. */
  const writeHeld = async (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> => {
    const { ref, context, ifMatch, isDry } = write
    const release = isDry ? undefined : await lock.acquire(recordKey(ref), context)
    try {
      const current = await upstream.getRecord(ref, context)
      write.reads.push({ method: 'GET', path: recordPath(ref) })
      if (ifMatch !== undefined) verifyMatch(ifMatch, current.record)
      return await send(upstream, write, bodyOf(plan, write.patch, current.record), current)
    } finally {
      release?.()
    }
  }

  const carryOut = (write: Write, plan: WritePlan): Promise<RecordAnswer | DryRun> =>
    plan.needsRecord || write.ifMatch !== undefined
      ? writeHeld(write, plan)
      : send(upstream, write, bodyOf(plan, write.patch, undefined))

  /** Writes until it is done, or until nothing more can be done about the problem. */
  const persist = async (write: Write, from: Known): Promise<RecordAnswer | DryRun> => {
    const { ref, patch } = write
    let known = from
    for (;;) {
      const plan = planWrite(rules, ref, patch, known.schema)
      let problem = plan.faults.length > 0 ? refusal(plan) : undefined
      if (problem === undefined) {
        try {
          const outcome = await carryOut(write, plan)
          const lost = 'record' in outcome ? lostFaults(plan, known.schema, patch, outcome.record) : none
          if (lost.length === 0 || !('record' in outcome)) return outcome
          problem = loss(lost)
          write.context.trace.unsure = true
          // The record is another one by this very write.
          if (write.ifMatch !== undefined) write.ifMatch = etagOf(outcome.record)
        } catch (error) {
          problem = rejectionIn(error, known.schema, patch)
          if (problem === undefined) throw asSure(write.context, error)
        }
      }
      // A field may no longer be what it was: with what it is now the values are sent anew.
      const fresh = problem.code === 'duplicate-value' ? undefined : await newer(write, known)
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
      const write: Write = { ref, patch, context, reads: [], ifMatch, isDry }
      const schema = schemaOf(write)
      return await persist(write, schema instanceof Promise ? await schema : schema)
    } finally {
      turns.pass(record)
    }
  }
}

/** With the location, or a caller of one could hold up the records of another by their ids. */
const recordKey = ({ locationId, id }: RecordRef) => `${locationId} ${id}`

export type UpdateRecord = ReturnType<typeof createUpdateRecord>

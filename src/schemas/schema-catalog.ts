import type { BaseLogger } from 'pino'
import { type CallContext, createCallRecord } from '../highlevel/call.ts'
import type { ObjectRef } from '../highlevel/record-ref.ts'
import { createWriteState } from '../highlevel/write-outcome.ts'
import { Problem } from '../problems/problem.ts'
import type { Clock } from '../shared/clock.ts'
import { type ObjectSchema, readObjectSchema } from './object-schema.ts'
import { createSchemaCache } from './schema-cache.ts'
import { createSchemaFetch, type SchemaFetch, waitForFetch } from './schema-fetch.ts'
import { createWarning, type UnavailableReason, unavailableReason } from './schema-unavailable.ts'

/** A fetch has its own deadline, not that of the call that started it: other calls use its result. */
const FETCH_TIMEOUT_MS = 15_000

/** The schema of an object, or why it is unavailable. */
export interface KnownSchema {
  schema: ObjectSchema | undefined
  why?: UnavailableReason | undefined
  /** It was fetched for this very call: a recheck could find nothing newer. */
  isNew?: boolean
}

/** Whether HighLevel itself answered the fetch with an error. An unreadable answer may belong to another call. */
const isRefusal = (error: unknown): error is Problem =>
  error instanceof Problem && error.extras.upstream !== undefined && error.code !== 'upstream-unreadable'

interface Deps {
  /**
   * Resolves with the body of HighLevel's answer. Calls `onSent` when the request goes on the wire. Rejects with a
   * Problem.
   */
  getObject: (ref: ObjectRef, context: CallContext, onSent?: () => void) => Promise<unknown>
  /** Rejects with a Problem where the location is not connected. */
  requireConnected: (locationId: string, context: CallContext) => Promise<void>
  /** The bound of the cache, in characters of what HighLevel sent. */
  maxChars: number
  clock: Clock
  log: Pick<BaseLogger, 'warn'>
  countRead: (result: 'read' | UnavailableReason) => void
}

/** Never hangs up: when the caller that started a fetch leaves, others still wait for it. */
const response = { destroyed: false, once: () => undefined, off: () => undefined }

/** With a queueing identity of its own: neither behind the caller's other calls nor ahead of other callers. */
const fetchContext = (callerId: string, startedAt: number): CallContext => ({
  deadlineAt: startedAt + FETCH_TIMEOUT_MS,
  callRecord: createCallRecord(),
  write: createWriteState(),
  caller: { id: `${callerId} objects`, response }
})

const keyOf = ({ locationId, schemaKey }: ObjectRef) => `${locationId} ${schemaKey}`

function parseSchema(body: unknown): ObjectSchema {
  const schema = readObjectSchema(body)
  if (schema === undefined) throw new Problem('upstream-unreadable', 'HighLevel’s answer contains no object')
  return schema
}

/**
 * The schemas of locations' objects. A stale schema stays in use while it is fetched again, and calls share the fetch
 * of an object. If a schema is unavailable, the write is sent unchecked, except where the same reason stops the write
 * too: no connection, no quota.
 */
export function createSchemaCatalog({ getObject, requireConnected, maxChars, clock, log, countRead }: Deps) {
  const cache = createSchemaCache(maxChars, clock)
  const fetches = new Map<string, SchemaFetch>()
  const warn = createWarning(log, clock)

  const runFetch = async (ref: ObjectRef, callerId: string, isRecheck: boolean, schemaFetch: SchemaFetch) => {
    const key = keyOf(ref)
    try {
      const onSent = () => {
        schemaFetch.isSent = true
      }
      const schema = parseSchema(await getObject(ref, fetchContext(callerId, clock.monotonic()), onSent))
      // Fetch again, unless a newer fetch has filled the cache already.
      if (schemaFetch.isOutdated)
        return cache.get(key) === undefined ? await load(ref, callerId, isRecheck).done : undefined
      cache.put(key, schema, isRecheck)
      countRead('read')
    } catch (error) {
      const why = unavailableReason(error)
      if (why === undefined) throw error
      countRead(why)
      cache.putFailure(key, why)
      if (isRefusal(error)) schemaFetch.refusal = error
      warn(ref, why, error)
    }
  }

  /** Joins the running fetch of the object, unless the object has changed since it started; else starts one. */
  const load = (ref: ObjectRef, callerId: string, isRecheck = false): SchemaFetch => {
    const key = keyOf(ref)
    const running = fetches.get(key)
    if (running !== undefined && !running.isOutdated) return running
    const schemaFetch = createSchemaFetch()
    fetches.set(key, schemaFetch)
    schemaFetch.done = runFetch(ref, callerId, isRecheck, schemaFetch).finally(() => {
      schemaFetch.isDone = true
      if (fetches.get(key) === schemaFetch) fetches.delete(key)
    })
    // Every waiting call may have left before it rejects.
    schemaFetch.done.catch(() => undefined)
    return schemaFetch
  }

  /** Returns the fetch after waiting for it, whether or not it ended in time. */
  const loadInTime = async (
    ref: ObjectRef,
    { deadlineAt, caller }: CallContext,
    isRecheck = false
  ): Promise<SchemaFetch> => {
    const schemaFetch = load(ref, caller.id, isRecheck)
    await waitForFetch(clock, schemaFetch, deadlineAt)
    return schemaFetch
  }

  return {
    /** Returns without a promise where the schema is cached. Rejects with a Problem that stops the write too. */
    find(ref: ObjectRef, context: CallContext): KnownSchema | Promise<KnownSchema> {
      const key = keyOf(ref)
      const cached = cache.get(key)
      if (cached !== undefined) {
        if (clock.now() >= cached.freshUntil) load(ref, 'gateway')
        return cached
      }
      const isNew = !fetches.has(key)
      return loadInTime(ref, context).then(() => {
        const entry = cache.get(key)
        if (entry === undefined) warn(ref, 'slow', undefined)
        return { schema: entry?.schema, why: entry === undefined ? 'slow' : entry.why, isNew }
      })
    },

    /**
     * Fetches a schema again that HighLevel's answer or a caller's value contradicts. Resolves with the new schema if
     * it differs, else with `undefined`. Never rejects.
     */
    async recheck(ref: ObjectRef, doubted: ObjectSchema, context: CallContext): Promise<ObjectSchema | undefined> {
      const key = keyOf(ref)
      const cached = cache.get(key)
      const isSame = cached?.schema === undefined || cached.schema.digest === doubted.digest
      if (isSame && clock.now() >= (cached?.nextRecheckAt ?? 0))
        await loadInTime(ref, context, true).catch(() => undefined)
      const schema = cache.get(key)?.schema
      return schema?.digest === doubted.digest ? undefined : schema
    },

    /** The object's schema, for a call that asks for it. Rejects with a Problem where it is unavailable. */
    async describe(ref: ObjectRef, context: CallContext): Promise<ObjectSchema> {
      const key = keyOf(ref)
      const schemaFetch = clock.now() >= (cache.get(key)?.freshUntil ?? 0) ? await loadInTime(ref, context) : undefined
      const schema = cache.get(key)?.schema
      // Pass on HighLevel's refusal. After any other failure, the call makes a request of its own to learn the error.
      if (schema === undefined && schemaFetch?.refusal !== undefined) throw schemaFetch.refusal
      if (schema === undefined) return parseSchema(await getObject(ref, context))
      // The schema may have been cached before the location was disconnected.
      await requireConnected(ref.locationId, context)
      return schema
    },

    /** Drops the schemas of a location: HighLevel has announced a change. */
    drop(locationId: string): void {
      const prefix = `${locationId} `
      for (const [key, schemaFetch] of fetches) if (key.startsWith(prefix)) schemaFetch.isOutdated = true
      cache.removeAll(prefix)
    }
  }
}

export type SchemaCatalog = ReturnType<typeof createSchemaCatalog>

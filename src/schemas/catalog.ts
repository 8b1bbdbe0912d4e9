import type { BaseLogger } from 'pino'
import type { CallContext } from '../highlevel/call.ts'
import type { ObjectRef } from '../highlevel/client.ts'
import { Problem } from '../problems/problem.ts'
import { type ObjectSchema, readObjectSchema } from './object-schema.ts'
import { createSchemaCache } from './schema-cache.ts'
import { createSchemaFetch, fetched, type SchemaFetch } from './schema-fetch.ts'
import { createWarning, type UnavailableReason, unavailableReason } from './schema-unavailable.ts'

/** A read serves whoever comes next: it is not bound to the time of the call that began it. */
const READ_MS = 15_000

/** What is known of an object, or why nothing is. */
export interface KnownSchema {
  schema: ObjectSchema | undefined
  why?: UnavailableReason | undefined
  /** It was read for this very call: there is no newer one. */
  isNew?: boolean
}

/** HighLevel's own answer to this read: what cannot be read may be another call's. */
const isRefusal = (error: unknown): error is Problem =>
  error instanceof Problem && error.extras.upstream !== undefined && error.code !== 'upstream-unreadable'

interface Deps {
  /** HighLevel's answer. Rejects with a Problem. */
  read: (ref: ObjectRef, context: CallContext) => Promise<unknown>
  /** Rejects with a Problem where the location is not connected. */
  requireConnected: (locationId: string, context: CallContext) => Promise<void>
  /** How much is kept in all, in characters of what HighLevel sent. */
  maxChars: number
  now: () => number
  log: Pick<BaseLogger, 'warn'>
  countRead: (result: 'read' | UnavailableReason) => void
}

/** Whoever began a read may be gone before it is done: others wait for it. */
const response = { destroyed: false, once: () => undefined, off: () => undefined }

const keyOf = ({ locationId, schemaKey }: ObjectRef) => `${locationId} ${schemaKey}`

function schemaIn(answer: unknown): ObjectSchema {
  const schema = readObjectSchema(answer)
  if (schema === undefined) throw new Problem('upstream-unreadable', 'HighLevel’s answer holds no object')
  return schema
}

/**
 * The live schemas of locations' objects. A copy is used while the next one is read, reads of one object are one, and
 * reads that fail never fail a write: it is then sent unchecked.
 */
export function createCatalog({ read, requireConnected, maxChars, now, log, countRead }: Deps) {
  const copies = createSchemaCache(maxChars, now)
  const { held } = copies
  const flights = new Map<string, SchemaFetch>()
  const warn = createWarning(log, now)

  const fly = async (ref: ObjectRef, callerId: string, isDoubted: boolean, flight: SchemaFetch) => {
    const key = keyOf(ref)
    try {
      // A turn of its own in the location's line: not behind the caller's other calls, nor before those of other callers.
      const caller = { id: `${callerId} objects`, response }
      const context = { deadlineAt: performance.now() + READ_MS, trace: flight.trace, caller }
      const schema = schemaIn(await read(ref, context))
      // Somebody may have read it anew meanwhile.
      if (flight.isOutdated) return held(key) === undefined ? await load(ref, callerId, isDoubted).landing : undefined
      copies.keep(key, schema, isDoubted)
      countRead('read')
    } catch (error) {
      const why = unavailableReason(error)
      if (why === undefined) throw error
      countRead(why)
      copies.fail(key, why)
      if (isRefusal(error)) flight.refusal = error
      warn(ref, why, error)
    }
  }

  /** Shared by all who want the object, unless it has changed since it took off. */
  const load = (ref: ObjectRef, callerId: string, isDoubted = false): SchemaFetch => {
    const key = keyOf(ref)
    const running = flights.get(key)
    if (running !== undefined && !running.isOutdated) return running
    const flight = createSchemaFetch()
    flights.set(key, flight)
    flight.landing = fly(ref, callerId, isDoubted, flight).finally(() => {
      flight.isOver = true
      if (flights.get(key) === flight) flights.delete(key)
    })
    // Whoever wanted it may have left by then.
    flight.landing.catch(() => undefined)
    return flight
  }

  /** The read itself, over or not. */
  const awaited = async (
    ref: ObjectRef,
    { deadlineAt, caller }: CallContext,
    isDoubted = false
  ): Promise<SchemaFetch> => {
    const flight = load(ref, caller.id, isDoubted)
    await fetched(flight, deadlineAt)
    return flight
  }

  return {
    /** What is known of the object, at once where a copy is held. Rejects with a Problem that stops the write too. */
    find(ref: ObjectRef, context: CallContext): KnownSchema | Promise<KnownSchema> {
      const key = keyOf(ref)
      const entry = held(key)
      if (entry !== undefined) {
        if (now() >= entry.freshUntil) load(ref, 'gateway')
        return entry
      }
      const isNew = !flights.has(key)
      return awaited(ref, context).then(() => {
        const read = held(key)
        if (read === undefined) warn(ref, 'slow', undefined)
        return { schema: read?.schema, why: read === undefined ? 'slow' : read.why, isNew }
      })
    },

    /** HighLevel, or a caller, speaks against this copy: another one, where there is one by now. */
    async recheck(ref: ObjectRef, doubted: ObjectSchema, context: CallContext): Promise<ObjectSchema | undefined> {
      const key = keyOf(ref)
      const entry = held(key)
      const isSame = entry?.schema === undefined || entry.schema.digest === doubted.digest
      if (isSame && now() >= (entry?.settledUntil ?? 0)) await awaited(ref, context, true).catch(() => undefined)
      const schema = held(key)?.schema
      return schema?.digest === doubted.digest ? undefined : schema
    },

    /** The object's schema, for a call that is about it. Rejects with a Problem where there is none. */
    async describe(ref: ObjectRef, context: CallContext): Promise<ObjectSchema> {
      const key = keyOf(ref)
      const flight = now() >= (held(key)?.freshUntil ?? 0) ? await awaited(ref, context) : undefined
      const schema = held(key)?.schema
      // What HighLevel refuses is asked once. What else went wrong is said by a read of the call's own.
      if (schema === undefined && flight?.refusal !== undefined) throw flight.refusal
      if (schema === undefined) return schemaIn(await read(ref, context))
      // Others may have read it before the location left.
      await requireConnected(ref.locationId, context)
      return schema
    },

    /** HighLevel says that an object of the location has changed. */
    drop(locationId: string): void {
      const prefix = `${locationId} `
      for (const [key, flight] of flights) if (key.startsWith(prefix)) flight.isOutdated = true
      copies.drop(prefix)
    }
  }
}

export type Catalog = ReturnType<typeof createCatalog>

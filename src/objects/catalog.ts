import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { within } from '../shared/within.ts'
import { type CallContext, createTrace } from '../upstream/call.ts'
import type { ObjectRef } from '../upstream/client.ts'
import { createCopies } from './copies.ts'
import { createWarning, type Missing, outcomeOf } from './missing.ts'
import { type ObjectSchema, readObjectSchema } from './object-schema.ts'

/** The longest that a call waits for a schema, and the share of its time: without one it is not checked, but it is sent. */
const PATIENCE_MS = 5_000
const PATIENCE_SHARE = 0.5
/** A read serves whoever comes next: it is not bound to the time of the call that began it. */
const READ_MS = 15_000

/** What is known of an object, or why nothing is. */
export interface Known {
  schema: ObjectSchema | undefined
  why?: Missing | undefined
  /** It was read for this very call: there is no newer one. */
  isNew?: boolean
}

interface Flight {
  landing: Promise<void>
  /** The object changed while it was read. */
  isOutdated: boolean
}

interface Deps {
  /** HighLevel's answer. Rejects with a Problem. */
  read: (ref: ObjectRef, context: CallContext) => Promise<unknown>
  /** How much is kept in all, in characters of what HighLevel sent. */
  maxChars: number
  now: () => number
  log: Pick<BaseLogger, 'warn'>
  countRead: (result: 'read' | Missing) => void
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
export function createCatalog({ read, maxChars, now, log, countRead }: Deps) {
  const copies = createCopies(maxChars, now)
  const { held } = copies
  const flights = new Map<string, Flight>()
  /** Reads for which somebody has lost patience: nobody waits for these any more. */
  const slow = new Set<string>()
  const warn = createWarning(log, now)

  const fly = async (ref: ObjectRef, callerId: string, isDoubted: boolean, flight: Flight) => {
    const key = keyOf(ref)
    try {
      const waiting = { id: callerId, response }
      const context = { deadlineAt: performance.now() + READ_MS, trace: createTrace(), waiting }
      const schema = schemaIn(await read(ref, context))
      // Somebody may have read it anew meanwhile.
      if (flight.isOutdated) return held(key) === undefined ? await load(ref, callerId, isDoubted) : undefined
      copies.keep(key, schema, isDoubted)
      countRead('read')
    } catch (error) {
      const { why, isKept } = outcomeOf(error)
      if (why === undefined) throw error
      countRead(why)
      if (!isKept) return
      copies.fail(key, why)
      warn(ref, why, error)
    }
  }

  /** Shared by all who want the object, unless it has changed since it took off. */
  const load = (ref: ObjectRef, callerId: string, isDoubted = false): Promise<void> => {
    const key = keyOf(ref)
    const running = flights.get(key)
    if (running !== undefined && !running.isOutdated) return running.landing
    const flight: Flight = { landing: Promise.resolve(), isOutdated: false }
    flights.set(key, flight)
    flight.landing = fly(ref, callerId, isDoubted, flight).finally(() => {
      if (flights.get(key) !== flight) return
      flights.delete(key)
      slow.delete(key)
    })
    return flight.landing
  }

  /** Waits for the read as long as the call can bear it. */
  const awaited = async (ref: ObjectRef, { deadlineAt, waiting }: CallContext, isDoubted = false): Promise<void> => {
    const key = keyOf(ref)
    if (slow.has(key)) return
    const patienceMs = Math.max(0, Math.min(PATIENCE_MS, (deadlineAt - performance.now()) * PATIENCE_SHARE))
    const landing = load(ref, waiting.id, isDoubted)
    await within(patienceMs, () => landing)
    if (flights.has(key)) slow.add(key)
  }

  return {
    /** What is known of the object, at once where a copy is held. Rejects with a Problem that stops the write too. */
    find(ref: ObjectRef, context: CallContext): Known | Promise<Known> {
      const key = keyOf(ref)
      const entry = held(key)
      if (entry !== undefined) {
        if (now() >= entry.freshUntil) load(ref, 'gateway').catch(() => undefined)
        return entry
      }
      const isNew = !flights.has(key)
      return awaited(ref, context).then(() => {
        const { schema, why } = held(key) ?? { schema: undefined, why: 'slow' as const }
        return { schema, why, isNew }
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
      if (now() >= (held(key)?.freshUntil ?? 0)) await awaited(ref, context)
      // What went wrong is said by a read of the call's own.
      return held(key)?.schema ?? schemaIn(await read(ref, context))
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

import type { BaseLogger } from 'pino'
import { Problem } from '../problems.ts'
import { createSingleFlight } from '../shared/single-flight.ts'
import { within } from '../shared/within.ts'
import { type CallContext, createTrace, type Waiting } from '../upstream/call.ts'
import type { ObjectRef } from '../upstream/client.ts'
import { createWarning, isLasting, type Missing, reasonOf } from './missing.ts'
import { type ObjectSchema, readObjectSchema } from './object-schema.ts'
import { createSchemaStore, type Entry } from './schema-store.ts'

/** A copy that is older is read again while it stays in use. */
const FRESH_MS = 5 * 60_000
/** A copy that is older is not used: who changes a field expects it to be known after the time of a meal. */
const USABLE_MS = 60 * 60_000
/** After a new copy was no other than the one before, doubts of it are not followed for so long. */
const SETTLED_MS = 5_000
/** What cannot be had is not asked for again for so long: trouble, which passes, and a scope, which lasts. */
const RETRY_MS = 10_000
const REFUSED_MS = 5 * 60_000
/** The longest that a call waits for a schema, and the share of its time: without one it is not checked, but it is sent. */
const PATIENCE_MS = 5_000
const PATIENCE_SHARE = 0.5
/** A read serves whoever comes next: it is not bound to the time of the call that began it. */
const READ_MS = 15_000

interface Deps {
  /** HighLevel's answer. Rejects with a Problem. */
  read: (ref: ObjectRef, context: CallContext) => Promise<unknown>
  /** How many fields and options are kept in all. */
  maxWeight: number
  now: () => number
  log: Pick<BaseLogger, 'warn'>
  countRead: (result: 'read' | Missing) => void
}

/** No caller waits for this one alone. */
const nobody: Waiting = {
  id: 'gateway',
  response: { destroyed: false, once: () => undefined, off: () => undefined }
}

const keyOf = ({ locationId, schemaKey }: ObjectRef) => `${locationId} ${schemaKey}`

function schemaIn(answer: unknown): ObjectSchema {
  const schema = readObjectSchema(answer)
  if (schema === undefined) throw new Problem('upstream-unreadable', 'HighLevel’s answer holds no object')
  return schema
}

const isUsable = ({ readAt, usableUntil }: Entry<Missing>, at: number) =>
  // A clock that was set back makes nothing young.
  at >= readAt && at < usableUntil

/**
 * The live schemas of locations' objects. A copy is used while the next one is read, reads of one object are one, and
 * reads that fail never fail a write: it is then sent unchecked.
 */
export function createCatalog({ read, maxWeight, now, log, countRead }: Deps) {
  const store = createSchemaStore<Missing>(maxWeight)
  const fly = createSingleFlight<void>()
  const warn = createWarning(log, now)
  /** What is read while it changes may be of before. */
  let changes = 0

  const keep = (key: string, schema: ObjectSchema, isDoubtful: boolean): ObjectSchema => {
    const at = now()
    const isSame = store.get(key)?.schema?.digest === schema.digest
    store.set(key, {
      schema,
      why: undefined,
      readAt: at,
      freshUntil: isDoubtful ? at : at + FRESH_MS,
      usableUntil: at + USABLE_MS,
      settledUntil: isSame && !isDoubtful ? at + SETTLED_MS : 0
    })
    return schema
  }

  /** A copy outlives the reads of it that fail, but for one that says that the object is gone. */
  const fail = (key: string, why: Missing) => {
    const at = now()
    const retryAt = at + (isLasting(why) ? REFUSED_MS : RETRY_MS)
    const held = store.get(key)
    if (held?.schema !== undefined && why !== 'object' && isUsable(held, at)) {
      store.set(key, { ...held, freshUntil: retryAt, settledUntil: retryAt })
    } else {
      store.set(key, {
        schema: undefined,
        why,
        readAt: at,
        freshUntil: retryAt,
        usableUntil: retryAt,
        settledUntil: retryAt
      })
    }
  }

  const load = (ref: ObjectRef): Promise<void> => {
    const key = keyOf(ref)
    return fly(key, async () => {
      const before = changes
      try {
        const context = { deadlineAt: performance.now() + READ_MS, trace: createTrace(), waiting: nobody }
        keep(key, schemaIn(await read(ref, context)), changes !== before)
        countRead('read')
      } catch (error) {
        const why = reasonOf(error)
        if (why === undefined) throw error
        fail(key, why)
        countRead(why)
        warn(ref, why, error)
      }
    })
  }

  const inPatience = (deadlineAt: number, ref: ObjectRef) =>
    within(Math.max(0, Math.min(PATIENCE_MS, (deadlineAt - performance.now()) * PATIENCE_SHARE)), () => load(ref))

  const awaited = async (ref: ObjectRef, deadlineAt: number): Promise<ObjectSchema | Missing> => {
    await inPatience(deadlineAt, ref)
    const entry = store.get(keyOf(ref))
    return entry?.schema ?? entry?.why ?? 'slow'
  }

  return {
    /** The object's schema, at once where a copy is held, or why there is none. Rejects with a Problem that stops the write too. */
    find(ref: ObjectRef, deadlineAt: number): ObjectSchema | Missing | Promise<ObjectSchema | Missing> {
      const entry = store.get(keyOf(ref))
      const at = now()
      if (entry === undefined || !isUsable(entry, at)) return awaited(ref, deadlineAt)
      if (at >= entry.freshUntil) load(ref).catch(() => undefined)
      return entry.schema ?? entry.why ?? 'failed'
    },

    /** HighLevel, or a caller, speaks against this copy: another one, where there is one by now. */
    async recheck(ref: ObjectRef, doubted: ObjectSchema, deadlineAt: number): Promise<ObjectSchema | undefined> {
      const entry = store.get(keyOf(ref))
      const isOlder = entry?.schema === undefined || entry.schema.digest === doubted.digest
      if (isOlder && (entry === undefined || now() >= entry.settledUntil)) {
        await inPatience(deadlineAt, ref).catch(() => undefined)
      }
      const schema = store.get(keyOf(ref))?.schema
      return schema?.digest === doubted.digest ? undefined : schema
    },

    /** The object's schema, for a call that is about it. Rejects with a Problem where there is none. */
    async load(ref: ObjectRef, context: CallContext): Promise<ObjectSchema> {
      const entry = store.get(keyOf(ref))
      if (entry?.schema !== undefined && isUsable(entry, now()) && now() < entry.freshUntil) return entry.schema
      return keep(keyOf(ref), schemaIn(await read(ref, context)), false)
    },

    /** HighLevel says that an object of the location has changed. */
    drop(locationId: string): void {
      changes += 1
      store.removeAll(`${locationId} `)
    },

    size: store.size
  }
}

export type Catalog = ReturnType<typeof createCatalog>

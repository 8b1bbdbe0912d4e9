import type { CallContext } from '../highlevel/call.ts'
import { objectPath, type RecordRef } from '../highlevel/record-ref.ts'
import type { KnownSchema, SchemaCatalog } from '../schemas/schema-catalog.ts'
import type { Clock } from '../shared/clock.ts'
import type { RecordPatch } from './request-schemas.ts'
import type { WriteRules } from './write-plan.ts'

/** For writes that need no schema. */
const NOT_NEEDED: KnownSchema = { schema: undefined }

interface Write {
  ref: RecordRef
  patch: RecordPatch
  context: CallContext
  /** The reads that the write causes: each is added here. */
  reads: { method: 'GET'; path: string }[]
}

/** Finds the schemas that writes need. */
export function createSchemaLookup(
  catalog: Pick<SchemaCatalog, 'find' | 'recheck'>,
  { checks, translates }: WriteRules,
  clock: Clock
) {
  const measure = async <T>({ context }: Write, wait: Promise<T>): Promise<T> => {
    const startedAt = clock.monotonic()
    try {
      return await wait
    } finally {
      context.callRecord.schemaMs += clock.monotonic() - startedAt
    }
  }

  return {
    /** Mostly returns without a promise. Rejects with a Problem that stops the write too. */
    find(write: Write): KnownSchema | Promise<KnownSchema> {
      if (write.patch.properties === undefined || !(checks || translates)) return NOT_NEEDED
      const found = catalog.find(write.ref, write.context)
      if (!(found instanceof Promise)) return found
      write.reads.push({ method: 'GET', path: objectPath(write.ref) })
      return measure(write, found)
    },

    /** Fetches the schema again after an error that a changed object may explain. `undefined` if it has not changed. */
    async recheck(write: Write, { schema, isNew }: KnownSchema): Promise<KnownSchema | undefined> {
      if (schema === undefined || isNew) return undefined
      const fresh = await measure(write, catalog.recheck(write.ref, schema, write.context))
      return fresh && { schema: fresh, isNew: true }
    }
  }
}

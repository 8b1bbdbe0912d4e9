import type { CallContext } from '../highlevel/call.ts'
import { objectPath, type RecordRef } from '../highlevel/record-ref.ts'
import type { Catalog, KnownSchema } from '../schemas/catalog.ts'
import type { RecordPatch } from './schemas.ts'
import type { WriteRules } from './write-plan.ts'

/** Of what nothing has to be known. */
const NOTHING: KnownSchema = { schema: undefined }

interface Write {
  ref: RecordRef
  patch: RecordPatch
  context: CallContext
  /** Told of what is read for the write. */
  reads: { method: 'GET'; path: string }[]
}

/** What writes know of the fields of their objects. */
export function createKnownFields(catalog: Pick<Catalog, 'find' | 'recheck'>, { checks, translates }: WriteRules) {
  const timed = async <T>({ context }: Write, wait: Promise<T>): Promise<T> => {
    const since = performance.now()
    try {
      return await wait
    } finally {
      context.callRecord.schemaMs += performance.now() - since
    }
  }

  return {
    /** Most often at once, without a promise. Rejects with a Problem that stops the write too. */
    find(write: Write): KnownSchema | Promise<KnownSchema> {
      if (write.patch.properties === undefined || !(checks || translates)) return NOTHING
      const held = catalog.find(write.ref, write.context)
      if (!(held instanceof Promise)) return held
      write.reads.push({ method: 'GET', path: objectPath(write.ref) })
      return timed(write, held)
    },

    /** Newer ones than those that led to trouble, if there are. */
    async newer(write: Write, { schema, isNew }: KnownSchema): Promise<KnownSchema | undefined> {
      if (schema === undefined || isNew) return undefined
      const fresh = await timed(write, catalog.recheck(write.ref, schema, write.context))
      return fresh && { schema: fresh, isNew: true }
    }
  }
}

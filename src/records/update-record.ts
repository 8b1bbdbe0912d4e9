import type { CallContext, RecordAnswer, RecordRef, UpstreamClient } from '../upstream/client.ts'
import type { RecordPatch } from './schemas.ts'
import { followersOf, needsRecord, ownersOf, usersDelta } from './users.ts'

interface Deps {
  upstream: UpstreamClient
  /** `delta`: wanted lists become the changes that HighLevel takes. `verbatim`: values go as they came. */
  dialect: 'delta' | 'verbatim'
}

const verbatim = ({ properties, owner, followers }: RecordPatch) => ({
  ...(properties && { properties }),
  ...(owner && { owners: owner }),
  ...(followers && { followers })
})

/** Changes a record to what the patch states. Rejects with a Problem; resolves with the record as HighLevel has it now. */
export function createUpdateRecord({ upstream, dialect }: Deps) {
  return async function updateRecord(ref: RecordRef, patch: RecordPatch, context: CallContext): Promise<RecordAnswer> {
    const { properties, owner, followers } = patch
    if (dialect === 'verbatim') return upstream.putRecord(ref, verbatim(patch), context)

    const current = needsRecord(owner) || needsRecord(followers) ? await upstream.getRecord(ref, context) : undefined
    const owners = owner && usersDelta(owner, current ? ownersOf(current.record) : [])
    const changed = followers && usersDelta(followers, current ? followersOf(current.record) : [])
    const body = {
      ...(properties && { properties }),
      ...(owners && { owners }),
      ...(changed && { followers: changed })
    }

    // Everything is as it should be already: HighLevel need not be asked to change nothing.
    if (Object.keys(body).length === 0) return current ?? upstream.getRecord(ref, context)
    return upstream.putRecord(ref, body, context)
  }
}

export type UpdateRecord = ReturnType<typeof createUpdateRecord>

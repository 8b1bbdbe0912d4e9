import type { CallContext } from '../upstream/call.ts'
import type { RecordAnswer, RecordRef, UpstreamClient } from '../upstream/client.ts'
import type { RecordTurns } from './record-turns.ts'
import type { RecordPatch } from './schemas.ts'
import { followersOf, needsRecord, ownersOf, usersDelta } from './users.ts'

interface Deps {
  upstream: UpstreamClient
  /** Of the writes of each record. */
  turns: RecordTurns
  /** `delta`: wanted lists become the changes that HighLevel takes. `verbatim`: values go as they came. */
  dialect: 'delta' | 'verbatim'
}

const verbatim = ({ properties, owner, followers }: RecordPatch) => ({
  ...(properties && { properties }),
  ...(owner && { owners: owner }),
  ...(followers && { followers })
})

export function createUpdateRecord({ upstream, turns, dialect }: Deps) {
  /** `current` is the record as it is now, where the change cannot be told without it. */
  const writeDelta = (
    ref: RecordRef,
    { properties, owner, followers }: RecordPatch,
    context: CallContext,
    current?: RecordAnswer
  ): Promise<RecordAnswer> => {
    const owners = owner && usersDelta(owner, current ? ownersOf(current.record) : [])
    const changed = followers && usersDelta(followers, current ? followersOf(current.record) : [])
    const body = {
      ...(properties && { properties }),
      ...(owners && { owners }),
      ...(changed && { followers: changed })
    }

    // Everything is as it should be already: HighLevel need not be asked to change nothing.
    if (Object.keys(body).length === 0) return current ? Promise.resolve(current) : upstream.getRecord(ref, context)
    return upstream.putRecord(ref, body, context)
  }

  /**
   * Changes a record to what the patch states. Rejects with a Problem; resolves with the record as HighLevel has it now.
   * Writes of one record go one at a time, in order of arrival: an old one must not overtake a newer one. An id is of
   * one record, whatever the object is called in the path.
   */
  return async function updateRecord(ref: RecordRef, patch: RecordPatch, context: CallContext): Promise<RecordAnswer> {
    // With the location, or a caller of one could hold up the records of another by their ids.
    const record = `${ref.locationId} ${ref.id}`
    if (!turns.take(record)) await turns.wait(record, context)
    try {
      if (dialect === 'verbatim') return await upstream.putRecord(ref, verbatim(patch), context)
      const mustRead = needsRecord(patch.owner) || needsRecord(patch.followers)
      return await writeDelta(ref, patch, context, mustRead ? await upstream.getRecord(ref, context) : undefined)
    } finally {
      turns.pass(record)
    }
  }
}

export type UpdateRecord = ReturnType<typeof createUpdateRecord>

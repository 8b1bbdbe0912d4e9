import { namesTag } from '../http/etag.ts'
import { Problem } from '../problems.ts'

type HeldRecord = Record<string, unknown>

/** A strong tag made of `dateUpdated`, which HighLevel changes with every write. */
export const etagOf = ({ dateUpdated }: HeldRecord): string | undefined =>
  typeof dateUpdated === 'string' && /^[\w:.+-]+$/.test(dateUpdated) ? `"${dateUpdated}"` : undefined

/** Throws a Problem where the record is another by now than the caller has seen. */
export function verifyMatch(ifMatch: string, record: HeldRecord): void {
  const tag = etagOf(record)
  if (namesTag(ifMatch, tag)) return
  throw new Problem('precondition-failed', 'The record was changed since it was read', {
    ...(tag !== undefined && { headers: { etag: tag } })
  })
}

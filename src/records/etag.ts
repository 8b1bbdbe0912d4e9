import { verifyTag } from '../http/etag.ts'

type HeldRecord = Record<string, unknown>

/** A strong tag made of `dateUpdated`, which HighLevel changes with every write. */
export const etagOf = ({ dateUpdated }: HeldRecord): string | undefined =>
  typeof dateUpdated === 'string' && /^[\w:.+-]+$/.test(dateUpdated) ? `"${dateUpdated}"` : undefined

/** Throws a Problem where the record is another by now than the caller has seen. */
export function verifyMatch(ifMatch: string | undefined, record: HeldRecord): void {
  if (ifMatch !== undefined) verifyTag(ifMatch, etagOf(record), 'The record')
}

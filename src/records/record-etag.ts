import { verifyIfMatch } from '../http/etag.ts'

type StoredRecord = Record<string, unknown>

/** A strong tag made of `dateUpdated`, which HighLevel changes with every write. */
export const etagOf = ({ dateUpdated }: StoredRecord): string | undefined =>
  typeof dateUpdated === 'string' && /^[\w:.+-]+$/.test(dateUpdated) ? `"${dateUpdated}"` : undefined

/** Throws a Problem if the record has changed since the caller read it. */
export function verifyMatch(ifMatch: string | undefined, record: StoredRecord): void {
  if (ifMatch !== undefined) verifyIfMatch(ifMatch, etagOf(record), 'The record')
}

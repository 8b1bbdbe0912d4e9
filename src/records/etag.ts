import { Problem } from '../problems.ts'

type HeldRecord = Record<string, unknown>

/** A strong tag made of `dateUpdated`, which HighLevel changes with every write. */
export const etagOf = ({ dateUpdated }: HeldRecord): string | undefined =>
  typeof dateUpdated === 'string' && /^[\w:.+-]+$/.test(dateUpdated) ? `"${dateUpdated}"` : undefined

const TAG = '(?:W/)?"[\\x21\\x23-\\x7e]*"'

/** `*`, or entity tags (RFC 9110, 13.1). */
export const TAGS = `^(?:\\*|${TAG}(?:[ \\t]*,[ \\t]*${TAG})*)$`

/** Whether a field of tags names this one: weak tags never do. */
export const namesTag = (tags: string, tag: string | undefined): boolean =>
  tags === '*' || (tag !== undefined && tags.split(',').some((one) => one.trim() === tag))

/** Throws a Problem where the record is another by now than the caller has seen. */
export function verifyMatch(ifMatch: string, record: HeldRecord): void {
  const tag = etagOf(record)
  if (namesTag(ifMatch, tag)) return
  throw new Problem('precondition-failed', 'The record was changed since it was read', {
    ...(tag !== undefined && { headers: { etag: tag } })
  })
}

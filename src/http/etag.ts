import Type from 'typebox'
import { Problem } from '../problems/problem.ts'

/** An entity tag (RFC 9110, 8.8.3). Node decodes bytes beyond ASCII as Latin-1, so those are allowed too. */
const TAG = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"'

/** The value of If-Match or If-None-Match: `*` or a list of tags. Empty list elements are ignored (RFC 9110, 5.6.1). */
export const ETagList = Type.String({
  pattern: `^(?:\\*|[ \\t,]*${TAG}(?:[ \\t]*,[ \\t,]*${TAG})*[ \\t,]*)$`,
  description: 'an ETag as received, a list of them, or *'
})

/** Rejects a conditional header instead of ignoring it: its sender relies on the condition. */
export const unsupportedHeader = (alternative: string) =>
  Type.Optional(Type.Unsafe<never>({ not: {}, description: `omitted: ${alternative}` }))

/** The conditional headers of a read. Answers have no Last-Modified: If-Modified-Since is ignored. */
export const readConditionHeaders = {
  'if-match': Type.Optional(ETagList),
  'if-none-match': Type.Optional(ETagList),
  'if-unmodified-since': unsupportedHeader('a read supports If-Match')
}

const WEAK = 'W/'
/** Not a split at commas: a tag may contain one. */
const parseTags = (list: string): readonly string[] => list.match(/(?:W\/)?"[^"]*"/g) ?? []
const opaqueTag = (tag: string) => (tag.startsWith(WEAK) ? tag.slice(WEAK.length) : tag)

/** Strong comparison, for If-Match: a weak tag never matches. */
export const matchesStrongly = (tags: string, tag: string | undefined): boolean =>
  tags === '*' || (tag !== undefined && parseTags(tags).includes(tag))

/** Weak comparison, for If-None-Match: weak and strong tags match alike. */
export const matchesWeakly = (tags: string | undefined, tag: string | undefined): tag is string =>
  tags !== undefined && tag !== undefined && (tags === '*' || parseTags(tags).some((one) => opaqueTag(one) === tag))

/** Throws `precondition-failed` unless If-Match matches the current tag. `what` names the resource in the detail. */
export function verifyIfMatch(ifMatch: string | undefined, tag: string | undefined, what: string): void {
  if (ifMatch === undefined || matchesStrongly(ifMatch, tag)) return
  throw new Problem('precondition-failed', `${what} has changed since it was read`, {
    ...(tag !== undefined && { headers: { etag: tag } })
  })
}

import Type from 'typebox'
import { Problem } from '../problems/problem.ts'

/** An entity tag with all that RFC 9110, 8.8.3 allows: Node reads the bytes beyond ASCII as Latin-1. */
const TAG = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"'

/** The value of If-Match and If-None-Match: `*`, or entity tags. Empty members of the list are ignored (RFC 9110, 5.6.1). */
export const Tags = Type.String({
  pattern: `^(?:\\*|[ \\t,]*${TAG}(?:[ \\t]*,[ \\t,]*${TAG})*[ \\t,]*)$`,
  description: 'an ETag as it came, several, or *'
})

/** A condition that is refused, not ignored: who sends it counts on its being held. */
export const notTaken = (instead: string) =>
  Type.Optional(Type.Unsafe<never>({ not: {}, description: `left out: ${instead}` }))

/** The conditions of a read. No answer says when it was changed, so If-Modified-Since never holds anything back. */
export const readConditions = {
  'if-match': Type.Optional(Tags),
  'if-none-match': Type.Optional(Tags),
  'if-unmodified-since': notTaken('a read takes If-Match')
}

const WEAK = 'W/'
/** A comma may stand inside a tag. */
const tagsIn = (list: string): readonly string[] => list.match(/(?:W\/)?"[^"]*"/g) ?? []
const opaque = (tag: string) => (tag.startsWith(WEAK) ? tag.slice(WEAK.length) : tag)

/** Whether tags name this one, for If-Match: weak ones never do. */
export const namesTag = (tags: string, tag: string | undefined): boolean =>
  tags === '*' || (tag !== undefined && tagsIn(tags).includes(tag))

/** The same for If-None-Match, for which weak tags are as good as strong ones. */
export const isKnown = (tags: string | undefined, tag: string | undefined): tag is string =>
  tags !== undefined && tag !== undefined && (tags === '*' || tagsIn(tags).some((one) => opaque(one) === tag))

/** Throws a Problem where the caller has seen another state of something than this one. `what` names it. */
export function verifyTag(ifMatch: string | undefined, tag: string | undefined, what: string): void {
  if (ifMatch === undefined || namesTag(ifMatch, tag)) return
  throw new Problem('precondition-failed', `${what} was changed since it was read`, {
    ...(tag !== undefined && { headers: { etag: tag } })
  })
}

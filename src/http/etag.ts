import Type from 'typebox'

/** An entity tag with all that RFC 9110, 8.8.3 allows: Node reads the bytes beyond ASCII as Latin-1. */
const TAG = '(?:W/)?"[\\x21\\x23-\\x7e\\x80-\\xff]*"'

/** The value of If-Match and If-None-Match: `*`, or entity tags. Empty members of the list are ignored (RFC 9110, 5.6.1). */
export const Tags = Type.String({
  pattern: `^(?:\\*|[ \\t,]*${TAG}(?:[ \\t]*,[ \\t,]*${TAG})*[ \\t,]*)$`,
  description: 'an ETag as it came, several, or *'
})

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

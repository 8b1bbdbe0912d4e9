import Type from 'typebox'

const TAG = '(?:W/)?"[\\x21\\x23-\\x7e]*"'

/** The value of If-Match and If-None-Match: `*`, or entity tags (RFC 9110, 13.1). */
export const Tags = Type.String({
  pattern: `^(?:\\*|${TAG}(?:[ \\t]*,[ \\t]*${TAG})*)$`,
  description: 'an ETag as it came, several, or *'
})

/** Whether tags name this one, for If-Match: weak ones never do. */
export const namesTag = (tags: string, tag: string | undefined): boolean =>
  tags === '*' || (tag !== undefined && tags.split(',').some((one) => one.trim() === tag))

/** The same for If-None-Match, for which weak tags are as good as strong ones. */
export const isKnown = (tags: string | undefined, tag: string | undefined): tag is string =>
  tags !== undefined && tag !== undefined && namesTag(tags.replaceAll('W/', ''), tag)

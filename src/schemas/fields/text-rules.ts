/**
 * What texts may look like, each rule once: as a pattern for JSON Schema, and compiled from that very pattern for a
 * write. A pattern means the same with and without the flag `u`, as not every validator sets it.
 */
const rule = (pattern: string) => ({ pattern, holds: compiled(pattern) })
const compiled = (pattern: string) => {
  const expression = new RegExp(pattern, 'u')
  return (text: string): boolean => expression.test(text)
}

/** Not in a text: NUL, which ends texts elsewhere, and half of a surrogate pair, which no UTF-8 can carry. */
const NO_CHARACTER = '\\u0000\\ud800-\\udfff'
/** A character that is none of `excluded`, which is the inside of a class. Without `u` a pair is two of them. */
const characterBut = (excluded = '') => `(?:[^${NO_CHARACTER}${excluded}]|[\\ud800-\\udbff][\\udc00-\\udfff])`

const text = rule(`^${characterBut()}*$`)
export const TEXT = text.pattern
/** The same as `TEXT`, for the path of every call. */
export const isText = (value: string): boolean => value.isWellFormed() && !value.includes('\0')

/** Empty, or something before and after one `@`. */
export const email = rule(`^$|^${characterBut('\\s@')}+@${characterBut('\\s@')}+$`)

/** A plus, the country code, and no more than E.164 allows. */
export const phone = rule('^\\+[1-9][0-9]{6,14}$')

const LONG_MONTHS = '(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])'
const SHORT_MONTHS = '(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)'
const LEAP_YEAR = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)'
/** A day of the calendar. */
export const day = rule(
  `^(?:[0-9]{4}-(?:${LONG_MONTHS}|${SHORT_MONTHS}|02-(?:0[1-9]|1[0-9]|2[0-8]))|${LEAP_YEAR}-02-29)$`
)

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?'
/** Browsers read a host whose last label is a number as an IPv4 address, and refuse what is none. */
const LAST_LABEL = `(?![0-9]+(?:[.:/?#]|$)|0[Xx])${LABEL}`
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const HOST = `(?:(?:${OCTET}\\.){3}${OCTET}|(?:${LABEL}\\.)*${LAST_LABEL}\\.?)`
const PORT = '(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})'
const REST = `(?:[/?#]${characterBut('\\u0001-\\u001f\\u007f')}*)?`

/**
 * http or https, an ASCII host name or IPv4 address, a port that there is, and no user. Blanks may stand after the host:
 * a file of a wanted list has to be named as the record holds it.
 */
export const fileUrl = rule(`^[Hh][Tt][Tt][Pp][Ss]?://${HOST}(?::${PORT}?)?${REST}$`)

/** Of the names of fields and boxes. */
export const MAX_KEY_CHARS = 128

/** In characters, as JSON Schema counts them: not in halves of surrogate pairs. */
export const isAtMost = (value: string, max: number): boolean =>
  value.length <= max || (value.length <= 2 * max && [...value].length <= max)

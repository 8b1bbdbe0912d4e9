/**
 * What texts may look like, each rule once: as a pattern for JSON Schema, which has the flag `u`, and compiled from that
 * very pattern for a write.
 */
const rule = (pattern: string) => ({ pattern, holds: compiled(pattern) })
const compiled = (pattern: string) => {
  const expression = new RegExp(pattern, 'u')
  return (text: string): boolean => expression.test(text)
}

/** Not in a text: NUL, which ends texts elsewhere, and half of a surrogate pair, which no UTF-8 can carry. */
const NO_CHARACTER = '\\u0000\\ud800-\\udfff'

const text = rule(`^[^${NO_CHARACTER}]*$`)
export const TEXT = text.pattern
/** The same as `TEXT`, for the path of every call. */
export const isText = (value: string): boolean => value.isWellFormed() && !value.includes('\0')

/** Empty, or something before and after one `@`. */
export const email = rule(`^$|^[^\\s@${NO_CHARACTER}]+@[^\\s@${NO_CHARACTER}]+$`)

/** A plus, the country code, and no more than E.164 allows. */
export const phone = rule('^\\+[1-9][0-9]{6,14}$')

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?'
/** Browsers read a host whose last label is a number as an IPv4 address, and refuse what is none. */
const LAST_LABEL = `(?![0-9]+(?:[.:/?#]|$)|0[Xx])${LABEL}`
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const HOST = `(?:(?:${OCTET}\\.){3}${OCTET}|(?:${LABEL}\\.)*${LAST_LABEL}\\.?)`
const PORT = '(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})'
const REST = `(?:[/?#][^\\s\\u0001-\\u001f\\u007f${NO_CHARACTER}]*)?`

/** http or https, an ASCII host name or IPv4 address, a port that there is, and neither user nor blanks. */
export const fileUrl = rule(`^[Hh][Tt][Tt][Pp][Ss]?://${HOST}(?::${PORT})?${REST}$`)

/** Of the names of fields and boxes. */
export const MAX_KEY_CHARS = 128

/** In characters, as JSON Schema counts them: not in halves of surrogate pairs. */
export const isAtMost = (value: string, max: number): boolean => value.length <= max || [...value].length <= max

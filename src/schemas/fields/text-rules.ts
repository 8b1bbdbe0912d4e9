/**
 * The patterns that strings must match. JSON Schema publishes each pattern and writes are checked with the same one. A
 * pattern must mean the same with and without the flag `u`, because not every validator sets it.
 */
const rule = (pattern: string) => ({ pattern, matches: compile(pattern) })
const compile = (pattern: string) => {
  const expression = new RegExp(pattern, 'u')
  return (text: string): boolean => expression.test(text)
}

/**
 * Not allowed in a string: NUL, which other systems read as its end, and lone surrogates, which UTF-8 cannot encode.
 */
const FORBIDDEN = '\\u0000\\ud800-\\udfff'
/** One character, except those in `excluded` (the inside of a character class). Without `u`, a pair counts as two. */
const characterExcept = (excluded = '') => `(?:[^${FORBIDDEN}${excluded}]|[\\ud800-\\udbff][\\udc00-\\udfff])`

export const TEXT_PATTERN = `^${characterExcept()}*$`
/** The same rule as `TEXT_PATTERN`, but faster: it runs on every call. */
export const isText = (value: string): boolean => value.isWellFormed() && !value.includes('\0')

/** Empty, or something before and after exactly one `@`. */
export const email = rule(`^$|^${characterExcept('\\s@')}+@${characterExcept('\\s@')}+$`)

/** A plus, the country code and the number: at most 15 digits (E.164). */
export const phone = rule('^\\+[1-9][0-9]{6,14}$')

const LONG_MONTHS = '(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])'
const SHORT_MONTHS = '(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)'
const LEAP_YEAR = '(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)'
/** A date that exists, such as 2024-02-29. */
export const calendarDate = rule(
  `^(?:[0-9]{4}-(?:${LONG_MONTHS}|${SHORT_MONTHS}|02-(?:0[1-9]|1[0-9]|2[0-8]))|${LEAP_YEAR}-02-29)$`
)

const LABEL = '[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?'
/** Browsers read a host whose last label is a number as an IPv4 address, and reject it if it is not one. */
const LAST_LABEL = `(?![0-9]+(?:[.:/?#]|$)|0[Xx])${LABEL}`
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const HOST = `(?:(?:${OCTET}\\.){3}${OCTET}|(?:${LABEL}\\.)*${LAST_LABEL}\\.?)`
const PORT = '(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})'
const REST = `(?:[/?#]${characterExcept('\\u0001-\\u001f\\u007f')}*)?`

/**
 * http or https, an ASCII host name or IPv4 address, an optional port up to 65535, no user. Spaces are allowed after
 * the host: a wanted list must be able to name a file exactly as the record holds it.
 */
export const fileUrl = rule(`^[Hh][Tt][Tt][Pp][Ss]?://${HOST}(?::${PORT}?)?${REST}$`)

/** For the keys of fields and boxes. */
export const MAX_KEY_CHARS = 128

/** Counts characters as JSON Schema does: a surrogate pair is one. */
export const hasAtMostChars = (value: string, max: number): boolean =>
  value.length <= max || (value.length <= 2 * max && [...value].length <= max)

/** Long enough for a reader. */
const MAX_MESSAGE_CHARS = 500
/** The caller chooses the values to search for, so the work is bounded. */
const MAX_SEARCHED_CHARS = 2_000
const MAX_VALUES = 2_000
/** A longer value is found by this prefix, since HighLevel may repeat only a part of it. */
const PREFIX_CHARS = 8

const scalars = function* (value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'number') yield String(value)
  else if (typeof value === 'object' && value !== null)
    for (const member of Object.values(value)) yield* scalars(member)
}

const isWordChar = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}]/u.test(char)

/** How many characters of `value` are at `start`. A value shorter than the prefix counts only as a whole word. */
function matchLength(text: string, value: string, start: number): number {
  let length = 0
  while (length < value.length && text[start + length] === value[length]) length += 1
  if (value.length >= PREFIX_CHARS) return length
  return length === value.length && !isWordChar(text[start - 1]) && !isWordChar(text[start + length]) ? length : 0
}

/** In lower case, unless that moves characters: HighLevel repeats some values in lower case. */
const lowerCased = (text: string): string => {
  const lower = text.toLowerCase()
  return lower.length === text.length ? lower : text
}

function redactOne(text: string, value: string): string {
  const [hay, wanted] = [lowerCased(text), lowerCased(value)]
  const needle = wanted.slice(0, PREFIX_CHARS)
  let out = ''
  let from = 0
  for (let at = hay.indexOf(needle); needle !== '' && at !== -1; at = hay.indexOf(needle, from)) {
    const span = matchLength(hay, wanted, at)
    out += span === 0 ? text.slice(from, at + 1) : `${text.slice(from, at)}[value]`
    from = at + Math.max(span, 1)
  }
  return out + text.slice(from)
}

/** A message of HighLevel's without the values that were sent. HighLevel repeats them, and no value may be logged. */
export function withoutValues(message: string, sent: unknown): string {
  const values = new Set<string>()
  for (const value of scalars(sent)) {
    values.add(value).add(value.trim())
    if (values.size > MAX_VALUES) return '[not shown: the call has too many values to remove]'
  }
  const searched = message.slice(0, MAX_SEARCHED_CHARS)
  const longestFirst = [...values].sort((a, b) => b.length - a.length)
  const clean = longestFirst.reduce(redactOne, searched)
  // At a cut, the rest of a value may be too short to be recognized: the end is dropped.
  const hasCutEnd = searched !== message && clean.endsWith(searched.slice(-PREFIX_CHARS))
  const whole = hasCutEnd ? clean.slice(0, -PREFIX_CHARS) : clean
  return whole.length > MAX_MESSAGE_CHARS ? `${whole.slice(0, MAX_MESSAGE_CHARS)}…` : whole
}

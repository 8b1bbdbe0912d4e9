/** More than this says nothing more to a person; what is searched is bounded too, since the caller chooses the values. */
const MAX_MESSAGE_CHARS = 500
const MAX_SEARCHED_CHARS = 2_000
const MAX_VALUES = 2_000
/** A longer value is found by its beginning, as HighLevel may repeat a part of it. */
const PREFIX_CHARS = 8

const scalars = function* (value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'number') yield String(value)
  else if (typeof value === 'object' && value !== null)
    for (const member of Object.values(value)) yield* scalars(member)
}

const isWordChar = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}]/u.test(char)

/** How much of `value` stands in `text` from `start` on. A short value counts only whole and as a word of its own. */
function spanAt(text: string, value: string, start: number): number {
  let length = 0
  while (length < value.length && text[start + length] === value[length]) length += 1
  if (value.length >= PREFIX_CHARS) return length
  return length === value.length && !isWordChar(text[start - 1]) && !isWordChar(text[start + length]) ? length : 0
}

/** In lower case, where that keeps every character in its place: HighLevel writes some values so. */
const folded = (text: string): string => {
  const lower = text.toLowerCase()
  return lower.length === text.length ? lower : text
}

function without(text: string, value: string): string {
  const [hay, wanted] = [folded(text), folded(value)]
  const needle = wanted.slice(0, PREFIX_CHARS)
  let out = ''
  let from = 0
  for (let at = hay.indexOf(needle); needle !== '' && at !== -1; at = hay.indexOf(needle, from)) {
    const span = spanAt(hay, wanted, at)
    out += span === 0 ? text.slice(from, at + 1) : `${text.slice(from, at)}[value]`
    from = at + Math.max(span, 1)
  }
  return out + text.slice(from)
}

/** A message of HighLevel's without the values that were sent: it repeats them, and a value is nobody's to log. */
export function withoutValues(message: string, sent: unknown): string {
  const values = new Set<string>()
  for (const value of scalars(sent)) {
    values.add(value).add(value.trim())
    if (values.size > MAX_VALUES) return '[not shown: the call holds too many values to take out]'
  }
  const searched = message.slice(0, MAX_SEARCHED_CHARS)
  const longestFirst = [...values].sort((a, b) => b.length - a.length)
  const clean = longestFirst.reduce(without, searched)
  // What the cut left of a value may be too short to be known: it goes with the end.
  const hasCutEnd = searched !== message && clean.endsWith(searched.slice(-PREFIX_CHARS))
  const whole = hasCutEnd ? clean.slice(0, -PREFIX_CHARS) : clean
  return whole.length > MAX_MESSAGE_CHARS ? `${whole.slice(0, MAX_MESSAGE_CHARS)}…` : whole
}
